"""Makes private networks, and sockets inside them, for a server that has many threads and can enter none itself.

A socket belongs to the network that it was made in, wherever it is used afterwards. So a short-lived child makes it,
and who asked binds or connects it: nothing is passed on by a process of ours.

`main` takes orders on a socket of packets, each with the namespaces of a network, or none for a new one, and in it the
number of sockets that are wanted. The answer has the namespaces of a new network and the sockets, or says what failed.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket

from localaws.confinement import linux, network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Run by the server as `-c BOOTSTRAP ROOT DESCRIPTOR`.
BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from localaws.confinement.network_sockets import main; sys.exit(main(int(sys.argv[2])))"
)
_MOST_BYTES, _MOST_DESCRIPTORS = 4096, 64


def main(descriptor: int) -> int:
    """Take orders until nobody can give any more."""
    os.setsid()
    orders = socket.socket(fileno=descriptor)
    while True:
        count, namespaces = received(orders)
        if not count:
            return 0
        child = os.fork()
        if child == 0:
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
            _carry_out(orders, int(count), namespaces)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        for namespace in namespaces:
            os.close(namespace)
        if status:
            _refuse(orders, OSError(errno.EIO, "the process that makes sockets has ended"))


def received(orders: socket.socket) -> tuple[bytes, list[int]]:
    """A packet, empty when the other side has gone, and its descriptors, which no other program inherits."""
    message, descriptors, _, _ = socket.recv_fds(orders, _MOST_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    return message, descriptors


def _carry_out(orders: socket.socket, count: int, namespaces: Sequence[int]) -> None:
    """Answer an order in a process of its own, which is in the network afterwards."""
    try:
        if namespaces:
            network.join(*namespaces)
        opened = [] if namespaces else network.opened()
        made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    except OSError as error:
        _refuse(orders, error)
        return
    socket.send_fds(orders, [b"{}"], [*opened, *(each.fileno() for each in made)])


def _refuse(orders: socket.socket, error: OSError) -> None:
    orders.send(json.dumps({"errno": error.errno, "error": error.strerror}).encode())
