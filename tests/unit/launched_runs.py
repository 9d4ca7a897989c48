"""The launcher's surroundings in memory: DynamoDB's calls, Step Functions' two, cut off or interleaved at will."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from common.log import Log
from common.run_table import RunTable
from common.state import State, planning
from launcher.launcher import ExecutionMissingError, Launcher
from launcher.triggers import Ended
from memory_aws import Aws

PIPELINE = "digits"


@dataclass
class StepFunctions:
    """Executions by name: what each was started with, and how it stands."""

    step: Callable[[], None]
    status: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def arn(self, run_id: str) -> str:
        return f"arn:aws:states:us-east-1:123456789012:execution:machine:{run_id}"

    def start(self, run_id: str, request: dict[str, Any]) -> None:
        self.step()
        if run_id in self.inputs:
            assert self.inputs[run_id] == request, "a repeated start must say the same"
        else:
            self.inputs[run_id], self.status[run_id] = request, "RUNNING"
        self.step()

    def describe(self, execution_arn: str) -> Ended | None:
        self.step()
        run_id = execution_arn.rpartition(":")[2]
        if run_id not in self.status:
            raise ExecutionMissingError
        return None if self.status[run_id] == "RUNNING" else Ended(execution_arn, self.status[run_id], "E", "cause")

    @property
    def running(self) -> list[str]:
        return [run_id for run_id, status in self.status.items() if status == "RUNNING"]


class LaunchedRuns:
    """A pipeline's launcher and the runs that it starts."""

    def __init__(self) -> None:
        self.before_step: Callable[[], None] = lambda: None
        # What is wrong with the endpoint.
        self.disorder: str | None = None
        aws = Aws()
        aws.step = lambda _operation: self._step()
        self.executions = StepFunctions(self._step)
        self.table = RunTable(aws.client("dynamodb"), "runs", PIPELINE, pause=lambda _seconds: None)
        self._ticks = itertools.count()
        self._ids = itertools.count()
        self.launcher = Launcher(
            pipeline=PIPELINE,
            table=self.table,
            executions=self.executions,
            drift=self.drift,
            new_run_id=lambda: f"run-{next(self._ids):04d}",
            now=self.now,
            log=_Silent(),
        )

    def drift(self, _state: State) -> str | None:
        self._step()
        return self.disorder

    def _step(self) -> None:
        self.before_step()

    def now(self) -> str:
        return f"2026-11-20T10:00:{next(self._ticks):012d}Z"

    @property
    def state(self) -> State:
        quiet, self.before_step = self.before_step, lambda: None
        try:
            return self.table.read_state()
        finally:
            self.before_step = quiet

    def plan(self, run_id: str) -> None:
        """The planner's first step."""
        self.table.update(partial(planning, run_id=run_id))

    def finish(self, run_id: str, status: str, outcome: str | None) -> None:
        """The machine records the run (unless it is cut off: no outcome), and its execution ends."""
        if outcome:
            record = self.table.read_run(run_id)
            assert record is not None, "a run is written down before it is started"
            self.table.write_run(run_id, {**record, "outcome": outcome})
        self.executions.status[run_id] = status

    def ended(self, run_id: str) -> Ended:
        return Ended(self.executions.arn(run_id), self.executions.status[run_id], "E", "cause")


class _Silent(Log):
    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        pass
