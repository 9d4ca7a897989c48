"""One execution of a state machine, state by state, to its output or its error."""

from __future__ import annotations

import contextvars
import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.states.attempts import Attempt, TaskTokens
from localaws.states.cancellation import Cancellation, Cancelled
from localaws.states.dataflow import DataFlow, Frame, Scope, State, check_payload
from localaws.states.errors import HEARTBEAT_TIMEOUT, QUERY_EVALUATION_ERROR, RUNTIME, TIMEOUT, StatesError
from localaws.states.history import Trace, entered, exited, json_text
from localaws.states.retry import Retries, find_catcher

logger = logging.getLogger(__name__)

CALLBACK = ".waitForTaskToken"
DEFAULT_MAX_CONCURRENCY = 40  # Developer Guide, "Map state processing modes": inline, up to 40 concurrent iterations


@dataclass(frozen=True)
class TaskCall:
    """A task to be run: `resource` is the state's ARN with its `.sync` or `.waitForTaskToken`."""

    resource: str
    arguments: Any
    attempt: Attempt
    submitted: Callable[[Any], None]
    """To be called by an integration that waits for a job, with the response that started it."""


@dataclass(frozen=True)
class Runtime:
    """What an execution needs of the world around it."""

    run_task: Callable[[TaskCall], Any]
    tokens: TaskTokens
    languages: Mapping[str, DataFlow]
    region: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wait_scale: float = 1.0
    """What one second of a Wait state or a retry's interval takes here, in seconds."""


class Machine:
    """A definition, or a branch or an item processor in it: states with a start."""

    def __init__(self, definition: Mapping[str, Any], language: str) -> None:
        self.start_at: str = definition["StartAt"]
        self.states: Mapping[str, State] = definition["States"]
        self.language: str = definition.get("QueryLanguage", language)


class Interpreter:
    def __init__(self, runtime: Runtime, cancellation: Cancellation) -> None:
        self.runtime = runtime
        self.cancellation = cancellation

    def run(self, machine: Machine, state_input: Any, context: dict[str, Any], scope: Scope, trace: Trace) -> Any:
        """The machine's output. Raises StatesError or Cancelled."""
        name: str | None = machine.start_at
        value = state_input
        while name is not None:
            self.cancellation.check()
            value, name = _Step(self, machine, name, Frame(value, context, scope), trace).run()
        return value


class _Step:
    """One state being run."""

    def __init__(self, interpreter: Interpreter, machine: Machine, name: str, frame: Frame, trace: Trace) -> None:
        runtime = interpreter.runtime
        self._runtime = runtime
        self._cancellation = interpreter.cancellation
        self._name = name
        self._state: State = machine.states[name]
        self._trace = trace
        self._language: str = self._state.get("QueryLanguage", machine.language)
        self._flow = runtime.languages[self._language]
        entered_at = runtime.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        context = {**frame.context, "State": {"EnteredTime": entered_at, "Name": name, "RetryCount": 0}}
        self._frame = Frame(frame.input, context, frame.scope)

    def run(self) -> tuple[Any, str | None]:
        kind = self._state["Type"]
        entered_id = self._trace.add(f"{kind}StateEntered", entered(self._name, self._frame.input))
        run = getattr(self, f"_{kind.lower()}")
        try:
            output, following = run()
            check_payload(output, f"The state '{self._name}' returned a result")
        except StatesError as error:
            raise self._located(error, entered_id) from error
        except Cancelled:
            if kind in ("Task", "Wait", "Parallel", "Map"):
                self._trace.add(f"{kind}StateAborted")
            raise
        self._trace.add(f"{kind}StateExited", exited(self._name, output, self._frame.assigned))
        return output, following

    def _located(self, error: StatesError, entered_id: int) -> StatesError:
        """The error as the execution ends with it: the interpreter's own errors say in which state they occurred."""
        prefix = f"An error occurred while executing the state '{self._name}' (entered at the event id #{entered_id}). "
        if error.error in (RUNTIME, QUERY_EVALUATION_ERROR) and not error.cause.startswith("An error occurred"):
            return StatesError(error.error, prefix + error.cause)
        return error

    # --- states without a result ---

    def _pass(self) -> tuple[Any, str | None]:
        return self._flow.passed(self._state, self._frame), _following(self._state)

    def _succeed(self) -> tuple[Any, str | None]:
        return self._flow.passed(self._state, self._frame), None

    def _fail(self) -> tuple[Any, str | None]:
        raise self._flow.failure(self._state, self._frame)

    def _choice(self) -> tuple[Any, str | None]:
        return self._flow.choice(self._state, self._frame)

    def _wait(self) -> tuple[Any, str | None]:
        seconds = self._flow.wait_until(self._state, self._frame, self._runtime.now())
        self._cancellation.sleep(seconds * self._runtime.wait_scale)
        return self._flow.passed(self._state, self._frame), _following(self._state)

    # --- states with a result, which may be retried and caught ---

    def _task(self) -> tuple[Any, str | None]:
        return self._with_retry_and_catch(self._try_task)

    def _parallel(self) -> tuple[Any, str | None]:
        return self._with_retry_and_catch(self._try_parallel)

    def _map(self) -> tuple[Any, str | None]:
        return self._with_retry_and_catch(self._try_map)

    def _with_retry_and_catch(self, attempt: Callable[[], Any]) -> tuple[Any, str | None]:
        retries = Retries(self._state.get("Retry", []))
        while True:
            self._frame.context["State"]["RetryCount"] = retries.count
            try:
                output = self._flow.result(self._state, self._frame, attempt())
                check_payload(output, f"The state '{self._name}' returned a result")
                return output, _following(self._state)
            except StatesError as error:
                if error.error == QUERY_EVALUATION_ERROR:
                    self._trace.add("EvaluationFailed", {**_failure(error), "state": self._name})
                delay = retries.delay(error.error)
                if delay is None:
                    return self._caught(error)
                self._cancellation.sleep(delay * self._runtime.wait_scale)

    def _caught(self, error: StatesError) -> tuple[Any, str | None]:
        catcher = find_catcher(self._state.get("Catch", []), error.error)
        if catcher is None:
            raise error
        return self._flow.caught(catcher, self._frame, error), str(catcher["Next"])

    # --- Task ---

    def _try_task(self) -> Any:
        resource = self._state["Resource"]
        attempt = Attempt(self._cancellation)
        token = self._open_token(resource, attempt)
        try:
            arguments = self._flow.arguments(self._state, self._frame)
            check_payload(arguments, f"The task '{self._name}' has arguments")
            names = _resource_names(resource)
            timeout, heartbeat = (self._flow.number(self._state, field, self._frame) for field in _DEADLINES)
            self._trace.add("TaskScheduled", self._scheduled(names, arguments, timeout, heartbeat))
            self._trace.add("TaskStarted", names)
            self._start(resource, arguments, attempt, names)
            output = self._outcome(attempt, names, timeout, heartbeat if token else None)
        finally:
            if token:
                self._runtime.tokens.end(token)
                self._frame.context.pop("Task", None)
        self._trace.add("TaskSucceeded", {**names, "output": json_text(output), "outputDetails": {"truncated": False}})
        return output

    def _open_token(self, resource: str, attempt: Attempt) -> str | None:
        if not resource.endswith(CALLBACK):
            return None
        token = uuid.uuid4().hex
        self._frame.context["Task"] = {"Token": token}
        self._runtime.tokens.register(token, attempt)
        return token

    def _scheduled(
        self, names: Mapping[str, str], arguments: Any, timeout: float | None, heartbeat: float | None
    ) -> dict[str, Any]:
        details: dict[str, Any] = {**names, "region": self._runtime.region, "parameters": json_text(arguments)}
        if timeout is not None:
            details["timeoutInSeconds"] = int(timeout)
        if heartbeat is not None:
            details["heartbeatInSeconds"] = int(heartbeat)
        return details

    def _start(self, resource: str, arguments: Any, attempt: Attempt, names: Mapping[str, str]) -> None:
        """Run the task on a thread of its own, so that a timeout or a stop needn't wait for it."""

        def submitted(output: Any) -> None:
            if not attempt.abandoned:
                self._trace.add(
                    "TaskSubmitted", {**names, "output": json_text(output), "outputDetails": {"truncated": False}}
                )

        def work() -> None:
            try:
                output = self._runtime.run_task(TaskCall(resource, arguments, attempt, submitted))
            except StatesError as error:
                attempt.fail(error)
            except Exception as exc:
                logger.exception("task %s failed unexpectedly", resource)
                attempt.fail(StatesError(RUNTIME, f"{type(exc).__name__}: {exc}"))
            else:
                if resource.endswith(CALLBACK):
                    submitted(output)
                else:
                    attempt.succeed(output)

        _spawn(work, f"states-task-{self._name}")

    def _outcome(
        self, attempt: Attempt, names: Mapping[str, str], timeout: float | None, heartbeat: float | None
    ) -> Any:
        try:
            output = attempt.wait(timeout, heartbeat)
            check_payload(output, f"The state/task '{self._name}' returned a result")
        except StatesError as error:
            timed_out = error.error in (TIMEOUT, HEARTBEAT_TIMEOUT)
            self._trace.add("TaskTimedOut" if timed_out else "TaskFailed", {**names, **_failure(error)})
            raise
        return output

    # --- Parallel and Map ---

    def _try_parallel(self) -> Any:
        self._trace.add("ParallelStateStarted")
        branch_input = self._flow.arguments(self._state, self._frame)
        machines = [Machine(branch, self._language) for branch in self._state["Branches"]]

        def branch(machine: Machine) -> Callable[[Cancellation], Any]:
            trace = self._trace.branch()
            return lambda cancellation: self._run_inner(machine, branch_input, self._frame.context, trace, cancellation)

        return self._together("Parallel", [branch(machine) for machine in machines], len(machines))

    def _try_map(self) -> Any:
        items = self._flow.items(self._state, self._frame)
        self._trace.add("MapStateStarted", {"length": len(items)})
        machine = Machine(self._state.get("ItemProcessor") or self._state["Iterator"], self._language)
        limit = self._flow.number(self._state, "MaxConcurrency", self._frame) or DEFAULT_MAX_CONCURRENCY
        runs = [self._iteration(machine, index, item) for index, item in enumerate(items)]
        return self._together("Map", runs, int(limit))

    def _iteration(self, machine: Machine, index: int, item: Any) -> Callable[[Cancellation], Any]:
        def run(cancellation: Cancellation) -> Any:
            context = {**self._frame.context, "Map": {"Item": {"Index": index, "Value": item}}}
            trace = self._trace.branch()
            details = {"name": self._name, "index": index}
            trace.add("MapIterationStarted", details)
            item_frame = Frame(item, context, self._frame.scope)
            try:
                item_input = self._flow.item_input(self._state, self._frame, item_frame)
                output = self._run_inner(machine, item_input, context, trace, cancellation)
            except (StatesError, Cancelled) as exc:
                trace.add("MapIterationAborted" if isinstance(exc, Cancelled) else "MapIterationFailed", details)
                raise
            trace.add("MapIterationSucceeded", details)
            return output

        return run

    def _run_inner(
        self, machine: Machine, state_input: Any, context: dict[str, Any], trace: Trace, cancellation: Cancellation
    ) -> Any:
        return Interpreter(self._runtime, cancellation).run(
            machine, state_input, context, Scope(self._frame.scope), trace
        )

    def _together(self, kind: str, runs: Sequence[Callable[[Cancellation], Any]], limit: int) -> list[Any]:
        """Run all, at most `limit` at a time; the first that fails stops the others and the state."""
        shared = Cancellation(self._cancellation)
        try:
            results = run_together(runs, limit, shared)
            self._cancellation.check()
        except StatesError as error:
            self._trace.add(f"{kind}StateFailed", _failure(error))
            raise
        finally:
            shared.close()
        self._trace.add(f"{kind}StateSucceeded")
        return results


def run_together(runs: Sequence[Callable[[Cancellation], Any]], limit: int, shared: Cancellation) -> list[Any]:
    """The results in the order of `runs`. Raises the first failure, after every started run has ended."""
    results: list[Any] = [None] * len(runs)
    failures: list[BaseException] = []
    pending = iter(enumerate(runs))
    lock = threading.Lock()

    def work() -> None:
        while not shared.cancelled:
            with lock:
                index, run = next(pending, (-1, None))
            if run is None:
                return
            try:
                results[index] = run(shared)
            except Cancelled:
                return
            except Exception as exc:  # noqa: BLE001 - whatever it is, it ends the state
                failures.append(exc if isinstance(exc, StatesError) else _unexpected(exc))
                shared.cancel()

    threads = [_spawn(work, "states-branch") for _ in range(min(limit, len(runs)))]
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def _unexpected(exc: Exception) -> StatesError:
    logger.error("a branch failed unexpectedly", exc_info=exc)
    return StatesError(RUNTIME, f"{type(exc).__name__}: {exc}")


def _spawn(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that keeps the caller's context variables: the account and the region of the execution."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread


_DEADLINES = ("TimeoutSeconds", "HeartbeatSeconds")


def _failure(error: StatesError) -> dict[str, str]:
    return {"error": error.error, "cause": error.cause}


def _following(state: State) -> str | None:
    return None if state.get("End") else str(state["Next"])


def _resource_names(resource: str) -> dict[str, str]:
    """`resourceType` and `resource` as the history names them: `sagemaker` and `createTrainingJob.sync`."""
    parts = resource.split(":")
    if resource.startswith("arn:aws:states:::aws-sdk:"):
        return {"resourceType": f"aws-sdk:{parts[6]}", "resource": parts[7]}
    if resource.startswith("arn:aws:states:::"):
        return {"resourceType": parts[5], "resource": ":".join(parts[6:])}
    return {"resourceType": parts[2] if len(parts) > 2 else "", "resource": resource}
