"""States whose query language is JSONPath, by MiniStack's own path and intrinsic functions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from localaws.states.dataflow import Frame, State, seconds_until
from localaws.states.errors import RUNTIME, StatesError


class JsonPath:
    """InputPath, Parameters, ResultSelector, ResultPath and OutputPath. `Assign` is refused when a machine is made."""

    def arguments(self, state: State, frame: Frame) -> Any:
        return _call("_apply_parameters", state, self._effective(state, frame), frame.context)

    def result(self, state: State, frame: Frame, result: Any) -> Any:
        selected = _call("_apply_result_selector", state, result)
        merged = _call("_apply_result_path", state, frame.input, selected)
        return _call("_apply_output_path", state, merged, frame.context)

    def passed(self, state: State, frame: Frame) -> Any:
        if state["Type"] == "Pass":
            return self.result(state, frame, state.get("Result", self.arguments(state, frame)))
        return _call("_apply_output_path", state, self._effective(state, frame), frame.context)

    def choice(self, state: State, frame: Frame) -> tuple[Any, str]:
        effective = self._effective(state, frame)
        output = _call("_apply_output_path", state, effective, frame.context)
        for rule in state["Choices"]:
            if _call("_evaluate_rule", rule, effective, frame.context):
                return output, rule["Next"]
        if "Default" not in state:
            raise StatesError("States.NoChoiceMatched", "No choice rule matched and there is no Default.")
        return output, state["Default"]

    def number(self, state: State, name: str, frame: Frame) -> float | None:
        value = state.get(name)
        if f"{name}Path" in state:
            value = self._selected(state[f"{name}Path"], frame)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StatesError(RUNTIME, f"The field {name} must be a number, but was: {value!r}")
        return float(value)

    def wait_until(self, state: State, frame: Frame, now: datetime) -> float:
        seconds = self.number(state, "Seconds", frame)
        if seconds is not None:
            return seconds
        timestamp = state.get("Timestamp")
        return seconds_until(str(timestamp or self._selected(state["TimestampPath"], frame)), now)

    def failure(self, state: State, frame: Frame) -> StatesError:
        error, cause = (_call("_fail_state_field", state, name, "", frame.input, frame.context) for name in _FAILURE)
        return StatesError(error, cause)

    def caught(self, catcher: State, frame: Frame, error: StatesError) -> Any:
        return _call("_apply_result_path_raw", catcher.get("ResultPath", "$"), frame.input, error.output())

    def items(self, state: State, frame: Frame) -> list[Any]:
        items = _call("_resolve_path_or_ctx", state.get("ItemsPath", "$"), self._effective(state, frame), frame.context)
        if not isinstance(items, list):
            raise StatesError(RUNTIME, "ItemsPath of a Map state must select an array.")
        return items

    def item_input(self, state: State, frame: Frame, item: Frame) -> Any:
        selector = state.get("ItemSelector") or state.get("Parameters")
        if selector is None:
            return item.context["Map"]["Item"]["Value"]
        return _call("_resolve_params_obj", selector, self._effective(state, frame), item.context)

    def _effective(self, state: State, frame: Frame) -> Any:
        return _call("_apply_input_path", state, frame.input, frame.context)

    def _selected(self, path: str, frame: Frame) -> Any:
        return _call("_resolve_path_or_ctx", path, frame.input, frame.context)


_FAILURE = ("Error", "Cause")


def _call(function: str, *arguments: Any) -> Any:
    from ministack.services import stepfunctions

    try:
        return getattr(stepfunctions, function)(*arguments)
    except stepfunctions._ExecutionError as exc:
        raise StatesError(exc.error, exc.cause) from exc
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
        raise StatesError("States.ParameterPathFailure", str(exc)) from exc
