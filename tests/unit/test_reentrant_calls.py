"""Calls in threads that stay."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from localaws.ministack_adapter.reentrant_calls import Threads, _finished

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")


def test_a_call_has_its_callers_context_and_its_thread_is_used_again() -> None:
    threads = Threads()

    async def calls() -> list[tuple[str, int]]:
        found = []
        for name in ("a", "b"):
            NAME.set(name)
            found.append(await _finished(threads, lambda: (NAME.get(), threading.get_ident())))
            await asyncio.sleep(0.05)  # the thread has said that it is idle
        return found

    (first, thread), (second, same) = asyncio.run(calls())
    assert (first, second, thread) == ("a", "b", same)


def test_calls_that_wait_for_each_other_all_run() -> None:
    meeting = threading.Barrier(40)

    async def calls() -> list[int]:
        threads = Threads()
        return await asyncio.gather(*(_finished(threads, meeting.wait, 60) for _ in range(40)))

    assert sorted(asyncio.run(calls())) == list(range(40))


def test_a_call_that_raises_and_one_whose_caller_goes_away() -> None:
    threads, begun, go_on, ended = Threads(), threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(60)
        ended.set()

    async def calls() -> None:
        with pytest.raises(ZeroDivisionError):
            await _finished(threads, lambda: 1 // 0)
        task = asyncio.create_task(_finished(threads, work))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done(), "it waits for the end of what it began"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(calls())
