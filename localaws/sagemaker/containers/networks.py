"""Private networks: each a loopback of its own for one container or several, in which this AWS answers as outside.

Two containers in networks of their own may both bind 0.0.0.0:8080, and neither takes this machine's. What is in such a
network reaches nothing else: no other container, no other server of this machine, not the internet.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import localaws
from localaws.confinement import network_sockets
from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import Container
from localaws.sagemaker.core.aws_platform import Platform

_ROOT = str(Path(localaws.__file__).parents[1])
_AT_ONCE = 8  # sockets that are made together: a child that makes one takes as long
_BACKLOG = 128


class Network:
    """A private network. It is gone when it is closed and its last container has ended. Thread-safe.

    descriptors: its namespaces, which a container that joins it inherits (`ContainerSpec.network`).
    """

    def __init__(self, make: Callable[[Sequence[int]], list[int]]) -> None:
        self._make = make
        self._changing = threading.Lock()
        opened = make(())
        spare, self.descriptors = opened[-_AT_ONCE:], tuple(opened[:-_AT_ONCE])
        self._spare = [socket.socket(fileno=descriptor) for descriptor in spare]
        self._closing = contextlib.ExitStack()

    def listen(self, address: str, port: int) -> socket.socket:
        """A socket that listens on an address inside. Raises OSError."""
        listener = self._socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def connect(self, address: str, port: int, seconds: float) -> socket.socket:
        """A socket that is connected to an address inside. Raises OSError."""
        connected = self._socket()
        try:
            connected.settimeout(seconds)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.connect((address, port))
        except BaseException:
            connected.close()
            raise
        return connected

    def answered_by(self, platform: Platform) -> None:
        """Let the AWS around SageMaker answer inside at its own address, until the network is closed."""
        endpoint = urlsplit(platform.endpoint_url)
        self._closing.callback(platform.answer_on(self.listen(endpoint.hostname or "", endpoint.port or 0)))

    def close(self) -> None:
        """Let go of it. Containers that are in it stay in it."""
        self._closing.close()
        with self._changing:
            for descriptor in self.descriptors:
                os.close(descriptor)
            self.descriptors = ()
            while self._spare:
                self._spare.pop().close()

    def _socket(self) -> socket.socket:
        with self._changing:
            if not self.descriptors:
                raise OSError(errno.EBADF, "the private network is closed")
            if not self._spare:
                self._spare += [socket.socket(fileno=descriptor) for descriptor in self._make(self.descriptors)]
            return self._spare.pop()


class Networks:
    """Makes private networks, by a process that is started with the first of them. Thread-safe."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._orders: socket.socket | None = None
        self._maker: Container | None = None

    def open(self) -> Network:
        """A new private network. Raises OSError where this machine allows none."""
        return Network(self._made)

    def close(self) -> None:
        """End the process that makes them. Networks that are open stay."""
        with self._asking:
            self._end()

    def _made(self, namespaces: Sequence[int]) -> list[int]:
        """Descriptors: the namespaces of a new network where none are given, and _AT_ONCE sockets inside."""
        with self._asking:
            orders = self._orders or self._start()
            try:
                socket.send_fds(orders, [str(_AT_ONCE).encode()], list(namespaces))
                message, descriptors = network_sockets.received(orders)
            except OSError:
                self._end()
                raise
            if not message:
                self._end()
                raise OSError(errno.EIO, "the process that makes private networks has ended")
        failed = json.loads(message)
        if failed:
            raise OSError(failed["errno"], failed["error"], "private network")
        return descriptors

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-I", "-S", "-c", network_sockets.BOOTSTRAP, _ROOT, str(theirs.fileno())]
            try:
                self._maker = container.start(argv, {}, [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._orders = ours
        return ours

    def _end(self) -> None:
        if self._orders is not None and self._maker is not None:
            self._orders.close()
            self._maker.kill()
            self._maker.wait()
            self._maker.output.close()
        self._orders = self._maker = None
