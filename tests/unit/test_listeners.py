"""Sockets that a server listens on beside its own answer as its own does, until they are let go."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future

import pytest

from localaws import listeners


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"answered: " + await reader.readline())
    await writer.drain()
    writer.close()


def asked(at: socket.socket) -> bytes:
    with socket.create_connection(at.getsockname(), 5) as connected:
        connected.sendall(b"hello\n")
        return connected.makefile("rb").read()


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "_made", Future())


def test_a_further_socket_is_answered_as_the_servers_own_until_its_end() -> None:
    async def run() -> tuple[bytes, bytes, type[OSError] | None]:
        listeners.remember(asyncio.get_running_loop())
        own, further = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.2", 0))
        address = further.getsockname()
        async with await asyncio.start_server(_echo, sock=own):
            end = await asyncio.to_thread(listeners.answer_on, further)
            answers = [await asyncio.to_thread(asked, each) for each in (own, further)]
            end()
            await asyncio.sleep(0)
            try:
                await asyncio.to_thread(lambda: socket.create_connection(address, 5).close())
            except OSError as error:
                return answers[0], answers[1], type(error)
            return answers[0], answers[1], None

    assert asyncio.run(run()) == (b"answered: hello\n", b"answered: hello\n", ConnectionRefusedError)


def test_a_socket_that_comes_before_the_server_answers_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "_SECONDS", 0.01)
    further = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(OSError, match="the server doesn't answer on a further socket now"):
        listeners.answer_on(further)
    assert further.fileno() == -1, "closed"


def test_a_server_that_has_ended_answers_on_no_further_socket() -> None:
    async def run() -> None:
        listeners.remember(asyncio.get_running_loop())
        (await asyncio.start_server(_echo, "127.0.0.1", 0)).close()

    asyncio.run(run())
    with pytest.raises(OSError, match="the server doesn't answer on a further socket now"):
        listeners.answer_on(socket.create_server(("127.0.0.1", 0)))
