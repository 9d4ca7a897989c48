"""Checks a rule's parameters against `rules.json`, so that a wrong one is refused before anything trains.

The toolkit reads them again in the job, with the same table; a test holds the two together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ratchet.spec.errors import nearest, refusal

Told = Mapping[str, Any]


def check(rule: str, told: Told, given: Mapping[str, Any]) -> None:
    """Raises a refusal at `parameters` for the first that `rule` doesn't take, or takes otherwise."""
    known: Mapping[str, Told] = told["parameters"]
    for name, value in given.items():
        at = ("parameters", name)
        if name in told["not_taken"]:
            raise refusal(f"is no parameter of {rule} here: {told['not_taken'][name]}", *at)
        if name not in known:
            raise refusal(f"is no parameter of {rule}{nearest(name, list(known))}", *at)
        try:
            _check_value(value, known[name])
        except ValueError as error:
            raise refusal(f"is {value!r}; {error}", *at) from error
    required = [name for name, parameter in known.items() if parameter["required"] and given.get(name) is None]
    if required:
        raise refusal(f"lacks {required[0]}: {known[required[0]]['says']}", "parameters")
    if told["one_of"] and not any(given.get(name) for name in told["one_of"]):
        raise refusal(f"lacks {' or '.join(told['one_of'])}, to say what {rule} inspects", "parameters")


def _check_value(value: Any, parameter: Told) -> None:
    if value is None:
        return
    _TYPES[parameter["type"]](value)
    low, high = parameter.get("minimum"), parameter.get("maximum")
    numbers = [entry for entry in (value if isinstance(value, list) else [value]) if _is_number(entry)]
    if low is not None and any(number < low for number in numbers):
        raise ValueError(f"it must be at least {low:g}")
    if high is not None and any(number > high for number in numbers):
        raise ValueError(f"it must be at most {high:g}")
    if parameter.get("choices") and value not in parameter["choices"]:
        raise ValueError(f"it must be one of {', '.join(parameter['choices'])}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _must(holds: bool, wanted: str) -> None:
    if not holds:
        raise ValueError(f"it must be {wanted}")


def _integer(value: Any) -> None:
    _must(_is_number(value) and isinstance(value, int), "a whole number")


def _number(value: Any) -> None:
    _must(_is_number(value) and math.isfinite(value), "a number")


def _boolean(value: Any) -> None:
    _must(isinstance(value, bool), "true or false")


def _string(value: Any) -> None:
    _must(isinstance(value, str), "a text")


def _regex(value: Any) -> None:
    _string(value)
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from error


def _list_of(check_one: Callable[[Any], None]) -> Callable[[Any], None]:
    def check_all(value: Any) -> None:
        for entry in value if isinstance(value, list) else [value]:
            check_one(entry)

    return check_all


_TYPES: Mapping[str, Callable[[Any], None]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "strings": _list_of(_string),
    "regex": _regex,
    "regexes": _list_of(_regex),
    "numbers": _list_of(_number),
}
