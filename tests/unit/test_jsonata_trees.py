"""JSONata expressions are parsed once, and evaluated as often and by as many threads as there are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from localaws.ministack_adapter.stepfunctions import jsonata, jsonata_trees

# What binds, calls, passes on, groups, sorts and matches: all that keeps something while it is evaluated.
MIXED = (
    "( $twice := function($x) { $x * 2 }; $inc := $append(?, [n]); "
    "{ 'own': $n, 'twice': $map([n, n + 1], $twice), 'rows': rows^(>id).id, 'by': rows{kind: $sum(id)}, "
    "'text': $replace(name, /(\\d+)/, '<$1>'), 'more': [$n] ~> $inc } )"
)


def given(number: int) -> dict[str, object]:
    rows = [{"id": each, "kind": "even" if each % 2 == 0 else "odd"} for each in (number, number + 1, number + 2)]
    return {"n": number, "states": {"n": number, "name": f"a{number}b", "rows": rows}}


def expected(number: int) -> dict[str, object]:
    ids = [number + 2, number + 1, number]
    even = sum(each for each in ids if each % 2 == 0)
    return {
        "own": number,
        "twice": [2 * number, 2 * number + 2],
        "rows": ids,
        "by": {"even": even, "odd": sum(ids) - even},
        "text": f"a<{number}>b",
        "more": [number, number],
    }


def test_threads_that_evaluate_one_tree_at_once_don_t_hear_of_each_other() -> None:
    text = f"$states.{MIXED}"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: jsonata.evaluate(text, given(number)), range(200)))
    assert answers == [expected(number) for number in range(200)]


def test_an_expression_is_parsed_once() -> None:
    assert jsonata.parse("1 + 1 + 'once'").ast is jsonata.parse("1 + 1 + 'once'").ast
    long = f"'{'x' * jsonata_trees.LONGEST}'"
    assert jsonata.parse(long).ast is not jsonata.parse(long).ast, "what is large isn't kept"


def test_what_cannot_be_parsed_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^S0"):
            jsonata.parse("1 +")
    assert jsonata.evaluate("1 + 1", {}) == 2
