"""Who a statement of a resource's policy or a trust policy is about (IAM User Guide, "AWS JSON policy elements:
Principal" and "NotPrincipal")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?")
# `"Principal": "*"`, which is everybody of every kind; `{"AWS": "*"}` is no identity provider's user.
_EVERYBODY = "*"


@dataclass(frozen=True)
class Caller:
    """Who asks. A session of a role has the role's ARN besides its own; a service or an identity provider only names.

    An AWS service isn't a principal of any account, so that "everybody in the account" is nothing to it.
    """

    arn: str = ""
    account: str = ""
    role_arn: str = ""
    service: str = ""
    provider: str = ""

    @property
    def own_arns(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.arn, self.role_arn)))


@dataclass(frozen=True)
class Principals:
    """The Principal or NotPrincipal element of a statement, None where it has neither."""

    named: Mapping[str, tuple[str, ...]] | None
    negated: bool = False

    def include(self, caller: Caller) -> bool:
        if self.named is None:
            return False
        return not self._spare(caller) if self.negated else self._name(caller)

    def name_itself(self, caller: Caller) -> bool:
        """Whether the caller, its role or everybody is named, and not its account only."""
        return not self.negated and any(name == "*" or name in caller.own_arns for name in self._of("AWS"))

    def name_session(self, caller: Caller) -> bool:
        """Whether the user's or the session's own ARN is named: no boundary and no session policy limits that."""
        return not self.negated and not caller.arn.endswith(":root") and caller.arn in self._of("AWS")

    def _of(self, kind: str) -> tuple[str, ...]:
        return (self.named or {}).get(kind, ())

    def _name(self, caller: Caller) -> bool:
        if caller.service:
            return "*" in self._of("AWS") or caller.service.lower() in map(str.lower, self._of("Service"))
        if caller.provider:
            return "*" in self._of(_EVERYBODY) or caller.provider in self._of("Federated")
        return any(_names(name, caller) for name in self._of("AWS"))

    def _spare(self, caller: Caller) -> bool:
        """Whether a NotPrincipal leaves the caller out: it must list the account, the role and the session, too."""
        if caller.service or caller.provider:
            return self._name(caller)
        listed = self._of("AWS")
        own_account = any(_account(name) == caller.account for name in listed)
        return own_account and all(arn in listed or arn.endswith(":root") for arn in caller.own_arns)


def principals_of(statement: Mapping[str, Any]) -> Principals:
    negated = "NotPrincipal" in statement
    element = statement.get("NotPrincipal" if negated else "Principal")
    if element == "*":
        return Principals({"AWS": ("*",), _EVERYBODY: ("*",)}, negated)
    if isinstance(element, str):
        return Principals({"AWS": (element,)}, negated)
    if not isinstance(element, Mapping):
        return Principals(None, negated)
    return Principals({str(kind): _texts(names) for kind, names in element.items()}, negated)


def _names(name: str, caller: Caller) -> bool:
    account = _account(name)
    return name == "*" or name in caller.own_arns or (account is not None and account == caller.account)


def _account(name: str) -> str | None:
    found = _ACCOUNT.fullmatch(name)
    return found[1] if found else None


def _texts(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in (names if isinstance(names, list) else [names]))
