"""Pydantic's errors as sentences for the user: what was wrong in the file, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

from pydantic_core import ErrorDetails

from ratchet.spec.errors import nearest
from ratchet.spec.model import Model, example, section
from ratchet.spec.yaml_lines import Document, Location, Problem, dotted


def location(detail: ErrorDetails) -> Location:
    """The place in the user's file: pydantic's location without parts of its own, and with a refusal's."""
    inside = detail.get("ctx", {}).get("at", ())
    return (*(part for part in detail["loc"] if part != "[key]"), *inside)


def problem(detail: ErrorDetails, document: Document, model: type[Model]) -> Problem:
    """One of pydantic's errors as a problem in the file that `document` was read from."""
    where = location(detail)
    return Problem(document.line(where), dotted(where), _message(detail, where, model))


_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "mapping_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
}
_BOUNDS = {
    "greater_than": "greater than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}


def _message(detail: ErrorDetails, where: Location, model: type[Model]) -> str:
    """A sentence for one of pydantic's errors, by its type; unknown types keep pydantic's own words."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    sentences: Mapping[str, Callable[[], str]] = {
        "refused": lambda: str(context["message"]),
        "extra_forbidden": lambda: f"unknown key{_nearest_key(where, model)}",
        "missing": lambda: _required(where, model),
        "literal_error": lambda: _not_one_of(value, context["expected"]),
    }
    if kind in sentences:
        return sentences[kind]()
    if kind in _WANTED:
        return f"is {_shown(value)}; it must be {_WANTED[kind]}{_as_share(kind, value)}"
    if kind in _BOUNDS:
        return f"is {value}; it must be {_BOUNDS[kind]} {next(iter(context.values())):g}"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (it is {_shown(value)})"


def _shown(value: object) -> str:
    return "empty" if value is None else repr(value)


def _as_share(kind: str, value: object) -> str:
    """Of a percentage, the number that it is."""
    percent = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*%", value) if kind == "float_type" and isinstance(value, str) else None
    return f": write {float(percent[1]) / 100:g}" if percent else ""


def _not_one_of(value: object, expected: str) -> str:
    near = difflib.get_close_matches(str(value), re.findall(r"'([^']+)'", expected), n=1, cutoff=0.5)
    return f"is {_shown(value)}; it must be {expected}" + (f"; did you mean {near[0]}?" if near else "")


def _required(where: Location, model: type[Model]) -> str:
    line = example(_around(where, model), str(where[-1]))
    return "is required" + (f"; write {line}" if line else "")


def _nearest_key(where: Location, model: type[Model]) -> str:
    return nearest(str(where[-1]), list(_around(where, model).model_fields))


def _around(where: Location, model: type[Model]) -> type[Model]:
    """The model of the innermost section around a field."""
    for part in where[:-1]:
        model = section(model, str(part)) or model
    return model
