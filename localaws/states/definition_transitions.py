"""Transitions of a definition: every target exists, and every state can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localaws.states.definition_problem import TRANSITION, Document, Problem, objects_in


def problems_of(machine: Document, states: Document, path: str) -> Iterator[Problem]:
    """The transitions of a machine, a branch or an item processor that lead nowhere, and states that none leads to."""
    start = machine.get("StartAt")
    if start not in states:
        yield Problem(TRANSITION, f"Missing 'StartAt' target: {start}", f"{path}/StartAt")
        return
    for name, state in states.items():
        for where, target in _targets(state):
            if target not in states:
                yield Problem(TRANSITION, f"Missing 'Next' target: {target}", f"{path}/States/{name}{where}")
    reached = _reachable(str(start), states)
    for name in states:
        if name not in reached:
            yield Problem(TRANSITION, f'State "{name}" is not reachable.', f"{path}/States/{name}")


def _targets(state: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield f"/{field}", state[field]
    for field in ("Choices", "Catch"):
        for where, rule in objects_in(state, field, ""):
            if isinstance(rule.get("Next"), str):
                yield f"{where}/Next", rule["Next"]


def _reachable(start: str, states: Document) -> set[str]:
    reached, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting.extend(target for _where, target in _targets(states[name]))
    return reached
