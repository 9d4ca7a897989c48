"""One run of a pipeline at a time, and no trigger lost: each step can be cut off, and the next call finishes it.

trigger    1. write it to `pending`     (only then is it acknowledged)
           2. move `pending` to `running`, if nobody runs
           3. write the run's item, 4. StartExecution, named by the run id: saying it twice starts one execution
end        1. write down how the run ended, if its machine couldn't
           2. look at the endpoint, if the run ended otherwise than it should
           3. clear `running`; if the endpoint isn't the champion's, a repair goes before all else that waits
           4. back to 2. of a trigger
asked      a run waits for a person: keeps its task token, tells the topic
heard      a model package has changed: the run that waits for it goes on, or the champion before comes back
awaits     a run waits for its endpoint: keeps its task token; the run goes on when the endpoint has changed
reconcile  asks Step Functions about `running`, and does what is left of 3., 4. or of an end; if nobody runs, looks
           again at an endpoint that was left in doubt: an update that had just been accepted may not have shown
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from common.log import Log
from common.run_table import RunTable
from common.state import (
    State,
    Trigger,
    asked,
    closed,
    ended,
    has_promoted,
    repairing,
    settled,
    started,
    triggered,
)

from contract import outcomes
from contract.awaiting import ON_ITS_WAY
from contract.run_table import ENDS, UNFINISHED
from contract.states import NOT_RECORDED, RECORD
from contract.triggers import IDLE, STARTED, WAITING
from launcher.approvals import Approvals
from launcher.awaiting import Awaiting, EndpointUnknownError
from launcher.triggers import Asked, Awaits, Ended

Document = dict[str, Any]


class Executions(Protocol):
    """The pipeline's state machine."""

    def arn(self, run_id: str) -> str:
        """The ARN that the run's execution has, or will have."""

    def start(self, run_id: str, request: Document) -> None:
        """Starts the execution of that name, unless it was ever started."""

    def describe(self, execution_arn: str) -> Ended | None:
        """How it ended; None while it runs.

        Raises:
            ExecutionMissingError: it was never started.
        """


class ExecutionMissingError(Exception):
    """No execution of that name was ever started."""


@dataclass(frozen=True)
class Answer:
    """The answer to a trigger: the run that it `started`, or the one on its way while it is `pending`."""

    status: str
    run_id: str
    execution_arn: str


@dataclass(frozen=True)
class Launcher:
    pipeline: str
    table: RunTable
    executions: Executions
    # What is wrong with the endpoint, None if nothing is. EndpointUnknownError: it can't be looked at.
    drift: Callable[[State], str | None]
    new_run_id: Callable[[], str]
    now: Callable[[], str]
    log: Log
    # None where models are approved by the gate alone.
    approvals: Approvals | None = None
    # None where there is no endpoint.
    awaiting: Awaiting | None = None

    def trigger(self, triggers: Sequence[Trigger]) -> Answer:
        """Takes the triggers in, together, and starts a run if none is on its way."""
        self.table.update(lambda state: triggered(state, list(triggers)))
        self.log.info("pending", kinds=sorted({trigger.kind for trigger in triggers}), count=len(triggers))
        answer = self.start_next()
        if self.approvals and answer.status == WAITING:
            self.approvals.supersede(self.table.read_state())
        return answer

    def asked(self, question: Asked) -> None:
        """A run waits for a person."""
        if self.approvals:
            self.approvals.ask(question)

    def awaits(self, wait: Awaits) -> None:
        """A run waits for its endpoint."""
        if self.awaiting:
            self.awaiting.begin(wait)

    def endpoint_at_rest(self) -> None:
        """The endpoint changes no more: the run that waits for it goes on."""
        if self.awaiting:
            self.awaiting.heard()

    def heard(self, package: str) -> None:
        """A model package has changed: a run that waits goes on, or the champion before comes back."""
        trigger = self.approvals.heard(package) if self.approvals else None
        if trigger:
            self.trigger([trigger])

    def start_next(self) -> Answer:
        """Starts what is pending, if no run is on its way."""
        run_id, at = self.new_run_id(), self.now()
        arn = self.executions.arn(run_id)
        _, state = self.table.update(lambda state: started(state, run_id, arn, at))
        if state.running and state.running["run_id"] == run_id:
            self._launch(state.running)
            return Answer(STARTED, run_id, arn)
        if state.running:
            return Answer(WAITING, state.running["run_id"], state.running["execution_arn"])
        return Answer(IDLE, "", "")

    def _launch(self, running: Document) -> None:
        run_id = running["run_id"]
        self.table.write_new_run(run_id, first_record(self.pipeline, running))
        self.executions.start(run_id, execution_input(self.pipeline, running))
        self.log.info("started", run_id=run_id, trigger=running["trigger"]["kind"], forced=running["forced"])

    def end(self, execution: Ended) -> None:
        """The execution has ended: frees the lock if it was that run's, and starts what waited. Safe to repeat."""
        run_id = execution.execution_arn.rsplit(":", 1)[-1]
        record = self._recorded(run_id, execution)
        again, doubt = bool(record.get("cut_off")), execution.status != "SUCCEEDED"
        broken = doubt and self._is_in_disorder(self.table.read_state(), run_id)
        at = self.now() if broken or UNFINISHED in record else None
        self.table.update(lambda state: ended(state, run_id, again=again, doubt=doubt, repair_at=at))
        self.log.info("ended", run_id=run_id, status=execution.status, again=again, repair=at is not None)
        self.start_next()

    def _is_in_disorder(self, state: State, run_id: str) -> bool | None:
        """Whether the endpoint isn't what the run table says, perhaps by `run_id`; None if it can't be looked at."""
        try:
            drift = self.drift(state)
        except EndpointUnknownError as error:
            self.log.error("endpoint unknown", run_id=run_id, error=str(error))
            return None
        if drift:
            self.log.warning("endpoint in disorder", run_id=run_id, drift=drift)
        return drift is not None

    def _look_again(self, state: State) -> None:
        """At an endpoint in doubt: what shows now is believed."""
        if state.doubt:
            disorder = self._is_in_disorder(state, state.doubt["run_id"])
            if disorder:
                self.table.update(lambda state: repairing(state, self.now()))
            elif disorder is False:
                self.table.update(lambda state: state if state.running else settled(state))

    def _recorded(self, run_id: str, execution: Ended) -> Document:
        """The run's record, written here if its machine couldn't; its `cut_off` says whether it is to be tried again.

        A recorded run is done, whatever its outcome, and so is one that has promoted. An execution that a person
        aborted stays aborted. One whose recorder failed would fail again. What was cut off (the platform lost it) gets
        another try.
        """
        record = self.table.read_run(run_id)
        if record is not None and record["outcome"] == outcomes.RUNNING:
            # What the recorder does from here on is refused, so that what is read now is how the run ends.
            _, state = self.table.update(partial(closed, run_id=run_id))
            record = last_record(self.table.read_run(run_id) or record, execution, state, self.now())
            record = self.approvals.ended(record) if self.approvals else record
            self.table.write_run(run_id, record)
        return record or {}

    def reconcile(self) -> None:
        """Finishes whatever a crash between two steps left."""
        state = self.table.read_state()
        running = state.running
        if running is None:
            self._look_again(state)
            self.start_next()
            return
        try:
            execution = self.executions.describe(running["execution_arn"])
        except ExecutionMissingError:
            if not self._has_ended(state, running["run_id"]):
                self.log.warning("never started", run_id=running["run_id"])
                self._launch(running)
                return
            execution = Ended(running["execution_arn"], "FAILED", "ExecutionDoesNotExist", "the execution is gone")
        if execution is not None:
            self.log.warning("end unnoticed", run_id=running["run_id"], status=execution.status)
            self.end(execution)
        else:
            self._wake(state, running["run_id"])

    def _wake(self, state: State, run_id: str) -> None:
        """The run that waits, for a person or its endpoint, if what it waits for has come to be."""
        if self.awaiting:
            self.awaiting.look(run_id)
        if self.approvals and not self.approvals.look(run_id):
            self.approvals.supersede(state)

    def _has_ended(self, state: State, run_id: str) -> bool:
        """Whether a run without an execution had one: it has promoted, or is recorded, or was about to be."""
        record = self.table.read_run(run_id) or {}
        return has_promoted(state, run_id) or ENDS in record or record.get("outcome") not in (None, outcomes.RUNNING)


def execution_input(pipeline: str, running: Document) -> Document:
    """The same for the same run whenever it is asked for: StartExecution is idempotent by name and input."""
    return {
        "pipeline": pipeline,
        "run_id": running["run_id"],
        "trigger": running["trigger"],
        **asked(running),
    }


def first_record(pipeline: str, running: Document) -> Document:
    """The run's item while it is on its way."""
    return {
        "run_id": running["run_id"],
        "pipeline": pipeline,
        "outcome": outcomes.RUNNING,
        "trigger": running["trigger"],
        "started_at": running["started_at"],
        "execution_arn": running["execution_arn"],
    }


def last_record(record: Document, execution: Ended, state: State, at: str) -> Document:
    """The end of a run that was cut off before it could be recorded.

    What its recorder had written down as its end stands, unless that is a promotion that the state doesn't know.
    """
    begun = {name: value for name, value in record.items() if name not in ON_ITS_WAY}
    ends = record.get(ENDS)
    if has_promoted(state, record["run_id"]):
        return _finished(begun, outcomes.PROMOTED, execution, at)
    if ends and ends != outcomes.PROMOTED:
        return _finished(begun, ends, execution, at)
    stopped = execution.status == "ABORTED"
    causes = {
        "ABORTED": "the execution was stopped (StopExecution)",
        "TIMED_OUT": "the execution ran into its time limit",
        "SUCCEEDED": "the execution ended without a record",
    }
    cause = execution.cause or causes.get(execution.status, "the execution failed and gave no cause")
    error = {"state": "", "error": execution.error or execution.status, "cause": cause}
    outcome = outcomes.STOPPED if stopped else outcomes.FAILED
    cut_off = execution.status == "FAILED" and execution.error != NOT_RECORDED
    before = {"champion_after": state.champion} if ends else {}
    return {**begun, **before, "outcome": outcome, "ended_at": at, "error": error, "cut_off": cut_off}


def _finished(begun: Document, outcome: str, execution: Ended, at: str) -> Document:
    """The record of a run that had come to its end, and whose record was being written."""
    before = [begun["error"]["cause"]] if begun.get("error") else []
    late = f"the execution ended ({execution.status}) while the run was being recorded: it may have told nobody"
    error = {"state": RECORD, "error": execution.error or execution.status, "cause": "; and ".join([*before, late])}
    own = {"error": begun["error"]} if begun.get("error") else {}
    return {"ended_at": at, **begun, "outcome": outcome, "error": error, "cut_off": False, UNFINISHED: own}
