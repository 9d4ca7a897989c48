"""Which of the execution environments that nobody invokes end, and that none is given out at that moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from ministack.core import lambda_runtime
from waiting import until

from localaws.ministack_adapter.lambda_idle import IdleEnvironments, to_end
from localaws.settings import IdleFunctions


@dataclass(eq=False)
class Fake:
    """An environment without a process. `ends`: the names of those that have ended; `killed`: in an invocation."""

    func_name: str
    last_used: float
    ends: list[str] = field(default_factory=list)
    in_use: bool = False
    is_given_up: bool = False
    killed: list[str] = field(default_factory=list)

    def kill(self) -> None:
        if self.in_use:
            self.killed.append(self.func_name)

    def retire(self) -> None:
        assert not self.in_use
        self.ends.append(self.func_name)


Pool = Callable[..., list[str]]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Fills MiniStack's pools with idle environments, by their functions' names and idle seconds; who has ended."""
    monkeypatch.setattr(lambda_runtime, "_workers", {})

    def fill(**idle: float) -> list[str]:
        ends: list[str] = []
        for name, seconds in idle.items():
            lambda_runtime._workers[name] = [Fake(name, time.time() - seconds, ends)]
        return ends

    yield fill


@pytest.mark.parametrize(
    ("seconds", "most", "ended"),
    [(10.0, 9, ["old"]), (10.0, 1, ["old", "older"]), (100.0, 9, []), (100.0, 0, ["old", "older", "new"]), (0, 9, 3)],
)
def test_those_go_that_were_not_used_for_long_or_are_too_many(
    seconds: float, most: int, ended: list[str] | int
) -> None:
    idle = [Fake("older", 995.0), Fake("old", 990.0), Fake("new", 999.0)]
    names = [environment.func_name for environment in to_end(idle, IdleFunctions(seconds, most), 1000.0)]
    assert names == ended if isinstance(ended, list) else len(names) == ended


def test_each_release_ends_what_is_one_too_many(pool: Pool) -> None:
    ends = pool(first=5, second=4, third=3)
    idle = IdleEnvironments(IdleFunctions(600, 2), lambda _name: 0)
    until(lambda: ends == ["first"], "the end of the one that was used first")
    busy = lambda_runtime._workers["second"][0]
    busy.in_use = True
    lambda_runtime._workers["fourth"] = [Fake("fourth", time.time(), ends, in_use=True)]
    idle.release(lambda_runtime._workers["fourth"][0])
    idle.release(busy)
    until(lambda: ends == ["first", "third"], "the end of another")
    assert sorted(lambda_runtime._workers) == ["fourth", "second"]
    assert busy.killed == []


def test_those_kept_for_ever_are_as_many_as_they_may_be(pool: Pool) -> None:
    ends = pool(first=2, second=1)
    idle = IdleEnvironments(IdleFunctions(float("inf"), 2), lambda _name: 0)
    lambda_runtime._workers["third"] = [third := Fake("third", time.time(), ends, in_use=True)]
    idle.release(third)
    until(lambda: ends == ["first"], "the end of the one that was used first")


def test_a_server_that_stops_ends_those_in_an_invocation_too(pool: Pool) -> None:
    ends = pool(idle=0, busy=0)
    (busy,) = lambda_runtime._workers["busy"]
    busy.in_use = True
    idle = IdleEnvironments(IdleFunctions(600), lambda _name: 0)
    idle.close()
    assert (ends, busy.killed, lambda_runtime._workers) == (["idle"], ["busy"], {})
    idle.release(busy)
    assert ends == ["idle", "busy"]


def test_what_is_provisioned_stays(pool: Pool) -> None:
    ends = pool(kept=100, other=100)
    lambda_runtime._workers["kept"].append(Fake("kept", time.time() - 200, ends))
    IdleEnvironments(IdleFunctions(10), {"kept": 1, "other": 0}.__getitem__)
    until(lambda: sorted(ends) == ["kept", "other"], "the ends")
    assert [len(pool) for pool in lambda_runtime._workers.values()] == [1]


def test_what_is_given_up_in_an_invocation_ends_after_it(pool: Pool) -> None:
    ends = pool(idle=0, busy=0)
    environments = [*lambda_runtime._workers.pop("idle"), *lambda_runtime._workers.pop("busy")]
    environments[1].in_use = True
    idle = IdleEnvironments(IdleFunctions(600), lambda _name: 0)
    idle.give_up(environments)
    assert ends == ["idle"]
    idle.release(environments[1])
    assert ends == ["idle", "busy"]
