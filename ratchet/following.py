"""Starting a run through its launcher, and following it to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from contract import outcomes, run_table, triggers
from contract.histories import Execution
from ratchet import history
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.run_logs import group_of_function
from ratchet.runs import Run, RunTable

LOCAL_POLL_SECONDS = 0.2
ACCOUNT_POLL_SECONDS = 2.0
# The machine records its run before it ends; where it couldn't, the launcher does when the event of the end reaches it.
RECORD_SECONDS = 15.0

Look = Callable[[str, Execution], None]


@dataclass(frozen=True)
class Launched:
    """The launcher's answer: the run was started, or the trigger waits (`triggers.WAITING`) behind that run."""

    status: str
    run_id: str
    execution_arn: str


def launch(account: Account, pipeline: str, trigger: Mapping[str, Any]) -> Launched:
    """Triggers a run through the pipeline's launcher, by `contract.triggers.message`.

    Raises:
        UserError: the launcher failed, or refuses a rollback; its error is in the message.
    """
    function = account.pipeline(pipeline)["LauncherFunctionName"]
    answer = account.client("lambda").invoke(FunctionName=function, Payload=json.dumps(trigger).encode())
    body = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        told = body.get("errorMessage", body) if isinstance(body, dict) else body
        if isinstance(body, dict) and body.get("errorType") == triggers.ROLLBACK_REFUSED_ERROR:
            raise UserError(f"{pipeline} isn't rolled back: {told}")
        raise UserError(f"the launcher of {pipeline} failed: {told}; {_where_it_logs(account, function)}")
    return Launched(str(body["status"]), str(body["run_id"]), str(body["execution_arn"]))


def _where_it_logs(account: Account, function: str) -> str:
    """The log group that there is; who may only invoke the function is told the function's name."""
    try:
        return f"its log: {group_of_function(account, function)}"
    except ClientError:
        return f"the function is {function}, whose settings name its log group"


def started_by_code(account: Account, pipeline: str) -> Launched | None:
    """The run that new code has started, when one is on its way: to start another beside it would train twice."""
    running = RunTable(account).state(pipeline).get(run_table.RUNNING) or {}
    if (running.get("trigger") or {}).get("kind") != triggers.CODE:
        return None
    return Launched(triggers.STARTED, str(running["run_id"]), str(running["execution_arn"]))


@dataclass(frozen=True)
class Follower:
    """Follows a pipeline's runs; `look` sees the execution whenever it has been read."""

    account: Account
    pipeline: str
    look: Look
    pause: Callable[[float], None] = time.sleep

    @property
    def poll_seconds(self) -> float:
        return LOCAL_POLL_SECONDS if self.account.is_local else ACCOUNT_POLL_SECONDS

    def to_the_end(self, launched: Launched) -> list[Run]:
        """The run that was launched, and the one that waited behind it if there was one, when they have ended."""
        followed = [self._run(launched.run_id, launched.execution_arn)]
        if launched.status == triggers.WAITING:
            after = self._run_after(launched.run_id)
            followed += [after] if after else []
        return followed

    def _run(self, run_id: str, execution_arn: str) -> Run:
        while True:
            execution = self._execution(execution_arn)
            if execution:
                self.look(run_id, execution)
                if execution.status:
                    return self._recorded(run_id, execution)
            self.pause(self.poll_seconds)

    def _execution(self, execution_arn: str) -> Execution | None:
        """None in the moment between the launcher's lock and StartExecution."""
        states = self.account.client("stepfunctions")
        try:
            return history.read(self.account, execution_arn)
        except states.exceptions.ExecutionDoesNotExist:
            return None

    def _recorded(self, run_id: str, execution: Execution) -> Run:
        """The run's record; what the execution itself says where nothing could record it."""
        table = RunTable(self.account)
        deadline = time.monotonic() + RECORD_SECONDS
        while time.monotonic() < deadline:
            run = table.run(self.pipeline, run_id)
            if run and run.outcome != outcomes.RUNNING:
                return run
            self.pause(self.poll_seconds)
        error = {"error": execution.error or execution.status, "cause": execution.cause or "it was never recorded"}
        return Run(
            self.pipeline, run_id, outcomes.FAILED, {"run_id": run_id, "pipeline": self.pipeline, "error": error}
        )

    def _run_after(self, run_id: str) -> Run | None:
        """The run that took what was pending; None when the one before had taken it over itself, or it is held."""
        table = RunTable(self.account)
        while True:
            state = table.state(self.pipeline)
            running = state.get(run_table.RUNNING) or {}
            if running and running["run_id"] != run_id:
                return self._run(str(running["run_id"]), str(running["execution_arn"]))
            pending = state.get(run_table.PENDING) or {}
            if not running and (not pending or pending.get(run_table.HELD)):
                newest = table.runs(self.pipeline, limit=1)
                return newest[0] if newest and newest[0].run_id > run_id else None
            self.pause(self.poll_seconds)
