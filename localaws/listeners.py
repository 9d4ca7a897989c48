"""Sockets that the server listens on beside its own, for as long as somebody wants it to: those of private networks.

hypercorn makes its servers when it starts and tells nobody how it made them. `remember` notes how the event loop is
asked for the first, and others are made alike.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from socket import socket
from typing import Any

_SECONDS = 10.0
_Made = tuple[asyncio.AbstractEventLoop, Callable[[], asyncio.BaseProtocol]]
_made: Future[_Made] = Future()


def remember(loop: asyncio.AbstractEventLoop) -> None:
    """Note how the loop's first server is made. Called once, before it is."""
    create = loop.create_server

    async def create_server(factory: Callable[[], asyncio.BaseProtocol], *arguments: Any, **options: Any) -> Any:
        _made.set_result((loop, factory))
        loop.create_server = create  # type: ignore[method-assign]
        return await create(factory, *arguments, **options)

    loop.create_server = create_server  # type: ignore[method-assign, assignment]


def answer_on(listener: socket) -> Callable[[], None]:
    """Answer what comes to a listening socket from now on; what ends that, and closes it.

    From any thread but the loop's. Raises OSError where the server doesn't answer yet, or any more.
    """
    try:
        loop, factory = _made.result(_SECONDS)
        server = _server(loop, factory, listener)
    except (FutureTimeoutError, RuntimeError) as error:
        listener.close()
        raise OSError(errno.EAGAIN, "the server doesn't answer on a further socket now") from error

    def end() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(server.close)

    return end


def _server(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.BaseProtocol], listener: socket
) -> asyncio.Server:
    starting = loop.create_server(factory, sock=listener)
    try:
        return asyncio.run_coroutine_threadsafe(starting, loop).result(_SECONDS)
    except RuntimeError:
        starting.close()  # the loop has ended, and awaits nothing any more
        raise
