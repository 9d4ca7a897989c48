"""Executions: started, run by our interpreter, stopped; task tokens; what a restart leaves behind.

The records stay in MiniStack's store, from which its Describe, List and GetExecutionHistory answer.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.ministack_platform import MiniStackPlatform
from localaws.ministack_adapter.stepfunctions import jsonata, start_requests
from localaws.ministack_adapter.stepfunctions.integrations import Integrations
from localaws.ministack_adapter.stepfunctions.jsonpath import JsonPath
from localaws.ministack_adapter.stepfunctions.logs import Destination, ExecutionLogs, destination
from localaws.ministack_adapter.stepfunctions.roles import check_assumable
from localaws.ministack_adapter.stepfunctions.start_requests import RefusedStartError
from localaws.ministack_adapter.stepfunctions.status_events import StatusEvents
from localaws.settings import FILE_NAME, Settings
from localaws.states.attempts import TaskTokenError, TaskTokens
from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.dataflow import DataFlow, Jsonata, Scope, check_payload
from localaws.states.errors import RUNTIME, TIMEOUT, StatesError
from localaws.states.history import Event, History, Trace, json_text
from localaws.states.interpreter import Interpreter, Machine
from localaws.states.runtime import Runtime, TaskCall

logger = logging.getLogger(__name__)

Record = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
_MODULE = "stepfunctions"
CUT_OFF = "The embedded AWS was stopped while this execution was running."


def install(aws: EmbeddedAws, integrations: Integrations) -> None:
    from ministack.services import stepfunctions

    executions = Executions(aws, integrations)
    start = stepfunctions._start_execution

    stepfunctions._run_execution = executions.run
    stepfunctions._start_execution = lambda data: executions.start(start, data)
    stepfunctions._stop_execution = executions.stop
    stepfunctions._delete_state_machine = _stopping(executions, stepfunctions._delete_state_machine)
    stepfunctions._send_task_success = executions.send_task_success
    stepfunctions._send_task_failure = executions.send_task_failure
    stepfunctions._send_task_heartbeat = executions.send_task_heartbeat
    stepfunctions._emit_execution_status_event = executions.status_events.emit
    aws.when_ready(executions.end_those_cut_off)
    aws.when_closing(executions.close)


def _stopping(executions: Executions, delete: Callable[[Record], Response]) -> Callable[[Record], Response]:
    """DeleteStateMachine, which ends what the machine still runs (API reference: "executions are terminated")."""

    def delete_state_machine(data: Record) -> Response:
        executions.stop_all(data.get("stateMachineArn", ""))
        return delete(data)

    return delete_state_machine


class Executions:
    def __init__(self, aws: EmbeddedAws, integrations: Integrations) -> None:
        self._aws = aws
        self._integrations = integrations
        self._clock_scale = Settings.read(aws.state_dir / FILE_NAME).clock_scale
        platform = MiniStackPlatform(aws)
        self.status_events = StatusEvents(aws, platform)
        self._logs = ExecutionLogs(platform)
        self._tokens = TaskTokens()
        self._running: dict[str, _Run] = {}
        self._languages: Mapping[str, DataFlow] = {"JSONata": Jsonata(jsonata.evaluate), "JSONPath": JsonPath()}

    # --- StartExecution and StopExecution ---

    def start(self, start: Callable[[Record], Response], data: Record) -> Response:
        """MiniStack's StartExecution behind the checks that it lacks, and idempotent as AWS's is."""
        from ministack.services import stepfunctions

        try:
            start_requests.check(data)
        except RefusedStartError as refused:
            return _error(refused.code, str(refused))
        same = stepfunctions._executions.get(start_requests.execution_arn(data))
        if start_requests.is_answered_by(data, same):
            answer = {"executionArn": same["executionArn"], "startDate": same["startDate"]}
            return stepfunctions.json_response(answer)  # type: ignore[no-any-return]
        return start(data)

    def stop(self, data: Record) -> Response:
        from ministack.services import stepfunctions

        arn = data.get("executionArn")
        record = stepfunctions._executions.get(arn)
        if record is None:
            return _error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        if record["status"] == "RUNNING":
            self._abort(record, data.get("error"), data.get("cause"))
        return stepfunctions.json_response({"stopDate": record["stopDate"]})  # type: ignore[no-any-return]

    def stop_all(self, machine_arn: str) -> None:
        """End every running execution of a machine, and with each what it waits for."""
        for run in list(self._running.values()):
            if run.record["stateMachineArn"] == machine_arn:
                self._abort(run.record, "States.StateMachineDeleted", "The state machine was deleted.")

    def _abort(self, record: Record, error: str | None, cause: str | None) -> None:
        from ministack.services import stepfunctions

        run = self._running.get(record["executionArn"])
        details = {key: value for key, value in (("error", error), ("cause", cause)) if value}
        history = run.history if run else self._history(record)
        if history.close("ExecutionAborted", details):
            record.update(status="ABORTED", stopDate=stepfunctions.now_iso(), **details)
            self._ended(record)
        if run:
            run.cancellation.cancel()

    # --- the run ---

    def run(self, arn: str) -> None:
        """Run an execution whose record is in the store, to its end."""
        from ministack.services import stepfunctions

        record = stepfunctions._executions.get(arn)
        machine = stepfunctions._state_machines.get(record["stateMachineArn"]) if record else None
        if record is None or machine is None or record["status"] != "RUNNING":
            return
        run = _Run(record, machine, self._history(record))
        self._running[arn] = run
        try:
            self._finish(run, *self._outcome(run))
        finally:
            self._running.pop(arn, None)

    def _outcome(self, run: _Run) -> tuple[Any, StatesError | None]:
        definition = json.loads(run.machine["definition"])
        timer = run.timer(definition.get("TimeoutSeconds"))
        try:
            state_input = json.loads(run.record["input"])
            output = Interpreter(self._runtime(run), run.cancellation).run(
                Machine(definition, "JSONPath"), state_input, run.context(state_input), Scope(), Trace(run.history, 1)
            )
            check_payload(output, "The execution has an output")
            return output, None
        except StatesError as error:
            return None, error
        except CancelledError:
            return None, StatesError(TIMEOUT, "") if run.timed_out else None
        except Exception as exc:
            logger.exception("execution %s", run.record["executionArn"])
            return None, StatesError(RUNTIME, f"{type(exc).__name__}: {exc}")
        finally:
            timer.cancel()

    def _runtime(self, run: _Run) -> Runtime:
        from ministack.services import stepfunctions

        role_arn = run.machine["roleArn"]

        def run_task(call: TaskCall) -> Any:
            check_assumable(role_arn, run.record["stateMachineArn"])
            return self._integrations.run(role_arn, call)

        return Runtime(
            run_task=run_task,
            tokens=self._tokens,
            languages=self._languages,
            region=self._aws.region,
            wait_scale=stepfunctions._SFN_WAIT_SCALE,
            clock_scale=self._clock_scale,
        )

    def _finish(self, run: _Run, output: Any, error: StatesError | None) -> None:
        """Write the outcome, unless StopExecution has written its own."""
        from ministack.services import stepfunctions

        if error is None:
            text = json_text(output)
            ending = ("ExecutionSucceeded", "SUCCEEDED", {"output": text})
        else:
            details = {"error": error.error, "cause": error.cause}
            timed_out = run.timed_out and error.error == TIMEOUT
            ending = (
                ("ExecutionTimedOut", "TIMED_OUT", details) if timed_out else ("ExecutionFailed", "FAILED", details)
            )
        event_type, status, members = ending
        if run.history.close(event_type, members):
            run.record.update(status=status, stopDate=stepfunctions.now_iso(), **members)
            self._ended(run.record)

    def _history(self, record: Record) -> History:
        from ministack.services import stepfunctions

        machine = stepfunctions._state_machines.get(record["stateMachineArn"]) or {}
        where = destination(machine.get("loggingConfiguration") or {}, machine.get("name", ""), record["name"])

        def listener(event: Event) -> None:
            self._aws.changed(_MODULE)
            if where is not None:
                self._logs.add(where, event, record["executionArn"])

        self._log_start(where, record)
        return History(record["events"], stepfunctions.now_iso, listener)

    def _log_start(self, where: Destination | None, record: Record) -> None:
        if where is not None and len(record["events"]) == 1:
            self._logs.add(where, record["events"][0], record["executionArn"])

    def _ended(self, record: Record) -> None:
        self._aws.changed(_MODULE)
        self.status_events.emit(record)

    # --- task tokens ---

    def send_task_success(self, data: Record) -> Response:
        return _answer(lambda: self._tokens.succeed(data["taskToken"], data.get("output", "{}")))

    def send_task_failure(self, data: Record) -> Response:
        return _answer(lambda: self._tokens.fail(data["taskToken"], data.get("error", ""), data.get("cause", "")))

    def send_task_heartbeat(self, data: Record) -> Response:
        return _answer(lambda: self._tokens.heartbeat(data["taskToken"]))

    # --- start and stop of the server ---

    def end_those_cut_off(self) -> None:
        """Let the executions fail that a stop or a crash of the server cut off, and tell the event bus."""
        from ministack.core.responses import request_scope
        from ministack.services import stepfunctions

        with request_scope(self._aws.account, self._aws.region):
            for record in list(stepfunctions._executions.values()):
                if _was_cut_off(record) and record["executionArn"] not in self._running:
                    details = {"error": "States.ServiceRestart", "cause": CUT_OFF}
                    self._history(record).close("ExecutionFailed", details)
                    record.update(status="FAILED", stopDate=stepfunctions.now_iso(), **details)
                    self._ended(record)

    def close(self) -> None:
        self._logs.close()


class _Run:
    """One execution while it runs."""

    def __init__(self, record: Record, machine: Record, history: History) -> None:
        self.record = record
        # As it is now: an update of the machine doesn't reach executions that run.
        self.machine = dict(machine)
        self.history = history
        self.cancellation = Cancellation()
        self.timed_out = False

    def timer(self, timeout_seconds: float | None) -> threading.Timer:
        """Ends the run at the machine's TimeoutSeconds."""
        timer = threading.Timer(timeout_seconds or 0, self._time_out)
        timer.daemon = True
        if timeout_seconds is not None:
            timer.start()
        return timer

    def _time_out(self) -> None:
        self.timed_out = True
        self.cancellation.cancel()

    def context(self, state_input: Any) -> Record:
        """The context object (Developer Guide, "Accessing execution data from the Context object")."""
        return {
            "Execution": {
                "Id": self.record["executionArn"],
                "Input": state_input,
                "Name": self.record["name"],
                "RoleArn": self.machine["roleArn"],
                "StartTime": self.record["startDate"],
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": self.record["stateMachineArn"], "Name": self.machine["name"]},
        }


def _was_cut_off(record: Mapping[str, Any]) -> bool:
    """Whether an execution still says that it runs, or was ended by MiniStack's own restore, which tells nobody."""
    return record["status"] == "RUNNING" or (
        record.get("error") == "States.ServiceRestart" and record.get("cause") != CUT_OFF
    )


def _answer(action: Callable[[], None]) -> Response:
    from ministack.services import stepfunctions

    try:
        action()
    except TaskTokenError as exc:
        return _error(exc.code, str(exc))
    return stepfunctions.json_response({})  # type: ignore[no-any-return]


def _error(code: str, message: str) -> Response:
    from ministack.services import stepfunctions

    return stepfunctions.error_response_json(code, message, 400)  # type: ignore[no-any-return]
