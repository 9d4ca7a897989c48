"""States whose query language is JSONPath. MiniStack parses calls of intrinsic functions, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localaws.states import choices, intrinsics, paths
from localaws.states.dataflow import Frame, State, seconds_until
from localaws.states.errors import RUNTIME, StatesError
from localaws.states.history import json_text

RESULT_PATH_MATCH_FAILURE = "States.ResultPathMatchFailure"
_FAILURE = ("Error", "Cause")
_COMBINED = {"And": all, "Or": any}
_NO_OPERATORS = ("Variable", "Next", "Comment", "Assign")


class JsonPath:
    """InputPath, Parameters, ResultSelector, ResultPath and OutputPath. `Assign` is refused when a machine is made."""

    def arguments(self, state: State, frame: Frame) -> Any:
        return _template_of(state, "Parameters", _roots(frame, _effective(state, frame)))

    def result(self, state: State, frame: Frame, result: Any) -> Any:
        chosen = _template_of(state, "ResultSelector", _roots(frame, result))
        return _output(state, _merged(state, frame.input, chosen), frame)

    def passed(self, state: State, frame: Frame) -> Any:
        if state["Type"] == "Pass":
            return self.result(state, frame, state.get("Result", self.arguments(state, frame)))
        return _output(state, _effective(state, frame), frame)

    def choice(self, state: State, frame: Frame) -> tuple[Any, str]:
        effective = _effective(state, frame)
        output = _output(state, effective, frame)
        for rule in state["Choices"]:
            if _holds(rule, _roots(frame, effective)):
                return output, rule["Next"]
        if "Default" not in state:
            raise StatesError("States.NoChoiceMatched", "No choice rule matched and there is no Default.")
        return output, state["Default"]

    def number(self, state: State, name: str, frame: Frame) -> float | None:
        value = state.get(name)
        if f"{name}Path" in state:
            value = _selected(state[f"{name}Path"], _roots(frame, _effective(state, frame)))
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StatesError(RUNTIME, f"The field {name} must be a number, but was: {value!r}")
        return float(value)

    def wait_until(self, state: State, frame: Frame, now: datetime) -> float:
        seconds = self.number(state, "Seconds", frame)
        if seconds is not None:
            return seconds
        if "Timestamp" in state:
            return seconds_until(state["Timestamp"], now)
        return seconds_until(str(_selected(state["TimestampPath"], _roots(frame, _effective(state, frame)))), now)

    def failure(self, state: State, frame: Frame) -> StatesError:
        roots = _roots(frame, frame.input)
        error, cause = (_text_of(state, name, roots) for name in _FAILURE)
        return StatesError(error, cause)

    def caught(self, catcher: State, frame: Frame, error: StatesError) -> Any:
        return _merged(catcher, frame.input, error.output())

    def items(self, state: State, frame: Frame) -> list[Any]:
        path = state.get("ItemsPath", "$")
        items = _selected(path, _roots(frame, _effective(state, frame)))
        if not isinstance(items, list):
            raise StatesError(RUNTIME, f'Reference path "{path}" must point to array.')
        return items

    def item_input(self, state: State, frame: Frame, item: Frame) -> Any:
        selector = state.get("ItemSelector") or state.get("Parameters")
        if selector is None:
            return item.context["Map"]["Item"]["Value"]
        return _template(selector, {**_roots(frame, _effective(state, frame)), "$$": item.context})


def _roots(frame: Frame, document: Any) -> dict[str, Any]:
    """Where paths begin: the variables, the document at hand and the context object."""
    variables = {f"${name}": value for name, value in frame.scope.visible().items()}
    return {**variables, "$": document, "$$": frame.context}


def _effective(state: State, frame: Frame) -> Any:
    path = state.get("InputPath", "$")
    return {} if path is None else _selected(path, _roots(frame, frame.input))


def _output(state: State, document: Any, frame: Frame) -> Any:
    path = state.get("OutputPath", "$")
    return {} if path is None else _selected(path, _roots(frame, document))


def _merged(document: State, original: Any, result: Any) -> Any:
    """The state's input with a result at its ResultPath; `null` discards the result."""
    path = document.get("ResultPath", "$")
    if path is None:
        return original
    try:
        return paths.written(path, original, result)
    except paths.NothingSelectedError:
        told = f"Unable to apply ReferencePath {path} to input {json_text(original)}"
        raise StatesError(RESULT_PATH_MATCH_FAILURE, told) from None


def _selected(path: str, roots: Mapping[str, Any], told: str = "No results for path") -> Any:
    try:
        return paths.selected(path, roots)
    except paths.NothingSelectedError:
        raise StatesError(RUNTIME, f"Invalid path '{path}': {told}") from None


def _template_of(state: State, field: str, roots: Mapping[str, Any]) -> Any:
    return roots["$"] if state.get(field) is None else _template(state[field], roots)


def _template(template: Any, roots: Mapping[str, Any]) -> Any:
    """A payload template's value: fields that end in `.$` are paths and intrinsic functions, all else is itself."""
    if isinstance(template, list):
        return [_template(value, roots) for value in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _computed(name, value, roots) if name.endswith(".$") else _template(value, roots)
        for name, value in template.items()
    }


def _computed(name: str, text: str, roots: Mapping[str, Any]) -> Any:
    if not text.startswith("$"):
        return _intrinsic(text, roots)
    try:
        return paths.selected(text, roots)
    except paths.NothingSelectedError:
        told = f"could not be found in the input '{json_text(roots['$'])}'"
        raise StatesError(RUNTIME, f"The JSONPath '{text}' specified for the field '{name}' {told}") from None


def _text_of(state: State, name: str, roots: Mapping[str, Any]) -> str:
    """Error or Cause, or what its path selects."""
    path = state.get(f"{name}Path")
    if path is None:
        return str(state.get(name, ""))
    value = _selected(path, roots) if path.startswith("$") else _intrinsic(path, roots)
    if not isinstance(value, str):
        raise StatesError(RUNTIME, f"The {name}Path field must select a string, but was: {json_text(value)}")
    return value


def _intrinsic(text: str, roots: Mapping[str, Any]) -> Any:
    try:
        return _evaluated(_parsed(text), roots)
    except paths.NothingSelectedError as exc:
        told = f"The JsonPath argument for the field '{exc}' could not be found in the input '{json_text(roots['$'])}'"
        raise StatesError(RUNTIME, f"The function '{text}' had the following error: {told}") from None
    except intrinsics.IntrinsicError as exc:
        raise StatesError("States.IntrinsicFailure", f"The function '{text}' had the following error: {exc}") from exc


def _parsed(text: str) -> tuple[Any, ...]:
    from ministack.services import stepfunctions

    try:
        call: tuple[Any, ...] = stepfunctions._parse_intrinsic_call(text, 0)[0]
    except (ValueError, IndexError) as exc:
        raise StatesError("States.IntrinsicFailure", f"'{text}' is no call of an intrinsic function: {exc}") from exc
    return call


def _evaluated(node: tuple[Any, ...], roots: Mapping[str, Any]) -> Any:
    """The value of a parsed call or of one of its arguments."""
    if node[0] == "path":
        return paths.selected(node[1], roots)
    if node[0] == "call":
        return intrinsics.call(node[1], [_evaluated(argument, roots) for argument in node[2]])
    return node[1]


def _holds(rule: State, roots: Mapping[str, Any]) -> bool:
    for combined, of_all in _COMBINED.items():
        if combined in rule:
            return of_all(_holds(inner, roots) for inner in rule[combined])
    if "Not" in rule:
        return not _holds(rule["Not"], roots)
    if "IsPresent" in rule:
        return _is_present(rule["Variable"], roots) is rule["IsPresent"]
    told = "The choice state's condition path references an invalid value."
    value = _selected(rule["Variable"], roots, told)
    operator, operand = next((name, operand) for name, operand in rule.items() if name not in _NO_OPERATORS)
    if operator.endswith("Path"):
        operator, operand = operator.removesuffix("Path"), _selected(operand, roots, told)
    return choices.holds(operator, value, operand)


def _is_present(path: str, roots: Mapping[str, Any]) -> bool:
    try:
        paths.selected(path, roots)
    except paths.NothingSelectedError:
        return False
    return True
