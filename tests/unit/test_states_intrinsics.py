"""JSONPath's intrinsic functions: what they answer, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.states.intrinsics import FUNCTIONS, IntrinsicError, call


@pytest.mark.fidelity(
    "Step Functions",
    "All eighteen intrinsic functions of JSONPath states answer as documented: Format shows true and null, ArrayRange"
    " counts down too, MathAdd rounds.",
    "Step Functions DG, Intrinsic functions for JSONPath states in Step Functions",
)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Array", ["a", 1, None], ["a", 1, None]),
        ("Array", [], []),
        ("ArrayPartition", [[1, 2, 3, 4, 5, 6, 7, 8, 9], 4], [[1, 2, 3, 4], [5, 6, 7, 8], [9]]),
        ("ArrayContains", [[1, 2, {"a": 1}], {"a": 1}], True),
        ("ArrayContains", [[1, 2], True], False),
        ("ArrayRange", [1, 9, 2], [1, 3, 5, 7, 9]),
        ("ArrayRange", [5, 1, -2], [5, 3, 1]),
        ("ArrayRange", [2, 1, 1], []),
        ("ArrayGetItem", [[1, 2, 3], 2], 3),
        ("ArrayLength", [[1, 2]], 2),
        ("ArrayUnique", [[1, 2, 1, True, 1.0]], [1, 2, True]),
        ("Base64Encode", ["Data to encode"], "RGF0YSB0byBlbmNvZGU="),
        ("Base64Decode", ["RGF0YSB0byBlbmNvZGU"], "Data to encode"),
        ("Hash", ["input data", "SHA-1"], "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("JsonMerge", [{"a": 1, "b": 2}, {"a": 3}, False], {"a": 3, "b": 2}),
        ("StringToJson", ['{"a": [1]}'], {"a": [1]}),
        ("JsonToString", [{"a": [1, None]}], '{"a":[1,null]}'),
        ("MathAdd", [111, -1], 110),
        ("MathAdd", [1.5, 1], 3),
        ("StringSplit", ["This.is+a,test=string", ".+,="], ["This", "is", "a", "test", "string"]),
        ("Format", ["Hello, {} and {}", "you", 2], "Hello, you and 2"),
        ("Format", ["{} {}", True, None], "true null"),
        ("Format", [r"\{\} {}", "x"], "{} x"),
    ],
)
def test_what_functions_answer(name: str, arguments: list[Any], expected: Any) -> None:
    answer = call(f"States.{name}", arguments)
    assert (answer, [type(item) for item in answer] if isinstance(answer, list) else None) == (
        expected,
        [type(item) for item in expected] if isinstance(expected, list) else None,
    )


@pytest.mark.fidelity(
    "Step Functions",
    "A function refuses arguments that it doesn't take: too few or many, of another kind, out of range.",
    "Step Functions DG, Intrinsic functions for JSONPath states in Step Functions",
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Format", ["{}{}", 1]),
        ("Format", ["x", 1]),
        ("Format", [1]),
        ("ArrayRange", [0, 2000, 1]),
        ("ArrayRange", [0, 1, 0]),
        ("ArrayPartition", [[1], 0]),
        ("ArrayGetItem", [[0, 1], -1]),
        ("ArrayGetItem", [[0, 1], 2]),
        ("ArrayLength", ["text"]),
        ("JsonMerge", [{"a": 1}, {"a": 1}, True]),
        ("JsonMerge", [{"a": 1}, [], False]),
        ("JsonMerge", [{}, {}]),
        ("MathAdd", ["1", 1]),
        ("MathAdd", [True, 1]),
        ("MathAdd", [2**31, 1]),
        ("MathRandom", [2, 2]),
        ("Base64Decode", ["!!"]),
        ("Base64Encode", ["x" * 10_001]),
        ("Hash", ["x", "MD4"]),
        ("StringToJson", ["{"]),
        ("UUID", [1]),
        ("Nothing", []),
    ],
)
def test_what_functions_refuse(name: str, arguments: list[Any]) -> None:
    with pytest.raises(IntrinsicError, match=f"States.{name}"):
        call(f"States.{name}", arguments)


def test_a_random_number_is_below_its_end_and_follows_its_seed() -> None:
    drawn = {call("States.MathRandom", [1, 4]) for _ in range(200)}
    assert drawn == {1, 2, 3}
    assert call("States.MathRandom", [1, 999, 7]) == call("States.MathRandom", [1, 999, 7])


def test_all_functions_are_there() -> None:
    assert len(FUNCTIONS) == 18
    assert len(str(call("States.UUID", []))) == 36
