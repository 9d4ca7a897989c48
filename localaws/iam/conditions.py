"""A statement's conditions: operators, their qualifiers, and keys with several values.

IAM User Guide, "Set operators for multivalued context keys" and "Policy variables with no value".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.iam.operators import Operator, operator_named
from localaws.iam.requests import Values, all_values
from localaws.iam.texts import PolicyText, policy_text

_ALL, _ANY = "forallvalues:", "foranyvalue:"
_IF_EXISTS = "ifexists"


@dataclass(frozen=True)
class Condition:
    """One operator on one key. Without an operator that IAM knows it never holds."""

    key: str
    operator: Operator | None
    texts: tuple[PolicyText, ...]
    qualifier: str = ""
    if_exists: bool = False

    def holds(self, values: Values) -> bool:
        if self.operator is None:
            return False
        found = all_values(values(self.key))
        if found is None:
            return self.if_exists or self.qualifier == _ALL or (self.operator.negated and self.qualifier != _ANY)
        resolved = [text.resolved(values) for text in self.texts] if self.operator.variables else self.texts
        texts = [text for text in resolved if text is not None]
        return self._holds_for(self.operator, found, texts)

    def _holds_for(self, known: Operator, found: list[str], texts: list[PolicyText]) -> bool:
        matches = (any(known.compare(value, text) for text in texts) != known.negated for value in found)
        if self.qualifier == _ANY:
            return any(matches)
        # Several values without a set operator are compared as one, which nothing equals.
        return all(matches) if self.qualifier == _ALL or len(found) == 1 else known.negated


@dataclass(frozen=True)
class NullCondition:
    """Whether a key is absent."""

    key: str
    absent: bool

    def holds(self, values: Values) -> bool:
        return (all_values(values(self.key)) is None) is self.absent


def conditions_of(block: Any, variables: bool) -> tuple[Condition | NullCondition, ...]:
    """The conditions of a statement's Condition element, all of which must hold."""
    return tuple(_conditions(block if isinstance(block, Mapping) else {}, variables))


def _conditions(block: Mapping[str, Any], variables: bool) -> Iterator[Condition | NullCondition]:
    for name, keys in block.items():
        for key, expected in keys.items() if isinstance(keys, Mapping) else ():
            yield _condition(name.lower(), key.lower(), all_values(expected) or [], variables)


def _condition(name: str, key: str, expected: list[str], variables: bool) -> Condition | NullCondition:
    if name == "null":
        return NullCondition(key, expected[:1] != ["false"])
    qualifier = next((prefix for prefix in (_ALL, _ANY) if name.startswith(prefix)), "")
    bare = name.removeprefix(qualifier)
    known = operator_named(bare.removesuffix(_IF_EXISTS))
    texts = tuple(policy_text(text, variables and known is not None and known.variables) for text in expected)
    return Condition(key, known, texts, qualifier, bare.endswith(_IF_EXISTS))
