"""What a pipeline.yaml can get wrong, as sentences: file, line, field, what was wrong and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

from ratchet.errors import UserError
from ratchet.yaml_lines import Document, Location, Problem, dotted


class SpecError(UserError, ValueError):
    """A pipeline.yaml that can't be used: its problems, one a line, as `file:line: field: message`."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(_sentence(path, problem) for problem in self.problems))


def _sentence(path: Path, problem: Problem) -> str:
    where = f"{path}:{problem.line}: "
    return f"{where}{problem.field}: {problem.message}" if problem.field else f"{where}{problem.message}"


def refusal(message: str, *at: str | int) -> PydanticCustomError:
    """An error whose message reaches the user as it is; `at` names a field inside the one that is validated."""
    return PydanticCustomError("refused", "{message}", {"message": message, "at": at})


def checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A validator from a function that raises ValueError with a sentence for the user."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise refusal(str(error)) from error

    return validate


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean x?`, or the list of what is known when nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def location(detail: ErrorDetails) -> Location:
    """Where in the user's file: pydantic's location without the parts that aren't the user's, plus a refusal's own."""
    inside = detail.get("ctx", {}).get("at", ())
    return (*(part for part in detail["loc"] if part != "[key]"), *inside)


def problem(detail: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
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
_EXAMPLES: dict[Location, str] = {
    ("name",): "name: digits-forest",
    ("data",): "data: {train: digits/train/, test: digits/test/}",
    ("train",): "train: {instance: ml.m5.large}",
    ("train", "instance"): "instance: ml.m5.large",
    ("gate",): "gate: {metric: f1_macro, minimum: 0.9}",
    ("gate", "metric"): "metric: f1_macro",
    ("gate", "minimum"): "minimum: 0.9",
    ("deploy",): "deploy: {instance: ml.t2.medium}",
    ("deploy", "instance"): "instance: ml.t2.medium",
    ("framework", "name"): "name: sklearn",
    ("framework", "version"): 'version: "1.9-0"',
}


def _message(detail: ErrorDetails, where: Location, model: type[BaseModel]) -> str:
    """A sentence for one of pydantic's errors, by its type; unknown types keep pydantic's own words."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    sentences: Mapping[str, Callable[[], str]] = {
        "refused": lambda: str(context["message"]),
        "extra_forbidden": lambda: f"unknown key{_nearest_key(where, model)}",
        "missing": lambda: "is required" + (f"; write {_EXAMPLES[where]}" if where in _EXAMPLES else ""),
        "literal_error": lambda: _not_one_of(value, context["expected"]),
    }
    if kind in sentences:
        return sentences[kind]()
    if kind in _WANTED:
        return f"is {_shown(value)}; it must be {_WANTED[kind]}"
    if kind in _BOUNDS:
        return f"is {value}; it must be {_BOUNDS[kind]} {next(iter(context.values())):g}"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (it is {_shown(value)})"


def _shown(value: object) -> str:
    return "empty" if value is None else repr(value)


def _not_one_of(value: object, expected: str) -> str:
    near = difflib.get_close_matches(str(value), re.findall(r"'([^']+)'", expected), n=1, cutoff=0.5)
    return f"is {_shown(value)}; it must be {expected}" + (f"; did you mean {near[0]}?" if near else "")


def _nearest_key(where: Location, model: type[BaseModel]) -> str:
    for part in where[:-1]:
        model = _section(model, str(part)) or model
    return nearest(str(where[-1]), list(model.model_fields))


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that is a section of its own (`train`), also of an optional one (`triggers.data`)."""
    annotation = model.model_fields[name].annotation if name in model.model_fields else None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
