"""JSONata in a definition: expressions that parse, `$states` as each field has it, and variables' names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from localaws.states.dataflow import is_expression
from localaws.states.definition_problem import EXPRESSION, SCHEMA, Document, Problem, objects_in

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,79}$")
_STATES_MEMBER = re.compile(r"\$states\.([A-Za-z]+)")
# Parts of a state that hold states of their own.
_INNER = frozenset({"Branches", "ItemProcessor", "Iterator"})


def problems_of(state: Document, path: str, parse: Callable[[str], Any]) -> Iterator[Problem]:
    """The problems of a JSONata state's expressions, apart from those of the states in it."""
    own = {key: value for key, value in state.items() if key not in _INNER}
    for where, keys, text in _strings(own, path, ()):
        if text.startswith("{%") != text.endswith("%}") or text in ("{%", "%}"):
            yield Problem(EXPRESSION, "An expression starts with '{%' and ends with '%}'", where)
        elif is_expression(text):
            members = _states_members(str(state["Type"]), keys)
            yield from _expression(text[2:-2].strip(), where, members, parse)
    for where, variables in _assignments(own, path):
        for name in variables:
            if not _VARIABLE.match(name) or name == "states":
                yield Problem(SCHEMA, f"'{name}' can't be a variable's name", f"{where}/{name}")


def _expression(text: str, path: str, members: frozenset[str], parse: Callable[[str], Any]) -> Iterator[Problem]:
    try:
        parse(text)
    except ValueError as exc:
        yield Problem(EXPRESSION, f"{exc} in '{text}'", path)
        return
    for member in _STATES_MEMBER.findall(text):
        if member not in members:
            yield Problem(EXPRESSION, f"$states.{member} is not available in this field ('{text}')", path)


def _strings(value: Any, path: str, keys: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every string in a state, with where it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "Comment":
                yield from _strings(item, f"{path}/{key}", (*keys, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]", keys)
    elif isinstance(value, str):
        yield path, keys, value


def _states_members(kind: str, keys: tuple[str, ...]) -> frozenset[str]:
    """Which members of $states a field may use (Developer Guide, "Transforming data with JSONata")."""
    members = {"input", "context"}
    if keys[0] == "Catch":
        members.add("errorOutput")
    elif keys[0] in ("Output", "Assign") and kind in ("Task", "Parallel", "Map"):
        members.add("result")
    return frozenset(members)


def _assignments(state: Document, path: str) -> Iterator[tuple[str, Document]]:
    """The Assign fields of a state, its catchers and its choice rules."""
    for where, place in ((path, state), *objects_in(state, "Catch", path), *objects_in(state, "Choices", path)):
        if isinstance(place.get("Assign"), dict):
            yield f"{where}/Assign", place["Assign"]
