"""Policy documents, read once: which statements are about a request (IAM User Guide, "IAM JSON policy elements")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from localaws.iam.conditions import Condition, NullCondition, conditions_of
from localaws.iam.principals import Principals, principals_of
from localaws.iam.requests import Request
from localaws.iam.texts import PolicyText, expression, policy_text

Document = Mapping[str, Any]

ALLOW, DENY = "Allow", "Deny"
# The version whose documents have variables; older ones, and those that say none, haven't.
WITH_VARIABLES = "2012-10-17"
# A document is a few kilobytes; an account of this kind has some hundreds.
_KEPT_DOCUMENTS = 4096


@dataclass(frozen=True)
class Statement:
    effect: str
    sid: str = ""
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[PolicyText, ...] = ()
    not_resources: tuple[PolicyText, ...] = ()
    conditions: tuple[Condition | NullCondition, ...] = ()
    principals: Principals = field(default_factory=lambda: Principals(None))

    def is_about(self, request: Request) -> bool:
        """Whether action, resource and conditions match; principals are asked where a policy has them."""
        return (
            self._has_action(request.action)
            and self._has_resource(request)
            and all(condition.holds(request.values) for condition in self.conditions)
        )

    def _has_action(self, action: str) -> bool:
        if self.actions:
            return self._actions is None or self._actions.fullmatch(action) is not None
        return not (self._not_actions and self._not_actions.fullmatch(action))

    def _has_resource(self, request: Request) -> bool:
        if self.resources:
            return _any_matches(self.resources, request)
        return not _any_matches(self.not_resources, request)

    @cached_property
    def _actions(self) -> re.Pattern[str] | None:
        return None if "*" in self.actions else _names(self.actions)

    @cached_property
    def _not_actions(self) -> re.Pattern[str] | None:
        return _names(self.not_actions) if self.not_actions else None


def statements_of(document: str | Document | None) -> list[Statement]:
    """The statements of a policy; none of a document that isn't one."""
    return list(_statements(document if isinstance(document, str) else json.dumps(document)))


def first_about(request: Request, statements: Iterable[Statement], effect: str) -> Statement | None:
    """The first statement with this effect that is about the request."""
    return next((found for found in statements if found.effect == effect and found.is_about(request)), None)


@lru_cache(_KEPT_DOCUMENTS)
def _statements(text: str) -> tuple[Statement, ...]:
    try:
        document = json.loads(text)
    except ValueError:
        return ()
    if not isinstance(document, dict):
        return ()
    listed = document.get("Statement", [])
    variables = document.get("Version") == WITH_VARIABLES
    return tuple(
        _statement(found, variables)
        for found in (listed if isinstance(listed, list) else [listed])
        if isinstance(found, dict) and found.get("Effect") in (ALLOW, DENY)
    )


def _statement(found: Document, variables: bool) -> Statement:
    return Statement(
        effect=found["Effect"],
        sid=str(found.get("Sid", "")),
        actions=_texts(found.get("Action")),
        not_actions=_texts(found.get("NotAction")),
        resources=tuple(policy_text(text, variables) for text in _texts(found.get("Resource"))),
        not_resources=tuple(policy_text(text, variables) for text in _texts(found.get("NotResource"))),
        conditions=conditions_of(found.get("Condition"), variables),
        principals=principals_of(found),
    )


def _texts(element: Any) -> tuple[str, ...]:
    if element is None:
        return ()
    return tuple(str(text) for text in (element if isinstance(element, list) else [element]))


def _any_matches(texts: Iterable[PolicyText], request: Request) -> bool:
    """A text with a variable that has no value matches no resource."""
    resolved = (text.resolved(request.values) for text in texts)
    return any(text.matches(request.resource) for text in resolved if text is not None)


def _names(patterns: Iterable[str]) -> re.Pattern[str]:
    """Actions, whose case doesn't matter and where wildcards may stand."""
    return re.compile("|".join(expression((name,)) for name in patterns), re.IGNORECASE)
