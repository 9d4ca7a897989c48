"""The checks of CreateStateMachine and ValidateStateMachineDefinition: fields, transitions, expressions.

Codes and wording are those of AWS's InvalidDefinition messages and of ValidateStateMachineDefinition's diagnostics;
what AWS has and is not supported here is refused in the same place, by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from localaws.states import definition_expressions, definition_paths, definition_transitions
from localaws.states import definition_fields as fields
from localaws.states.dataflow import is_expression
from localaws.states.definition_problem import SCHEMA, Document, Problem, objects_in

MAX_DEFINITION_BYTES = 1_048_576  # Service quotas: "Maximum request size"
MAX_STATE_NAME = 80
_MAX_SECONDS = 99_999_999
_MAX_RETRY_SECONDS = 31_622_400
_LANGUAGES = ("JSONPath", "JSONata")
_TRANSITIONS = ("Pass", "Task", "Wait", "Parallel", "Map")


@dataclass(frozen=True)
class Checks:
    """`parse` raises ValueError for a JSONata expression that doesn't parse; `resource` says why a task's resource
    isn't supported, or None."""

    parse: Callable[[str], Any]
    resource: Callable[[str], str | None]


def problems(text: str, checks: Checks) -> list[Problem]:
    """Everything that is wrong with a definition, in its own order; empty where it may run."""
    if len(text.encode()) > MAX_DEFINITION_BYTES:
        return [Problem(SCHEMA, f"The definition is larger than {MAX_DEFINITION_BYTES} bytes", "")]
    try:
        definition = json.loads(text)
    except ValueError as exc:
        return [Problem("INVALID_JSON_DESCRIPTION", str(exc), "")]
    if not isinstance(definition, dict):
        return [Problem("INVALID_JSON_DESCRIPTION", "The definition must be a JSON object", "")]
    return list(_Checker(definition, checks).machine())


class _Checker:
    def __init__(self, definition: Document, checks: Checks) -> None:
        self._definition = definition
        self._checks = checks
        self._seen: set[str] = set()

    def machine(self) -> Iterator[Problem]:
        yield from _unknown(self._definition, fields.MACHINE, "")
        yield from _integer(self._definition, "TimeoutSeconds", 1, _MAX_SECONDS, "")
        yield from self._states(self._definition, "JSONPath", "")

    def _states(self, machine: Document, outer: str, path: str) -> Iterator[Problem]:
        """A machine, a branch or an item processor."""
        states = machine.get("States")
        if not isinstance(states, dict) or not states:
            yield Problem(SCHEMA, "The field 'States' is required and must be an object with states", path)
            return
        language = machine.get("QueryLanguage", outer)
        if language not in _LANGUAGES:
            yield Problem(SCHEMA, f"QueryLanguage must be one of {', '.join(_LANGUAGES)}", f"{path}/QueryLanguage")
            return
        for name, state in states.items():
            where = f"{path}/States/{name}"
            yield from self._name(name, where)
            if isinstance(state, dict):
                yield from self._state(state, language, where)
            else:
                yield Problem(SCHEMA, "A state must be an object", where)
        yield from definition_transitions.problems_of(machine, states, path)

    def _name(self, name: str, path: str) -> Iterator[Problem]:
        if not 1 <= len(name) <= MAX_STATE_NAME:
            yield Problem(SCHEMA, f"A state's name must have 1 to {MAX_STATE_NAME} characters", path)
        if name in self._seen:
            yield Problem("DUPLICATE_STATE_NAME", f"Duplicate state name: {name}", path)
        self._seen.add(name)

    def _state(self, state: Document, outer: str, path: str) -> Iterator[Problem]:
        kind = state.get("Type")
        if kind not in fields.FIELDS:
            known = ", ".join(fields.FIELDS)
            yield Problem(SCHEMA, f"'{kind}' is not a state type; it must be one of {known}", f"{path}/Type")
            return
        language = state.get("QueryLanguage", outer)
        if language not in _LANGUAGES or (outer == "JSONata" and language == "JSONPath"):
            yield Problem(SCHEMA, f"QueryLanguage can't be '{language}' in a {outer} machine", f"{path}/QueryLanguage")
            return
        yield from _state_fields(state, str(kind), str(language), path)
        yield from _transition_fields(state, str(kind), path)
        yield from _error_rules(state, path)
        yield from _retriers(state, path)
        yield from _catchers(state, str(language), path)
        yield from getattr(self, f"_{str(kind).lower()}", _nothing)(state, language, path)
        if language == "JSONata":
            yield from definition_expressions.problems_of(state, path, self._checks.parse)
        else:
            yield from definition_paths.problems_of(state, path)

    def _task(self, state: Document, _language: str, path: str) -> Iterator[Problem]:
        resource = state.get("Resource")
        reason = self._checks.resource(resource) if isinstance(resource, str) else "Resource must be a string"
        if reason:
            yield Problem(SCHEMA, f"{reason} ({resource})", f"{path}/Resource")
        for field in ("TimeoutSeconds", "HeartbeatSeconds"):
            yield from _integer(state, field, 1, _MAX_SECONDS, path)
        timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
        if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
            yield Problem(SCHEMA, "HeartbeatSeconds must be smaller than TimeoutSeconds", f"{path}/HeartbeatSeconds")

    def _wait(self, state: Document, _language: str, path: str) -> Iterator[Problem]:
        given = [field for field in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath") if field in state]
        if len(given) != 1:
            yield Problem(SCHEMA, "A Wait state needs exactly one of Seconds, Timestamp and their paths", path)
        yield from _integer(state, "Seconds", 0, _MAX_SECONDS, path)

    def _choice(self, state: Document, language: str, path: str) -> Iterator[Problem]:
        rules = state.get("Choices")
        if not isinstance(rules, list) or not rules:
            yield Problem(SCHEMA, "Choices must be a non-empty array", f"{path}/Choices")
            return
        for index, rule in enumerate(rules):
            where = f"{path}/Choices[{index}]"
            if not isinstance(rule, dict) or not isinstance(rule.get("Next"), str):
                yield Problem(SCHEMA, "A choice rule must be an object with Next", where)
            elif language == "JSONata":
                yield from _jsonata_rule(rule, where)
            else:
                yield from _jsonpath_rule(rule, where, nested=False)

    def _parallel(self, state: Document, language: str, path: str) -> Iterator[Problem]:
        branches = state.get("Branches")
        if not isinstance(branches, list) or not branches:
            yield Problem(SCHEMA, "Branches must be a non-empty array", f"{path}/Branches")
            return
        for index, branch in enumerate(branches):
            yield from self._inner(branch, language, f"{path}/Branches[{index}]")

    def _map(self, state: Document, language: str, path: str) -> Iterator[Problem]:
        field = "Iterator" if "Iterator" in state else "ItemProcessor"
        if field not in state:
            yield Problem(SCHEMA, "A Map state needs an ItemProcessor", path)
            return
        yield from _integer(state, "MaxConcurrency", 0, _MAX_SECONDS, path)
        yield from self._inner(state[field], language, f"{path}/{field}")

    def _inner(self, machine: Any, language: str, path: str) -> Iterator[Problem]:
        if not isinstance(machine, dict):
            yield Problem(SCHEMA, "A branch or item processor must be an object with StartAt and States", path)
            return
        yield from _unknown(machine, fields.BRANCH, path)
        if (machine.get("ProcessorConfig") or {}).get("Mode", "INLINE") != "INLINE":
            yield Problem(SCHEMA, "not supported here: the distributed Map", f"{path}/ProcessorConfig/Mode")
        yield from self._states(machine, language, path)


def _nothing(_state: Document, _language: str, _path: str) -> Iterator[Problem]:
    return iter(())


def _unknown(document: Document, known: frozenset[str], path: str) -> Iterator[Problem]:
    for field in document:
        if field not in known:
            yield Problem(SCHEMA, f"Field '{field}' is not supported", f"{path}/{field}")


def _state_fields(state: Document, kind: str, language: str, path: str) -> Iterator[Problem]:
    own = {"JSONata": fields.JSONATA_FIELDS, "JSONPath": fields.JSONPATH_FIELDS}
    other = own["JSONPath" if language == "JSONata" else "JSONata"][kind]
    allowed = fields.COMMON | fields.FIELDS[kind] | own[language][kind]
    for field in state:
        if field in fields.NOT_HERE:
            yield Problem(SCHEMA, f"not supported here: {fields.NOT_HERE[field]} ({field})", f"{path}/{field}")
        elif field not in allowed:
            reason = f"in a {language} state" if field in other else f"by a {kind} state"
            yield Problem(SCHEMA, f"Field '{field}' is not supported {reason}", f"{path}/{field}")
    yield from _jsonpath_assign(state, language, path)
    for field in fields.REQUIRED.get(kind, ()):
        if field not in state:
            yield Problem(SCHEMA, f"A {kind} state needs the field '{field}'", path)


def _jsonpath_assign(document: Document, language: str, path: str) -> Iterator[Problem]:
    if language == "JSONPath" and "Assign" in document:
        yield Problem(SCHEMA, "not supported here: Assign in a JSONPath state; use JSONata", f"{path}/Assign")


def _transition_fields(state: Document, kind: str, path: str) -> Iterator[Problem]:
    if kind not in _TRANSITIONS:
        return
    if state.get("End") is True and "Next" in state:
        yield Problem(SCHEMA, "A state can't have both Next and End", path)
    elif state.get("End") is not True and not isinstance(state.get("Next"), str):
        yield Problem(SCHEMA, "A state needs Next, or End with the value true", path)


def _error_rules(state: Document, path: str) -> Iterator[Problem]:
    """The problems that retriers and catchers share: their form and their `ErrorEquals`."""
    for field in ("Retry", "Catch"):
        rules = state.get(field, [])
        if not isinstance(rules, list):
            yield Problem(SCHEMA, f"{field} must be an array", f"{path}/{field}")
            continue
        for index, rule in enumerate(rules):
            yield from _error_equals(rule, f"{path}/{field}[{index}]", is_last=index == len(rules) - 1)


def _error_equals(rule: Any, path: str, *, is_last: bool) -> Iterator[Problem]:
    names = rule.get("ErrorEquals") if isinstance(rule, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        yield Problem(SCHEMA, "ErrorEquals must be a non-empty array of error names", f"{path}/ErrorEquals")
    elif "States.ALL" in names and (len(names) > 1 or not is_last):
        yield Problem(SCHEMA, "States.ALL must stand alone, in the last rule", f"{path}/ErrorEquals")


def _retriers(state: Document, path: str) -> Iterator[Problem]:
    for where, retrier in objects_in(state, "Retry", path):
        yield from _unknown(retrier, fields.RETRIER, where)
        yield from _integer(retrier, "IntervalSeconds", 1, _MAX_RETRY_SECONDS, where)
        yield from _integer(retrier, "MaxDelaySeconds", 1, _MAX_RETRY_SECONDS, where)
        yield from _integer(retrier, "MaxAttempts", 0, _MAX_SECONDS, where)
        rate = retrier.get("BackoffRate", 1)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
            yield Problem(SCHEMA, "BackoffRate must be a number of at least 1.0", f"{where}/BackoffRate")
        interval, longest = retrier.get("IntervalSeconds"), retrier.get("MaxDelaySeconds")
        if isinstance(interval, int) and isinstance(longest, int) and longest <= interval:
            yield Problem(SCHEMA, "MaxDelaySeconds must be greater than IntervalSeconds", f"{where}/MaxDelaySeconds")
        if retrier.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
            yield Problem(SCHEMA, "JitterStrategy must be FULL or NONE", f"{where}/JitterStrategy")


def _catchers(state: Document, language: str, path: str) -> Iterator[Problem]:
    own = {"Output"} if language == "JSONata" else {"ResultPath"}
    for where, catcher in objects_in(state, "Catch", path):
        yield from _unknown(catcher, fields.CATCHER | own, where)
        yield from _jsonpath_assign(catcher, language, where)
        if not isinstance(catcher.get("Next"), str):
            yield Problem(SCHEMA, "A catcher needs Next", where)


def _jsonata_rule(rule: Document, path: str) -> Iterator[Problem]:
    yield from _unknown(rule, fields.CHOICE_RULE | {"Condition", "Output"}, path)
    condition = rule.get("Condition")
    if not isinstance(condition, bool) and not is_expression(condition):
        yield Problem(SCHEMA, "Condition must be a boolean or an expression '{% … %}'", f"{path}/Condition")


def _jsonpath_rule(rule: Document, path: str, *, nested: bool) -> Iterator[Problem]:
    yield from _jsonpath_assign(rule, "JSONPath", path)
    if nested and "Next" in rule:
        yield Problem(SCHEMA, "Next stands only in the outermost rule", f"{path}/Next")
    operators = [key for key in rule if key not in {"Next", "Comment", "Variable", "Assign"}]
    if len(operators) != 1:
        yield Problem(SCHEMA, "A choice rule needs exactly one operator", path)
        return
    operator, operand = operators[0], rule[operators[0]]
    if operator in ("And", "Or", "Not"):
        for inner in operand if isinstance(operand, list) else [operand]:
            yield from _jsonpath_rule(inner, f"{path}/{operator}", nested=True)
    elif operator not in fields.COMPARISONS:
        yield Problem(SCHEMA, f"The operator '{operator}' is not supported here", f"{path}/{operator}")
    elif not isinstance(rule.get("Variable"), str):
        yield Problem(SCHEMA, "A comparison needs Variable", path)
    else:
        yield from definition_paths.problems_of_rule(rule, path)


def _integer(document: Document, field: str, least: int, most: int, path: str) -> Iterator[Problem]:
    value = document.get(field, least)
    if is_expression(value):
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        yield Problem(SCHEMA, f"{field} must be an integer from {least} to {most}", f"{path}/{field}")
