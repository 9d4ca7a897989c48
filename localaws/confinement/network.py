"""Private networks: namespaces with nothing but a loopback, which containers join.

A network is there as long as anything has it: a container, a socket that was made inside, who opened it.
"""

from __future__ import annotations

import os

from localaws.confinement import linux, privileges
from localaws.confinement.linux import CLONE_NEWNET, CLONE_NEWUSER

# The address of a container in its network, other than the loopback's: who listens on 127.0.0.1 alone isn't reached by
# it, as in AWS, whose endpoints' containers have this very one.
ADDRESS = "169.254.180.2"
_SET_FLAGS, _SET_ADDRESS, _UP_AND_RUNNING = 0x8914, 0x8916, 0x1 | 0x40


def opened() -> list[int]:
    """A new network, which this process enters: its namespace, and that of its user unless this one is root."""
    kinds = ["net"] if os.geteuid() == 0 else ["net", "user"]
    if len(kinds) == 1:
        linux.unshare(CLONE_NEWNET)
    else:
        privileges.enter_user_namespace(CLONE_NEWNET)
    raise_loopback(ADDRESS)
    _allow_all_ports()
    return [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]


def join(network: int, user: int | None = None) -> None:
    """Enter a network, and first the namespace of its user if it has one of its own; both are closed."""
    if user is not None:
        linux.setns(user, CLONE_NEWUSER)
        os.close(user)
    linux.setns(network, CLONE_NEWNET)
    os.close(network)


def raise_loopback(address: str | None = None) -> None:
    """Let the loopback's addresses be reached in this process's network: all of 127.0.0.0/8, ::1, and a further one."""
    import fcntl  # noqa: PLC0415 - only who has a network of its own pays for these
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
        if address is not None:
            named = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, _SET_ADDRESS, named)


def _allow_all_ports() -> None:
    """Let who has no capability listen on ports below 1024, as Docker does."""
    try:
        linux.write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    except OSError:
        pass  # in Docker it may be read-only
