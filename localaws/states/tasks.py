"""One try of a Task state: its arguments, its token, its work on a thread of its own, and its outcome."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from localaws.states.attempts import Attempt
from localaws.states.dataflow import check_payload
from localaws.states.errors import HEARTBEAT_TIMEOUT, RUNTIME, TIMEOUT, StatesError
from localaws.states.history import failure, json_text
from localaws.states.runtime import Step, TaskCall
from localaws.states.together import spawn

logger = logging.getLogger(__name__)

CALLBACK = ".waitForTaskToken"
_DEADLINES = ("TimeoutSeconds", "HeartbeatSeconds")


class TaskTry:
    """Runs a step's task once."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._resource: str = step.state["Resource"]
        self._names = resource_names(self._resource)
        self._attempt = Attempt(step.cancellation)

    def run(self) -> Any:
        """The task's output. Raises StatesError or CancelledError."""
        step = self._step
        token = self._open_token() if self._resource.endswith(CALLBACK) else None
        try:
            arguments = step.flow.arguments(step.state, step.frame)
            check_payload(arguments, f"The task '{step.name}' has arguments")
            timeout, heartbeat = (step.flow.number(step.state, field, step.frame) for field in _DEADLINES)
            step.trace.add("TaskScheduled", self._scheduled(arguments, timeout, heartbeat))
            step.trace.add("TaskStarted", self._names)
            spawn(lambda: self._work(arguments), f"states-task-{step.name}")
            output = self._outcome(timeout, heartbeat if token else None)
        finally:
            if token:
                step.runtime.tokens.end(token)
                step.frame.context.pop("Task", None)
        step.trace.add("TaskSucceeded", self._with_output(output))
        return output

    def _open_token(self) -> str:
        token = uuid.uuid4().hex
        self._step.frame.context["Task"] = {"Token": token}
        self._step.runtime.tokens.register(token, self._attempt)
        return token

    def _scheduled(self, arguments: Any, timeout: float | None, heartbeat: float | None) -> dict[str, Any]:
        details: dict[str, Any] = {**self._names, "region": self._step.runtime.region}
        details["parameters"] = json_text(arguments)
        if timeout is not None:
            details["timeoutInSeconds"] = int(timeout)
        if heartbeat is not None:
            details["heartbeatInSeconds"] = int(heartbeat)
        return details

    def _work(self, arguments: Any) -> None:
        """Call the task, on a thread of its own, so that a timeout or a stop needn't wait for it."""
        try:
            output = self._step.runtime.run_task(TaskCall(self._resource, arguments, self._attempt, self._submitted))
        except StatesError as error:
            self._attempt.fail(error)
        except Exception as exc:
            logger.exception("task %s failed unexpectedly", self._resource)
            self._attempt.fail(StatesError(RUNTIME, f"{type(exc).__name__}: {exc}"))
        else:
            if self._resource.endswith(CALLBACK):
                self._submitted(output)
            else:
                self._attempt.succeed(output)

    def _submitted(self, output: Any) -> None:
        if not self._attempt.abandoned:
            self._step.trace.add("TaskSubmitted", self._with_output(output))

    def _outcome(self, timeout: float | None, heartbeat: float | None) -> Any:
        try:
            output = self._attempt.wait(timeout, heartbeat)
            check_payload(output, f"The state/task '{self._step.name}' returned a result")
        except StatesError as error:
            timed_out = error.error in (TIMEOUT, HEARTBEAT_TIMEOUT)
            self._step.trace.add("TaskTimedOut" if timed_out else "TaskFailed", {**self._names, **failure(error)})
            raise
        return output

    def _with_output(self, output: Any) -> dict[str, Any]:
        return {**self._names, "output": json_text(output), "outputDetails": {"truncated": False}}


def resource_names(resource: str) -> Mapping[str, str]:
    """`resourceType` and `resource` as the history names them: `sagemaker` and `createTrainingJob.sync`."""
    parts = resource.split(":")
    if resource.startswith("arn:aws:states:::aws-sdk:"):
        return {"resourceType": f"aws-sdk:{parts[6]}", "resource": parts[7]}
    if resource.startswith("arn:aws:states:::"):
        return {"resourceType": parts[5], "resource": ":".join(parts[6:])}
    return {"resourceType": parts[2] if len(parts) > 2 else "", "resource": resource}
