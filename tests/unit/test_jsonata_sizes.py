"""What a JSONata expression makes on its way is bounded: it takes neither the memory nor the time of the machine."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.ministack_adapter.stepfunctions import jsonata

LARGE = [
    "$length($pad('x', 2000000000))",
    "$length($pad('x', -2000000000))",
    "$length($replace($pad('a', 100000, 'a'), /a/, $pad('b', 100000, 'b')))",
    "$length($replace($pad('a', 100000, 'a'), 'a', $pad('b', 100000, 'b')))",
    "$length($replace($pad('a', 1000000, 'a'), /a+/, $pad('$0', 200, '$0')))",
    "$join($map([1..200], function($x) { $pad('y', 1000000) }))",
    "$join(['a','b','c','d','e','f','g','h','i','j','k'], $pad('y', 2000000))",
    "$reduce([1..60], function($a, $b) { $a & $a }, 'xxxxxxxxxx')",
    "$reduce([1..60], function($a, $b) { $append($a, $a) }, [1, 2])",
    "$range(1, 100000000000, 1)",
    "$range(0, -100000000000, -1)",
]


@pytest.mark.parametrize("expression", LARGE)
def test_what_would_be_too_large_is_refused_at_once(expression: str) -> None:
    with pytest.raises(ValueError, match=r"elements here, not more|[Tt]imeout"):
        jsonata.evaluate(expression, {})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$pad('x', 3, '-')", "x--"),
        ("$pad('x', -3, '-')", "--x"),
        ("$join(['a', 'b'], ', ')", "a, b"),
        ("$join(['a', 'b'])", "ab"),
        ("$append([1], 2)", [1, 2]),
        ("$range(0, 6, 3)", [0, 3, 6]),
        ("$range(3, 0, -1)", [3, 2, 1, 0]),
        ("$replace('a-b', /-(b)/, '+$1')", "a+b"),
        ("$replace('aaa', 'a', 'b', 2)", "bba"),
        ("'a' & 1 & true", "a1true"),
        ("$length($pad('x', 1000000))", 1_000_000),
    ],
)
def test_what_is_smaller_is_as_it_was(expression: str, value: Any) -> None:
    assert jsonata.evaluate(expression, {}) == value
