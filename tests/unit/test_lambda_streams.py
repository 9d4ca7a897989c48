"""What a function's process writes costs the server bounded memory, and what it doesn't read bounded time."""

from __future__ import annotations

import json
import os
import time
from io import BufferedReader
from typing import BinaryIO

import pytest

from localaws.ministack_adapter.lambda_streams import DROPPED, MOST_PRINTED, AnswerError, Answers, Printed, answer, send

END = "#1"


def _pipe() -> tuple[BufferedReader, BinaryIO]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0)


@pytest.mark.parametrize("printed", [b"", b"one", b"one\n", b"one\n\n", b"one\n\ntwo"])
def test_lines_are_as_they_were_printed(printed: bytes) -> None:
    ours, its = _pipe()
    log = Printed(ours, "#", "log")
    its.write(printed + b"\n#1\n" + b"next\n#2\n")
    assert log.up_to(END, 10) == printed.decode().removesuffix("\n")
    assert log.up_to("#2", 10) == "next"
    its.close()


@pytest.mark.parametrize("piece", [b"x" * 1_000_000, b"x" * 999 + b"\n", b"\n" * 10_000, b"\xff\0\r" * 1000])
def test_a_flood_is_cut_off_and_its_end_still_found(piece: bytes) -> None:
    ours, its = _pipe()
    log = Printed(ours, "#", "log")
    for _ in range(3 * MOST_PRINTED // len(piece)):
        its.write(piece)
    its.write(b"\n#1\n")
    kept = log.up_to(END, 60)
    assert kept.endswith(DROPPED)
    assert len(kept) <= MOST_PRINTED + 300_000
    its.write(b"next\n\n#2\n")
    assert log.up_to("#2", 10) == "next"
    its.close()


def test_twenty_million_empty_lines_are_not_taken_apart() -> None:
    ours, its = _pipe()
    started = time.process_time()
    log = Printed(ours, "#", "log")
    for _ in range(20):
        its.write(b"\n" * 1_000_000)
    its.write(b"\n#1\n")
    assert log.up_to(END, 60).endswith(DROPPED)
    assert time.process_time() - started < 5, "seconds of the processor"
    for number in range(2, 5):
        its.write(b"of the next\n\n#%d\n" % number)
        assert log.up_to(f"#{number}", 10) == "of the next"
    its.close()


def test_markers_of_the_functions_own_are_no_way_around_it() -> None:
    ours, its = _pipe()
    log = Printed(ours, "#", "log")
    for _ in range(2 * MOST_PRINTED // 1000):
        its.write(b"#" + b"x" * 998 + b"\n")
    its.close()
    assert len(log.up_to(END, 60)) <= MOST_PRINTED + 300_000


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"null", b"x", b"[" * 100_000, b'{"error": 5}', b'{"result": 5}', b'{"result": "["}', b"\xff"]
)
def test_what_is_no_answer(line: bytes) -> None:
    with pytest.raises(AnswerError) as raised:
        answer(line + b"\n")
    assert raised.value.document is None


def test_an_answer_without_end_and_answers_that_nobody_asked_for() -> None:
    ours, its = _pipe()
    answers = Answers(ours, "answers")
    for _ in range(20):
        its.write(b"x" * 1_000_000)
    with pytest.raises(AnswerError) as raised:
        answers.next(30)
    assert raised.value.document is not None
    assert raised.value.document["errorType"] == "Function.ResponseSizeTooLarge"
    its.write(b"\n" + b"y\n" * 1_000_000)
    its.close()
    with pytest.raises(AnswerError):
        answers.next(30)
    assert answers._lines.qsize() <= 5


def test_one_that_reads_nothing_is_waited_for_until_the_deadline() -> None:
    ours, its = _pipe()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        send(its, {"event": "x" * 200_000}, began + 0.2)
    ours.close()
    with pytest.raises(OSError, match="Broken pipe"):
        send(its, {"event": "x"}, began + 60)


def test_what_is_sent_arrives_whole() -> None:
    ours, its = _pipe()
    answers = Answers(ours, "answers")
    send(its, {"result": json.dumps("x" * 300_000)}, time.monotonic() + 30)
    assert answers.next(30) == {"result": "x" * 300_000}
    its.close()
    assert answers.next(30) is None
