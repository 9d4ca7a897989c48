"""The demo's parts that need no AWS."""

from __future__ import annotations

import threading

from demo import drawing
from demo.data import digits
from demo.traffic import Traffic


def test_a_digit_is_drawn_two_characters_a_pixel() -> None:
    lines = drawing.drawn([("1", *["0"] * 63, "16")])
    assert [len(line) for line in lines] == [16] * 8
    assert lines[0].strip() == ""
    assert lines[7].endswith("  ██")


def test_digits_stand_side_by_side_in_a_terminal_of_80() -> None:
    four = digits()[:4]
    lines = drawing.drawn(four)
    assert lines[3].startswith(drawing.drawn(four[:1])[3])
    assert len(lines[0]) <= 80 - 3
    assert len(drawing.captioned(["it says 1"] * 4)) == len(lines[0])


def test_every_shade_is_of_one_width() -> None:
    assert {len(line) for digit in digits()[:50] for line in drawing.drawn([digit])} == {16}


def test_traffic_counts_what_it_sends_and_minds_what_fails() -> None:
    answers = iter(["7", "cat"])
    enough = threading.Event()

    def ask(body: str) -> str:
        assert body in ("a", "b")
        answer = next(answers, None)
        if answer is None:
            enough.set()
            raise ConnectionError("refused")
        return answer

    with Traffic(ask, ["a", "b"], frozenset("0123456789")) as traffic:
        assert enough.wait(10)
    assert traffic.sent >= 3
    assert traffic.failures[:2] == ["answered 'cat'", "ConnectionError: refused"]
    assert len(traffic.failures) == traffic.sent - 1
