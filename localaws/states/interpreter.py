"""One execution of a state machine, state by state, to its output or its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.dataflow import Frame, Scope, State, check_payload
from localaws.states.errors import QUERY_EVALUATION_ERROR, RUNTIME, StatesError
from localaws.states.history import Trace, entered, exited, failure
from localaws.states.retry import Retries, find_catcher
from localaws.states.runtime import Runtime, Step
from localaws.states.tasks import TaskTry
from localaws.states.together import run_together

DEFAULT_MAX_CONCURRENCY = 40  # Developer Guide, "Map state processing modes": inline, up to 40 concurrent iterations
# States that a stop can end while they run.
_ABORTED = ("Task", "Wait", "Parallel", "Map")


class Machine:
    """A definition, or a branch or an item processor in it: states with a start."""

    def __init__(self, definition: Mapping[str, Any], language: str) -> None:
        self.start_at: str = definition["StartAt"]
        self.states: Mapping[str, State] = definition["States"]
        self.language: str = definition.get("QueryLanguage", language)


class Interpreter:
    """Runs machines, and the machines in their states, until they end or are cancelled."""

    def __init__(self, runtime: Runtime, cancellation: Cancellation) -> None:
        self.runtime = runtime
        self.cancellation = cancellation

    def run(self, machine: Machine, state_input: Any, context: dict[str, Any], scope: Scope, trace: Trace) -> Any:
        """The machine's output. Raises StatesError or CancelledError."""
        name: str | None = machine.start_at
        value = state_input
        while name is not None:
            self.cancellation.check()
            value, name = StateRun(self._step(machine, name, Frame(value, context, scope), trace)).run()
        return value

    def _step(self, machine: Machine, name: str, frame: Frame, trace: Trace) -> Step:
        state = machine.states[name]
        entered_at = self.runtime.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        context = {**frame.context, "State": {"EnteredTime": entered_at, "Name": name, "RetryCount": 0}}
        return Step(
            runtime=self.runtime,
            cancellation=self.cancellation,
            name=name,
            state=state,
            language=state.get("QueryLanguage", machine.language),
            frame=Frame(frame.input, context, frame.scope),
            trace=trace,
        )


class StateRun:
    """Runs one state: to its output and the next state's name, or to its error."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._name = step.name
        self._state = step.state
        self._frame = step.frame
        self._trace = step.trace
        self._flow = step.flow

    def run(self) -> tuple[Any, str | None]:
        kind = self._state["Type"]
        entered_id = self._trace.add(f"{kind}StateEntered", entered(self._name, self._frame.input))
        run = getattr(self, f"_{kind.lower()}")
        try:
            output, following = run()
            check_payload(output, f"The state '{self._name}' returned a result")
        except StatesError as error:
            raise self._located(error, entered_id) from error
        except CancelledError:
            if kind in _ABORTED:
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
        seconds = self._flow.wait_until(self._state, self._frame, self._step.runtime.now())
        is_until = "Timestamp" in self._state or "TimestampPath" in self._state
        (self._step.sleep if is_until else self._step.let_pass)(seconds)
        return self._flow.passed(self._state, self._frame), _following(self._state)

    # --- states with a result, which may be retried and caught ---

    def _task(self) -> tuple[Any, str | None]:
        return self._with_retry_and_catch(lambda: TaskTry(self._step).run())

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
                    self._trace.add("EvaluationFailed", {**failure(error), "state": self._name})
                delay = retries.delay(error.error)
                if delay is None:
                    return self._caught(error)
                self._step.sleep(delay)

    def _caught(self, error: StatesError) -> tuple[Any, str | None]:
        catcher = find_catcher(self._state.get("Catch", []), error.error)
        if catcher is None:
            raise error
        return self._flow.caught(catcher, self._frame, error), str(catcher["Next"])

    # --- Parallel and Map ---

    def _try_parallel(self) -> Any:
        self._trace.add("ParallelStateStarted")
        branch_input = self._flow.arguments(self._state, self._frame)
        machines = [Machine(branch, self._step.language) for branch in self._state["Branches"]]

        def branch(machine: Machine) -> Callable[[Cancellation], Any]:
            trace = self._trace.branch()
            return lambda cancellation: self._run_inner(machine, branch_input, self._frame.context, trace, cancellation)

        return self._together("Parallel", [branch(machine) for machine in machines], len(machines))

    def _try_map(self) -> Any:
        items = self._flow.items(self._state, self._frame)
        self._trace.add("MapStateStarted", {"length": len(items)})
        machine = Machine(self._state.get("ItemProcessor") or self._state["Iterator"], self._step.language)
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
            except (StatesError, CancelledError) as exc:
                trace.add("MapIterationAborted" if isinstance(exc, CancelledError) else "MapIterationFailed", details)
                raise
            trace.add("MapIterationSucceeded", details)
            return output

        return run

    def _run_inner(
        self, machine: Machine, state_input: Any, context: dict[str, Any], trace: Trace, cancellation: Cancellation
    ) -> Any:
        return Interpreter(self._step.runtime, cancellation).run(
            machine, state_input, context, Scope(self._frame.scope), trace
        )

    def _together(self, kind: str, runs: Sequence[Callable[[Cancellation], Any]], limit: int) -> list[Any]:
        """Run all, at most `limit` at a time; the first that fails stops the others and the state."""
        shared = Cancellation(self._step.cancellation)
        try:
            results = run_together(runs, limit, shared)
            self._step.cancellation.check()
        except StatesError as error:
            self._trace.add(f"{kind}StateFailed", failure(error))
            raise
        finally:
            shared.close()
        self._trace.add(f"{kind}StateSucceeded")
        return results


def _following(state: State) -> str | None:
    return None if state.get("End") else str(state["Next"])
