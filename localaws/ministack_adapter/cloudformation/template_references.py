"""The names of resources, parameters and conditions that a template's intrinsic functions refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in ("AccountId", "NotificationARNs", "NoValue", "Partition", "Region", "StackId", "StackName", "URLSuffix")
)
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")  # ${!Literal} stays as it is
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_.:]+")


class TemplateError(ValueError):
    """A template that CloudFormation refuses; its text is CloudFormation's."""


@dataclass(frozen=True)
class Reference:
    """One name that a function refers to. function: Ref, Fn::Sub or Fn::GetAtt."""

    function: str
    name: str
    attribute: str = ""


def references(node: Any, conditions: Document | None = None) -> Iterator[Reference]:
    """The references below a node; with the conditions' values, only those in branches of Fn::If that are taken."""
    if isinstance(node, list):
        for item in node:
            yield from references(item, conditions)
    elif isinstance(node, dict):
        found = _intrinsic(node)
        if found is not None:
            yield from _of_function(*found, conditions)
        else:
            for value in node.values():
                yield from references(value, conditions)


def tested_conditions(node: Any) -> Iterator[str]:
    """The names of the conditions that Fn::If tests below a node."""
    for function, argument in functions(node):
        if function == "Fn::If" and isinstance(argument, list) and argument and isinstance(argument[0], str):
            yield argument[0]


def functions(node: Any) -> Iterator[tuple[str, Any]]:
    """Every intrinsic function below a node, with its argument."""
    if isinstance(node, dict) and (found := _intrinsic(node)) is not None:
        yield found
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from functions(value)


def _intrinsic(node: Document) -> tuple[str, Any] | None:
    """A function and its argument, where the object is nothing but that."""
    [*names] = node
    is_function = len(names) == 1 and (names[0] in {"Ref", "Condition"} or str(names[0]).startswith("Fn::"))
    return (names[0], node[names[0]]) if is_function else None


def _of_function(function: str, argument: Any, conditions: Document | None) -> Iterator[Reference]:
    if function == "Ref" and isinstance(argument, str):
        yield Reference(function, argument)
    elif function == "Fn::GetAtt":
        yield from _of_attribute(argument)
    elif function == "Fn::Sub":
        yield from _of_text(argument, conditions)
    elif function == "Fn::If" and conditions is not None and isinstance(argument, list) and len(argument) > 2:
        yield from references(argument[1 if conditions.get(argument[0], True) else 2], conditions)
    else:
        yield from references(argument, conditions)


def _of_attribute(argument: Any) -> Iterator[Reference]:
    name, _, attribute = argument.partition(".") if isinstance(argument, str) else ("", "", "")
    if isinstance(argument, list) and len(argument) > 1 and isinstance(argument[0], str):
        name, attribute = argument[0], argument[1] if isinstance(argument[1], str) else ""
    if not name or (not attribute and isinstance(argument, str)):
        raise TemplateError(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the "
            "resource attribute"
        )
    yield Reference("Fn::GetAtt", name, attribute)


def _of_text(argument: Any, conditions: Document | None) -> Iterator[Reference]:
    text, bound = (*argument, {})[:2] if isinstance(argument, list) and argument else (argument, {})
    bound = bound if isinstance(bound, dict) else {}
    for variable in _VARIABLE.findall(str(text)):
        if not _VARIABLE_NAME.fullmatch(variable):
            raise TemplateError(
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, "
                "underscores, periods, and colons"
            )
        if variable not in bound:
            name, _, attribute = variable.partition(".")
            yield Reference("Fn::Sub", name, attribute)
    yield from references(list(bound.values()), conditions)
