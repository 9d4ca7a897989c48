"""Condition operators: how one value of a request compares with one text of a policy.

IAM User Guide, "IAM JSON policy elements: Condition operators". An operator that IAM doesn't know never matches; so
does a value that isn't of the operator's kind.
"""

from __future__ import annotations

import base64
import ipaddress
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from localaws.iam.texts import PolicyText

Compare = Callable[[str, PolicyText], bool]

_ARN_PARTS = 6


@dataclass(frozen=True)
class Operator:
    """`negated` operators hold where no text of the policy compares, the others where one does."""

    compare: Compare
    negated: bool = False
    # Variables stand in texts and ARNs only.
    variables: bool = False


def operator_named(name: str) -> Operator | None:
    """An operator by its name in lower case, without its prefix and without IfExists."""
    return _OPERATORS.get(name)


def _equals(value: str, expected: PolicyText) -> bool:
    return value == expected.text


def _equals_ignoring_case(value: str, expected: PolicyText) -> bool:
    return value.lower() == expected.text.lower()


def _like(value: str, expected: PolicyText) -> bool:
    return expected.matches(value)


def _arn_like(value: str, expected: PolicyText) -> bool:
    """Each of an ARN's six parts is compared by itself: a wildcard reaches over no colon but in the last part."""
    if expected.pattern is None:
        return True
    wanted, given = _arn_parts(expected), value.split(":", _ARN_PARTS - 1)
    return len(wanted) == len(given) and all(part.matches(text) for part, text in zip(wanted, given, strict=True))


def _arn_parts(text: PolicyText) -> list[PolicyText]:
    """A text's parts between its first five colons."""
    found: list[list[Any]] = [[]]
    for part in text.parts:
        if not isinstance(part, str):
            found[-1].append(part)
            continue
        first, *more = part.split(":", _ARN_PARTS - len(found))
        found[-1].append(first)
        found += [[piece] for piece in more]
    return [PolicyText(tuple(piece for piece in pieces if piece != "")) for pieces in found]


def _numeric(compare: Callable[[float, float], bool], value: str, expected: PolicyText) -> bool:
    try:
        return compare(float(value), float(expected.text))
    except ValueError:
        return False


def _dated(compare: Callable[[datetime, datetime], bool], value: str, expected: PolicyText) -> bool:
    given, wanted = _moment(value), _moment(expected.text)
    return given is not None and wanted is not None and compare(given, wanted)


def _moment(text: str) -> datetime | None:
    """A W3C date or seconds since 1970; UTC where it says no zone."""
    try:
        moment = datetime.fromtimestamp(float(text), UTC) if _is_number(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_number(text: str) -> bool:
    # A year alone is a date in ISO 8601, of which seconds have more digits.
    return text.replace(".", "", 1).isdigit() and len(text.partition(".")[0]) != 4


def _bool(value: str, expected: PolicyText) -> bool:
    return value.lower() == expected.text.lower()


def _binary(value: str, expected: PolicyText) -> bool:
    try:
        return base64.b64decode(value, validate=True) == base64.b64decode(expected.text, validate=True)
    except ValueError:
        return False


def _in_network(value: str, expected: PolicyText) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(expected.text, strict=False)
    except ValueError:
        return False


def _with_negation(name: str, compare: Compare, *, variables: bool = False) -> dict[str, Operator]:
    """An operator and its opposite: StringEquals and StringNotEquals, IpAddress and NotIpAddress."""
    kind = next((kind for kind in ("string", "arn", "numeric", "date") if name.startswith(kind)), "")
    negated = f"{kind}not{name.removeprefix(kind)}"
    return {name: Operator(compare, False, variables), negated: Operator(compare, True, variables)}


def _ordered(kind: str, compare: Callable[..., bool]) -> dict[str, Operator]:
    comparisons = {
        "lessthan": operator.lt,
        "lessthanequals": operator.le,
        "greaterthan": operator.gt,
        "greaterthanequals": operator.ge,
    }
    ordered = {f"{kind}{name}": Operator(partial(compare, function)) for name, function in comparisons.items()}
    return ordered | _with_negation(f"{kind}equals", partial(compare, operator.eq))


_OPERATORS: Mapping[str, Operator] = {
    **_with_negation("stringequals", _equals, variables=True),
    **_with_negation("stringequalsignorecase", _equals_ignoring_case, variables=True),
    **_with_negation("stringlike", _like, variables=True),
    **_with_negation("arnequals", _arn_like, variables=True),
    **_with_negation("arnlike", _arn_like, variables=True),
    **_with_negation("ipaddress", _in_network),
    **_ordered("numeric", _numeric),
    **_ordered("date", _dated),
    "bool": Operator(_bool),
    "binaryequals": Operator(_binary),
}
