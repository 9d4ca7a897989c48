"""The connections to one server, kept open for the next requests as far as the server bears it.

A server may serve one connection after the other: one that was kept open would keep all others waiting. So none is kept
while another request is under way, unless the server is known to serve several at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

from localaws.sagemaker.hosting.connection import Connection


class Pool:
    """Connections to a server. Thread-safe.

    connect: opens one, within seconds. serves_several: whether the server is known to serve several at once.
    """

    def __init__(self, connect: Callable[[float], socket.socket], *, serves_several: bool) -> None:
        self._connect, self._serves_several = connect, serves_several
        self._idle: deque[Connection] = deque()
        self._counting = threading.Lock()
        self._taken = 0

    def take(self, seconds: float) -> Connection:
        """A connection that is open still, or a new one; it is given back or dropped. Raises OSError."""
        with self._counting:
            kept = self._kept()
            self._taken += 1
        try:
            return kept or Connection(self._connect(seconds))
        except BaseException:
            with self._counting:
                self._taken -= 1
            raise

    def _kept(self) -> Connection | None:
        with contextlib.suppress(IndexError):
            while not (connection := self._idle.pop()).is_fresh:
                connection.close()
            return connection
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection on which an answer has come, if it can be kept."""
        with self._counting:
            keeps = connection.stays and (self._serves_several or self._taken == 1)
            self._taken -= 1
            if keeps:
                self._idle.append(connection)
        if not keeps:
            connection.close()

    def drop(self, connection: Connection) -> None:
        """Close a connection on which no answer has come."""
        with self._counting:
            self._taken -= 1
        connection.close()

    def close(self) -> None:
        """Close those that nobody has taken."""
        while self._idle:
            self._idle.pop().close()
