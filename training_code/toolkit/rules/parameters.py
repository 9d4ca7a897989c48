"""A rule's parameters: their types, defaults and bounds, and how a value is read.

Values come from pipeline.yaml with YAML's own types, or from Debugger's `RuleParameters`, where everything is text
("10", "True", "a, b"); both are read here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.suggestions import near
from toolkit import lists
from toolkit.errors import ToolkitError


class RuleError(ToolkitError):
    """A rule that doesn't exist, or a parameter that it doesn't take; the message says what would be right."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a rule.

    type: integer, number, boolean, string, strings, regex, regexes or numbers (a list).
    minimum and maximum are inclusive bounds of a number, or of each number of a list.
    """

    name: str
    type: str
    default: Any
    says: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


def read(rule: str, declared: tuple[Parameter, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a rule: what is given, checked, and the defaults of the rest.

    Raises:
        RuleError: a name that the rule doesn't have, a value of the wrong type or out of bounds, one missing.
    """
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known:
            raise RuleError(f"{rule} has no parameter {name!r}{_meant(name, known)}")
    for parameter in declared:
        if parameter.required and given.get(parameter.name) is None:
            raise RuleError(f"{rule} needs the parameter {parameter.name}: {parameter.says}")
    return {name: _value(rule, parameter, given.get(name)) for name, parameter in known.items()}


def _meant(name: str, known: Mapping[str, Parameter]) -> str:
    meant = near(name, known)
    if meant:
        return f"; did you mean {meant!r}?"
    return f"; it has {', '.join(known)}" if known else "; it has none"


def _value(rule: str, parameter: Parameter, value: Any) -> Any:
    if value is None:
        return parameter.default
    try:
        return _checked(parameter, _READERS[parameter.type](value))
    except (TypeError, ValueError) as error:
        raise RuleError(f"{rule}: {parameter.name} is {value!r}; {error}") from error


def _checked(parameter: Parameter, value: Any) -> Any:
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, str) or isinstance(value, bool):
            continue
        if parameter.minimum is not None and number < parameter.minimum:
            raise ValueError(f"it must be at least {parameter.minimum:g}")
        if parameter.maximum is not None and number > parameter.maximum:
            raise ValueError(f"it must be at most {parameter.maximum:g}")
    if parameter.choices and value not in parameter.choices:
        raise ValueError(f"it must be one of {', '.join(parameter.choices)}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError("it must be a whole number")
    try:
        return int(value)
    except ValueError as error:
        raise ValueError("it must be a whole number") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("it must be a number")
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("it must be a number") from error
    if not math.isfinite(number):
        raise ValueError("it must be a finite number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise TypeError("it must be true or false")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it must be text")
    return value


def _regex(value: Any) -> str:
    try:
        re.compile(_string(value))
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from error
    return str(value)


def _strings(value: Any) -> tuple[str, ...]:
    items = _items(value)
    if not all(isinstance(item, str) for item in items):
        raise TypeError("it must be a list of texts, or one text with commas between them")
    return tuple(items)


def _regexes(value: Any) -> tuple[str, ...]:
    return tuple(_regex(item) for item in _strings(value))


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (_number(value),)
    return tuple(_number(item) for item in _items(value))


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        if value.startswith("["):
            return list(json.loads(value))
        return lists.items(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    raise TypeError("it must be a list, or one text with commas between the items")


_READERS = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "strings": _strings,
    "regex": _regex,
    "regexes": _regexes,
    "numbers": _numbers,
}
