"""JSONPath choice rules: how a value compares, and values of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.states.choices import OPERATORS, holds


@pytest.mark.fidelity(
    "Step Functions",
    "A comparison holds only between values of its kind; a boolean is no number, a date alone no time.",
    "Amazon States Language, Choice State: data-test expressions",
)
@pytest.mark.parametrize(
    ("name", "value", "operand", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringLessThan", "a", "b", True),
        ("StringLessThan", 1, "b", False),
        ("StringGreaterThanEquals", "b", "b", True),
        ("NumericEquals", 1, 1.0, True),
        ("NumericEquals", True, 1, False),
        ("NumericEquals", "1", 1, False),
        ("NumericLessThanEquals", 2, 2, True),
        ("BooleanEquals", True, True, True),
        ("BooleanEquals", 1, True, False),
        ("TimestampEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("TimestampLessThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", True),
        ("TimestampGreaterThan", "2026-01-01", "2025-01-01T00:00:00Z", False),
        ("IsNumeric", True, True, False),
        ("IsNumeric", 1.5, True, True),
        ("IsNumeric", "1", False, True),
        ("IsString", "x", True, True),
        ("IsBoolean", False, True, True),
        ("IsNull", None, True, True),
        ("IsNull", 0, True, False),
        ("IsTimestamp", "2026-01-01T00:00:00Z", True, True),
        ("IsTimestamp", "2026-01-01t00:00:00z", True, False),
        ("IsTimestamp", "2026-13-01T00:00:00Z", True, False),
    ],
)
def test_comparisons(name: str, value: Any, operand: Any, expected: bool) -> None:
    assert holds(name, value, operand) is expected


@pytest.mark.fidelity(
    "Step Functions",
    "StringMatches knows one wildcard, an asterisk; a backslash takes its meaning away.",
    "Amazon States Language, Choice State: StringMatches",
)
@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("foo.log", "*.log", True),
        ("foo.log", "foo*", True),
        ("foo.txt", "*.log", False),
        ("a*b", r"a\*b", True),
        ("axb", r"a\*b", False),
        (r"a\b", r"a\\b", True),
        ("a.b", "a?b", False),
        ("xaybz", "*a*b*", True),
        ("", "*", True),
    ],
)
def test_patterns(value: str, pattern: str, expected: bool) -> None:
    assert holds("StringMatches", value, pattern) is expected


def test_a_pattern_of_many_asterisks_takes_no_time() -> None:
    assert not holds("StringMatches", "a" * 5000, "*a" * 40 + "b")


def test_every_operator_is_there() -> None:
    orders = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
    compared = {f"{kind}{order}" for kind in ("String", "Numeric", "Timestamp") for order in orders}
    kinds = {f"Is{kind}" for kind in ("Null", "Numeric", "String", "Boolean", "Timestamp")}
    assert set(OPERATORS) == compared | kinds | {"BooleanEquals", "StringMatches"}
