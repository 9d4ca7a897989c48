"""The data between states: payload limits, variables, and JSONata's Arguments, Output, Assign and Items.

Developer Guide, "Transforming data with JSONata in Step Functions" and "Passing data between states with variables".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from localaws.states.errors import DATA_LIMIT_EXCEEDED, QUERY_EVALUATION_ERROR, RUNTIME, StatesError
from localaws.states.history import json_text

MAX_PAYLOAD_BYTES = 262_144  # Service quotas: "Maximum input or output size for a task, state, or execution"

State = Mapping[str, Any]


class UndefinedError(Exception):
    """A JSONata expression returned nothing, which JSON cannot say."""


Evaluate = Callable[[str, Mapping[str, Any]], Any]
"""(expression, bindings) -> its value. Raises UndefinedError, or ValueError with JSONata's own code and message."""


class Scope:
    """The variables of an execution, or of one Parallel branch or Map iteration within it.

    An inner scope sees the outer ones' variables and cannot change them.
    """

    def __init__(self, outer: Scope | None = None) -> None:
        self._outer = outer
        self._own: dict[str, Any] = {}

    def visible(self) -> dict[str, Any]:
        return {**(self._outer.visible() if self._outer else {}), **self._own}

    def assign(self, variables: Mapping[str, Any]) -> None:
        for name in variables:
            if self._outer and name in self._outer.visible():
                raise StatesError(RUNTIME, f"The variable '{name}' belongs to an outer scope and is not assignable.")
        self._own.update(variables)


@dataclass
class Frame:
    """Where an execution stands: the state's raw input, the context object and the variables."""

    input: Any
    context: dict[str, Any]
    scope: Scope
    assigned: dict[str, Any] = field(default_factory=dict)

    def assign(self, variables: Mapping[str, Any]) -> None:
        for name, value in variables.items():
            check_payload(value, f"The variable '{name}' has a value")
        self.scope.assign(variables)
        self.assigned = dict(variables)


class DataFlow(Protocol):
    """A query language: how each kind of state makes its output. JSONPath's is elsewhere; `Jsonata` is below."""

    def arguments(self, state: State, frame: Frame) -> Any: ...
    def result(self, state: State, frame: Frame, result: Any) -> Any: ...
    def passed(self, state: State, frame: Frame) -> Any: ...
    def choice(self, state: State, frame: Frame) -> tuple[Any, str]: ...
    def number(self, state: State, name: str, frame: Frame) -> float | None: ...
    def wait_until(self, state: State, frame: Frame, now: datetime) -> float: ...
    def failure(self, state: State, frame: Frame) -> StatesError: ...
    def caught(self, catcher: State, frame: Frame, error: StatesError) -> Any: ...
    def items(self, state: State, frame: Frame) -> list[Any]: ...
    def item_input(self, state: State, frame: Frame, item: Frame) -> Any: ...


def check_payload(value: Any, what: str) -> None:
    """Refuse a payload above 256 KiB of UTF-8 JSON, with States.DataLimitExceeded."""
    if len(json_text(value).encode()) > MAX_PAYLOAD_BYTES:
        raise StatesError(
            DATA_LIMIT_EXCEEDED,
            f"{what} with a size exceeding the maximum number of bytes service limit ({MAX_PAYLOAD_BYTES}).",
        )


class Jsonata:
    """States whose query language is JSONata."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def arguments(self, state: State, frame: Frame) -> Any:
        return self._template(state["Arguments"], "Arguments", frame) if "Arguments" in state else frame.input

    def result(self, state: State, frame: Frame, result: Any) -> Any:
        return self._leave(state, frame, result, {"result": result})

    def passed(self, state: State, frame: Frame) -> Any:
        return self._leave(state, frame, frame.input, {})

    def choice(self, state: State, frame: Frame) -> tuple[Any, str]:
        for index, rule in enumerate(state["Choices"]):
            if self._condition(rule["Condition"], f"Choices/{index}/Condition", frame):
                return self._leave(rule, frame, frame.input, {}), rule["Next"]
        if "Default" not in state:
            raise StatesError("States.NoChoiceMatched", "No choice rule matched and there is no Default.")
        return self._leave(state, frame, frame.input, {}), state["Default"]

    def number(self, state: State, name: str, frame: Frame) -> float | None:
        if name not in state:
            return None
        return float(self._typed(state[name], name, "number", frame))

    def wait_until(self, state: State, frame: Frame, now: datetime) -> float:
        """Seconds to wait."""
        if "Seconds" in state:
            seconds = self._typed(state["Seconds"], "Seconds", "number", frame)
            if seconds < 0 or not float(seconds).is_integer():
                raise _evaluation_error(f"The Seconds field must be a non-negative integer, but was: {seconds}")
            return float(seconds)
        return seconds_until(self._typed(state["Timestamp"], "Timestamp", "string", frame), now)

    def failure(self, state: State, frame: Frame) -> StatesError:
        error, cause = (
            self._typed(state[name], name, "string", frame) if name in state else "" for name in ("Error", "Cause")
        )
        return StatesError(error, cause)

    def caught(self, catcher: State, frame: Frame, error: StatesError) -> Any:
        return self._leave(catcher, frame, error.output(), {"errorOutput": error.output()})

    def items(self, state: State, frame: Frame) -> list[Any]:
        if "Items" not in state:
            if not isinstance(frame.input, list):
                raise StatesError(RUNTIME, "A Map state without Items needs an array as its input.")
            return frame.input
        return list(self._typed(state["Items"], "Items", "array", frame))

    def item_input(self, state: State, frame: Frame, item: Frame) -> Any:
        selector = state.get("ItemSelector")
        if selector is None:
            return item.context["Map"]["Item"]["Value"]
        return self._template(selector, "ItemSelector", Frame(frame.input, item.context, item.scope))

    def _leave(self, fields: State, frame: Frame, default: Any, states: Mapping[str, Any]) -> Any:
        """Output, then Assign: both read the variables as they were when the state was entered."""
        output = self._template(fields["Output"], "Output", frame, states) if "Output" in fields else default
        if "Assign" in fields:
            frame.assign(self._template(fields["Assign"], "Assign", frame, states))
        return output

    def _condition(self, condition: Any, path: str, frame: Frame) -> bool:
        value = self._template(condition, path, frame)
        if not isinstance(value, bool):
            raise _evaluation_error(
                f"The JSONata expression '{condition}' specified for the field '{path}' must return a boolean, "
                f"but returned {json_type(value)}."
            )
        return value

    def _typed(self, template: Any, path: str, expected: str, frame: Frame) -> Any:
        value = self._template(template, path, frame)
        if json_type(value) != expected:
            raise _evaluation_error(
                f"The JSONata expression '{template}' specified for the field '{path}' returned an unexpected result "
                f"type. Expected '{expected}', but was '{json_type(value)}' for value: {json_text(value)}"
            )
        return value

    def _template(self, template: Any, path: str, frame: Frame, states: Mapping[str, Any] | None = None) -> Any:
        if isinstance(template, dict):
            return {key: self._template(value, f"{path}/{key}", frame, states) for key, value in template.items()}
        if isinstance(template, list):
            return [self._template(value, f"{path}[{index}]", frame, states) for index, value in enumerate(template)]
        if is_expression(template):
            return self._expression(template, path, frame, states or {})
        return template

    def _expression(self, template: str, path: str, frame: Frame, states: Mapping[str, Any]) -> Any:
        text = template[2:-2].strip()
        reserved = {"states": {"input": frame.input, "context": frame.context, **states}}
        where = f"The JSONata expression '{text}' specified for the field '{path}'"
        try:
            # Through JSON, since the engine's lists and numbers are not all plain ones, and NaN isn't JSON.
            return json.loads(json.dumps(self._evaluate(text, {**frame.scope.visible(), **reserved}), allow_nan=False))
        except UndefinedError:
            raise _evaluation_error(f"{where} returned nothing (undefined).") from None
        except (ValueError, TypeError) as exc:
            raise _evaluation_error(f"{where} threw an error during evaluation. {exc}") from exc


def _evaluation_error(cause: str) -> StatesError:
    return StatesError(QUERY_EVALUATION_ERROR, cause)


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def json_type(value: Any) -> str:
    """The JSON type's name, as Step Functions writes it in causes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def seconds_until(timestamp: str, now: datetime) -> float:
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _evaluation_error(
            f"The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {timestamp}"
        )
    return max(0.0, (moment.astimezone(UTC) - now).total_seconds())
