"""A connection that its client has closed is closed here at once, and there are only so many.

hypercorn's TCPServer (`hypercorn/asyncio/tcp_server.py`) notices the end of a client's data, and then waits for its own
keep-alive timer before it closes its side: many short-lived clients would leave as many sockets in CLOSE_WAIT, each for
75 seconds, until the process has no file descriptor left.
"""

from __future__ import annotations

from hypercorn.asyncio.tcp_server import TCPServer

# More are closed as they come: what a connection is kept in takes memory, before it has said a word.
MOST = 2048


def close_with_clients() -> None:
    """Make the timer end with the client. Called once, before the server serves."""
    read_data, idle_timeout, run = TCPServer._read_data, TCPServer._idle_timeout, TCPServer.run
    open_now: set[TCPServer] = set()

    async def _run(self: TCPServer) -> None:
        if len(open_now) >= MOST:
            self.writer.close()
            return
        open_now.add(self)
        try:
            await run(self)
        finally:
            open_now.discard(self)

    async def _read_data(self: TCPServer) -> None:
        await read_data(self)
        await self.idle_task.stop()

    async def _idle_timeout(self: TCPServer) -> None:
        # A request that was still being answered when its client went starts the timer again afterwards.
        if not self.reader.at_eof():
            await idle_timeout(self)

    TCPServer.run = _run
    TCPServer._read_data = _read_data
    TCPServer._idle_timeout = _idle_timeout
