"""JSONPath in a definition: fields that are paths, and payload templates' fields that end in `.$`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localaws.states import paths
from localaws.states.definition_problem import SCHEMA, Document, Problem, objects_in

_PATHS = ("InputPath", "OutputPath")
_REFERENCES = (
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
)
_TEMPLATES = ("Parameters", "ResultSelector", "ItemSelector")
_KINDS = {dict: "an OBJECT", list: "an ARRAY", bool: "a BOOLEAN", int: "a NUMBER", float: "a NUMBER"}
_NO_PATH = "Value must be a valid JSONPath."
_NOT_HERE = "not supported here: filters, unions and functions in a path ({}); use JSONata"


def problems_of(state: Document, path: str) -> Iterator[Problem]:
    """The problems of one JSONPath state, its catchers' too; choice rules are asked for one by one."""
    for field in _PATHS:
        value = state.get(field)
        if value is not None and not (isinstance(value, str) and paths.is_path(value)):
            yield Problem(SCHEMA, _NO_PATH, f"{path}/{field}")
        elif value is not None and not paths.is_supported(value):
            yield Problem(SCHEMA, _NOT_HERE.format(value), f"{path}/{field}")
    for field in _REFERENCES:
        if field in state:
            yield from _reference(state[field], f"{path}/{field}")
    for field in ("ErrorPath", "CausePath"):
        if field in state and not _is_computed(state[field]):
            yield Problem(SCHEMA, _NO_PATH, f"{path}/{field}")
    yield from _result_path(state, path)
    for where, catcher in objects_in(state, "Catch", path):
        yield from _result_path(catcher, where)
    for field in _TEMPLATES:
        yield from _template(state.get(field), f"{path}/{field}")


def problems_of_rule(rule: Document, path: str) -> Iterator[Problem]:
    """The problems of a comparison: what it looks at, and what it compares that with."""
    for field, value in rule.items():
        if field == "Variable" or field.endswith("Path"):
            yield from _reference(
                value, f"{path}/{field}", told="Value is not a Reference Path: Reference path didn't start with '$'"
            )


def _reference(value: Any, path: str, told: str = _NO_PATH) -> Iterator[Problem]:
    if not isinstance(value, str) or not value.startswith("$"):
        yield Problem(SCHEMA, told, path)
    elif not paths.is_reference(value):
        yield Problem(SCHEMA, f"Value is not a Reference Path: '{value}' must address one node", path)


def _result_path(document: Document, path: str) -> Iterator[Problem]:
    """`null` discards the result; the context object can't be written."""
    value = document.get("ResultPath")
    if value is None:
        return
    where = f"{path}/ResultPath"
    if isinstance(value, str) and value.startswith("$$"):
        yield Problem(SCHEMA, "Value is not a Reference Path: the context object can't be written", where)
    else:
        yield from _reference(value, where)


def _template(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _template(each, f"{path}[{index}]")
    for name, inner in value.items() if isinstance(value, dict) else ():
        if not name.endswith(".$"):
            yield from _template(inner, f"{path}/{name}")
        elif not isinstance(inner, str):
            kind = _KINDS.get(type(inner), "NULL")
            yield Problem(
                SCHEMA,
                f"The value for the field '{name}' must be a STRING that contains a JSONPath but was {kind}",
                path,
            )
        elif not _is_computed(inner):
            told = f"The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
            yield Problem(SCHEMA, told, path)
        elif inner.startswith("$") and not paths.is_supported(inner):
            yield Problem(SCHEMA, _NOT_HERE.format(inner), path)


def _is_computed(value: Any) -> bool:
    return isinstance(value, str) and (paths.is_path(value) or paths.is_intrinsic(value))
