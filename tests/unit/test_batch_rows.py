"""Rows that a model can't answer: one of them doesn't lose the batch, and its number is known."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from contract import batches

Functions = tuple[Any, Any, Any]


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolkit as a container has it: beside the script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "training_code"))


def row_by_row(*functions: Any) -> Functions:
    from toolkit import rows  # noqa: PLC0415 - on the path in tests only

    return rows.row_by_row(*functions)


def read(body: str, _kind: str) -> list[int]:
    return [int(row) for row in body.splitlines()]


def predict(numbers: list[int], calls: list[int]) -> list[float]:
    calls.append(len(numbers))
    return [10 / number for number in numbers]


def write(answers: list[float], accept: str) -> tuple[str, str]:
    return "\n".join(f"{answer:g}" for answer in answers), accept


@pytest.fixture(name="in_batch")
def _in_batch(monkeypatch: pytest.MonkeyPatch) -> Functions:
    monkeypatch.setenv(batches.IN_BATCH, "true")
    return row_by_row(read, predict, write)


def answered(functions: Functions, body: str | bytes, accept: str = "text/csv") -> tuple[str, list[int]]:
    reads, predicts, writes = functions
    calls: list[int] = []
    text, kind = writes(predicts(reads(body, "text/csv"), calls), accept)
    assert kind == accept
    return text, calls


def test_good_rows_are_answered_at_once(in_batch: Functions) -> None:
    assert answered(in_batch, "1\n2\n5") == ("10\n5\n2", [3])
    assert answered(in_batch, b"1\n2\n5\n")[0] == "10\n5\n2"


@pytest.mark.parametrize("inside", ["\u2028", "\x0b", "\x85", "\r"])
def test_a_row_ends_at_a_line_feed_alone(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """A transform job joins answers with rows line by line, and these are within a line."""
    monkeypatch.setenv(batches.IN_BATCH, "true")
    rows = row_by_row(
        lambda body, _kind: body.split("\n"),
        lambda texts, _calls: [len(text) for text in texts if text != "bad" or 1 / 0],
        lambda lengths, accept: ("\n".join(map(str, lengths)), accept),
    )
    assert answered(rows, f"a{inside}b\nbad\nc\n")[0] == "3\n#BAD_ROW\n1"
    assert answered(rows, f"a{inside}b\nc\n")[0] == "3\n1"


def test_a_bad_row_has_a_placeholder_in_its_place(in_batch: Functions, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong to read (x) or to predict (0)."""
    text, _ = answered(in_batch, "1\n2\nx\n5\n0\n10")
    assert text.split("\n") == ["10", "5", batches.BAD_ROW, "2", batches.BAD_ROW, "1"]
    assert list(batches.bad_rows(text.split("\n"))) == [3, 5]
    assert '2 of 6 rows have no answer; the first: ValueError("invalid literal for int()' in capsys.readouterr().err


def test_a_bad_row_among_many_costs_a_few_requests_more(in_batch: Functions) -> None:
    rows = ["1"] * 1000
    rows[700] = "0"
    text, calls = answered(in_batch, "\n".join(rows))
    assert list(batches.bad_rows(text.split("\n"))) == [701]
    assert len(calls) <= 25


def test_all_rows_may_be_bad(in_batch: Functions) -> None:
    assert answered(in_batch, "x\ny")[0] == "\n".join([batches.BAD_ROW] * 2)


def test_json_lines_have_it_as_a_text(in_batch: Functions) -> None:
    text, _ = answered(in_batch, "1\nx", "application/jsonlines")
    assert [json.loads(line) for line in text.split("\n")] == [10, batches.BAD_ROW]
    assert list(
        batches.bad_rows(['{"id":1,"SageMakerOutput":10}', f'{{"id":2,"SageMakerOutput":"{batches.BAD_ROW}"}}'])
    ) == [2]


def test_what_has_no_lines_is_answered_or_fails_as_a_whole(in_batch: Functions) -> None:
    reads, predicts, _ = in_batch
    with pytest.raises(ValueError, match="invalid literal"):
        reads("x", "application/json")
    with pytest.raises(ValueError, match="invalid literal"):
        answered(in_batch, "1\nx", "application/json")
    assert predicts([5], []) == [2]


def test_an_endpoint_tells_its_caller_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(batches.IN_BATCH, raising=False)
    assert row_by_row(read, predict, write) == (read, predict, write)


def test_the_functions_look_as_they_did(in_batch: Functions) -> None:
    """PyTorch's container asks how many parameters each has."""
    for wrapped, plain in zip(in_batch, (read, predict, write), strict=True):
        assert list(inspect.signature(wrapped).parameters) == list(inspect.signature(plain).parameters)


def test_a_joined_row_ends_in_the_placeholder() -> None:
    assert list(batches.bad_rows(["1,2,a\n", f"3,4,{batches.BAD_ROW}\r\n", "5,6,b\n"])) == [2]


def test_a_bad_row_of_the_first_container_is_one_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was no number for the first is nothing that the last, to whom every text is one, is asked."""
    monkeypatch.setenv(batches.IN_BATCH, "true")
    asked: list[str] = []

    def texts(body: str, kind: str) -> list[str]:
        assert kind == "text/csv; charset=utf-8"  # as scikit-learn's image passes it on
        asked.extend(body.splitlines())
        return body.splitlines()

    last = row_by_row(texts, lambda rows, _model: [f"<{row}>" for row in rows], lambda rows, _kind: "\n".join(rows))
    first = row_by_row(read, predict, write)
    between, _ = answered(first, "1\nx\n5\n0")
    reads, predicts, writes = last
    text, _ = writes(predicts(reads(between.encode(), "text/csv; charset=utf-8"), None), "text/csv")
    assert text.split("\n") == ["<10>", batches.BAD_ROW, "<2>", batches.BAD_ROW]
    assert batches.BAD_ROW not in asked
