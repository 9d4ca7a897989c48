"""Runs state machines on the interpreter alone: tasks are functions, the clock stands still, waits are only noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.ministack_adapter.stepfunctions.jsonpath import JsonPath
from localaws.states.attempts import TaskTokens
from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.dataflow import Jsonata, Scope
from localaws.states.errors import StatesError
from localaws.states.history import History, Trace
from localaws.states.interpreter import Interpreter, Machine
from localaws.states.runtime import Runtime, TaskCall

Document = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
INVOKE = "arn:aws:states:::lambda:invoke"
LANGUAGES = {"JSONata": Jsonata(jsonata.evaluate), "JSONPath": JsonPath()}


class Noting(Cancellation):
    """A cancellation whose sleeps take no time; with `in_sleep`, each of them is when the execution is stopped."""

    def __init__(self, *, in_sleep: bool = False) -> None:
        super().__init__()
        self.sleeps: list[float] = []
        self._in_sleep = in_sleep

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if self._in_sleep:
            self.cancel()
        self.check()


@dataclass(frozen=True)
class Ended:
    """An execution that has ended: with an output, an error, or cancelled."""

    output: Any
    error: StatesError | None
    cancelled: bool
    events: list[Document]
    sleeps: list[float]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def details(self, event_type: str) -> list[Document]:
        """Of each event of a type, its details."""
        found = [event for event in self.events if event["type"] == event_type]
        return [value for event in found for name, value in event.items() if name.endswith("EventDetails")]


def no_task(call: TaskCall) -> Any:
    raise AssertionError(f"no task is expected, but {call.resource} was called")


def execute(
    states: Mapping[str, Any],
    state_input: Any = None,
    task: Callable[[TaskCall], Any] = no_task,
    *,
    cancellation: Noting | None = None,
    tokens: TaskTokens | None = None,
    events: list[Document] | None = None,
    wait_scale: float = 1.0,
    clock_scale: float = 1.0,
    **top: Any,
) -> Ended:
    """Run a machine that starts at the first of `states`, in JSONata unless `top` says otherwise."""
    cancellation = cancellation or Noting()
    events = [] if events is None else events
    runtime = Runtime(
        run_task=task,
        tokens=tokens or TaskTokens(),
        languages=LANGUAGES,
        region="eu-west-1",
        now=lambda: NOW,
        wait_scale=wait_scale,
        clock_scale=clock_scale,
    )
    machine = Machine({"StartAt": next(iter(states)), "States": states, **top}, "JSONata")
    trace = Trace(History(events, NOW.isoformat))
    output, error, cancelled = None, None, False
    try:
        output = Interpreter(runtime, cancellation).run(machine, state_input, {}, Scope(), trace)
    except StatesError as failed:
        error = failed
    except CancelledError:
        cancelled = True
    return Ended(output, error, cancelled, events, cancellation.sleeps)


def task_state(**fields: Any) -> Document:
    """A Task state that ends the machine unless it has a Next."""
    return {"Type": "Task", "Resource": INVOKE, **({} if "Next" in fields else {"End": True}), **fields}


def failing(error: str = "Broken", cause: str = "as told") -> Callable[[TaskCall], Any]:
    def task(_call: TaskCall) -> Any:
        raise StatesError(error, cause)

    return task


def branch(**states: Any) -> Document:
    return {"StartAt": next(iter(states)), "States": states}
