"""Private networks: namespaces with nothing but a loopback, which containers join.

A network is there as long as anything has it: a container, a socket that was made inside, who opened it.
"""

from __future__ import annotations

import os

from localaws.confinement import linux, privileges
from localaws.confinement.linux import CLONE_NEWNET, CLONE_NEWUSER


def opened() -> list[int]:
    """A new network, which this process enters: its namespace, and that of its user unless this one is root."""
    kinds = ["net"] if os.geteuid() == 0 else ["net", "user"]
    if len(kinds) == 1:
        linux.unshare(CLONE_NEWNET)
    else:
        privileges.enter_user_namespace(CLONE_NEWNET)
    raise_loopback()
    return [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]


def join(network: int, user: int | None = None) -> None:
    """Enter a network, and first the namespace of its user if it has one of its own; both are closed."""
    if user is not None:
        linux.setns(user, CLONE_NEWUSER)
        os.close(user)
    linux.setns(network, CLONE_NEWNET)
    os.close(network)


def raise_loopback() -> None:
    """Let the loopback's addresses be reached in this process's network: all of 127.0.0.0/8, and ::1."""
    import fcntl  # noqa: PLC0415 - only who has a network of its own pays for these
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    set_flags, up_and_running = 0x8914, 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up_and_running))
