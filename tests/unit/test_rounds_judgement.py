"""The judgement of rounds: when they end, why, and which round's model goes on."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounds import handler
from rounds.judgement import text

SETTINGS = {"max": 5, "metric": "accuracy", "better": "greater", "tolerance": 0.02, "size": "parameters"}
BEGUN = {"metric": "accuracy", "better": "greater", "tolerance": 0.02, "size": "parameters", "rows": []}
ABSENT = "absent"


def training(number: int, accuracy: Any, parameters: Any, status: str = "Completed", **more: Any) -> dict[str, Any]:
    """`$training`, as the machine keeps it."""
    figures = {"accuracy": accuracy, "parameters": parameters}
    return {
        "status": status,
        "model_data": f"s3://models/{number}.tar.gz",
        "metrics": {name: value for name, value in figures.items() if value is not ABSENT},
        "seconds": 7,
        "environment": {"RATCHET_RUN_ID": "r"},
        "description": {"TrainingJobName": f"job-{number}", "TrainingJobStatus": status},
        **more,
    }


def event(number: int, rounds: Any, job: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"settings": {**SETTINGS, **settings}, "round": number, "rounds": rounds, "training": job}


def judged(*figures: tuple[Any, ...], **settings: Any) -> dict[str, Any]:
    """The judgement of the last of these rounds, each judged after the one before; all before it go on."""
    rounds, answer = BEGUN, {}
    for number, figure in enumerate(figures, start=1):
        answer = handler.handle(event(number, rounds, training(number, *figure), **settings), None)
        json.dumps(answer)
        rounds = answer["rounds"]
        assert number == len(figures) or answer["next"] == "again", answer
    return answer


# ------------------------------------------------------------------------------------------------------ going on


def test_a_good_round_is_followed_by_another() -> None:
    answer = judged((0.9, 1000), (0.91, 700))
    assert (answer["next"], answer["round"], answer["failure"]) == ("again", 3, None)
    assert answer["training"] == training(2, 0.91, 700)
    assert answer["rounds"].keys() == BEGUN.keys(), "nothing has ended"


def test_the_record_has_a_row_a_round() -> None:
    answer = judged((0.9, 1000), (0.91, 700))
    assert {name: answer["rounds"][name] for name in BEGUN if name != "rows"} == {
        name: BEGUN[name] for name in BEGUN if name != "rows"
    }
    assert answer["rounds"]["rows"][1] == {
        "round": 2,
        "job": "job-2",
        "status": "Completed",
        "model_data": "s3://models/2.tar.gz",
        "metrics": {"accuracy": 0.91, "parameters": 700},
        "seconds": 7,
        "stopped_by_rule": False,
    }
    assert [row["round"] for row in answer["rounds"]["rows"]] == [1, 2]
    assert BEGUN["rows"] == [], "what came in is left as it was"


def test_a_row_keeps_what_spot_came_to() -> None:
    spot = {"interruptions": 1, "training_seconds": 7, "billable_seconds": 3}
    answer = handler.handle(event(1, BEGUN, training(1, 0.9, 1000, spot=spot)), None)
    assert answer["rounds"]["rows"][0]["spot"] == spot


def test_the_first_round_is_within_any_tolerance() -> None:
    assert judged((0.1, 1000), tolerance=0)["next"] == "again"


# ------------------------------------------------------------------------------------------------------- the end


def test_after_the_last_round_the_smallest_goes_on() -> None:
    answer = judged((0.90, 1000), (0.91, 700), (0.89, 490), max=3)
    assert (answer["next"], answer["round"], answer["failure"]) == ("evaluate", 3, None)
    assert (answer["rounds"]["ended"], answer["rounds"]["reason"]) == ("last", "round 3 was the last")
    assert answer["rounds"]["chosen"] == 3
    assert answer["training"] == training(3, 0.89, 490)


def test_the_chosen_rounds_model_is_what_goes_on() -> None:
    answer = judged((0.9, 1000), (0.9, 400), (0.9, 700), max=3)
    assert answer["rounds"]["chosen"] == 2
    assert answer["training"] == {**training(3, 0.9, 700), "model_data": "s3://models/2.tar.gz"}


def test_of_equally_small_ones_the_first_goes_on() -> None:
    assert judged((0.90, 500), (0.92, 500), (0.91, 500), max=3)["rounds"]["chosen"] == 1
    assert judged((0.90, 900), (0.92, 500), (0.91, 500), max=3)["rounds"]["chosen"] == 2


@pytest.mark.parametrize(
    ("better", "first", "value", "ended"),
    [
        # a loss of just the tolerance is within it, whatever a computer makes of 0.93 - 0.91
        ("greater", 0.93, 0.91, None),
        ("greater", 0.90, 0.88, None),
        ("greater", 0.90, 0.8799, "tolerance"),
        ("greater", 0.90, 0.95, None),
        ("less", 1.00, 1.02, None),
        ("less", 1.00, 1.0201, "tolerance"),
        ("less", 1.00, 0.50, None),
        ("less", 0.91, 0.93, None),
        # a billionth is forgiven, more isn't
        ("greater", 0.0, -0.02 - 0.9e-9, None),
        ("greater", 0.0, -0.02 - 1.1e-9, "tolerance"),
        # what lies above the tolerance by itself
        ("greater", 5, 4, "tolerance"),
        ("greater", -1.0, -1.01, None),
        ("less", -1.0, -0.5, "tolerance"),
    ],
)
def test_a_round_beyond_the_tolerance_ends_them(better: str, first: float, value: float, ended: str | None) -> None:
    answer = judged((first, 1000), (value, 10), better=better)
    assert answer["rounds"].get("ended") == ended
    if ended:
        assert (answer["next"], answer["rounds"]["chosen"]) == ("evaluate", 1)
        assert answer["training"]["model_data"] == "s3://models/1.tar.gz"


def test_why_the_tolerance_ended_them_is_said_in_a_sentence() -> None:
    answer = judged((0.90, 1000), (0.88, 700), (0.879, 490))
    assert answer["rounds"]["reason"] == "round 3: accuracy is 0.879, more than 0.02 worse than the first round, 0.9"
    assert answer["rounds"]["chosen"] == 2, "exactly at the tolerance is within it"
    assert len(answer["rounds"]["rows"]) == 3, "the round's figures are kept"


def test_a_round_that_gets_better_does_not_raise_the_bar() -> None:
    assert judged((0.90, 1000), (0.99, 700), (0.89, 490), max=3)["rounds"]["chosen"] == 3


def test_beyond_the_tolerance_in_the_last_round_is_beyond_it() -> None:
    answer = judged((0.90, 1000), (0.80, 700), max=2)
    assert (answer["rounds"]["ended"], answer["rounds"]["chosen"]) == ("tolerance", 1)


@pytest.mark.parametrize(("maximum", "goes_on"), [(1, "evaluate"), (2, "again")])
def test_the_last_round_is_the_one_of_that_number(maximum: int, goes_on: str) -> None:
    assert judged((0.9, 1000), max=maximum)["next"] == goes_on


# ----------------------------------------------------------------------------------------------- stopped by a rule


def test_a_rules_stop_ends_them_with_the_rounds_before() -> None:
    answer = judged((0.9, 1000), (0.9, 10, "Stopped"))
    assert (answer["next"], answer["round"], answer["failure"]) == ("evaluate", 2, None)
    assert (answer["rounds"]["ended"], answer["rounds"]["reason"]) == ("rule", "a rule stopped round 2")
    assert answer["rounds"]["chosen"] == 1, "a stopped round's model is smaller, but not chosen"
    assert answer["rounds"]["rows"][1]["stopped_by_rule"] is True
    assert (answer["training"]["status"], answer["training"]["model_data"]) == ("Completed", "s3://models/1.tar.gz")
    assert answer["training"]["description"]["TrainingJobStatus"] == "Stopped", "the job itself is what it is"


def test_a_stopped_round_needs_no_figures() -> None:
    job = training(2, 0.9, 10, "Stopped")
    del job["metrics"], job["model_data"]
    answer = handler.handle(event(2, judged((0.9, 1000))["rounds"], job), None)
    assert answer["rounds"]["chosen"] == 1
    assert answer["rounds"]["rows"][1].keys() == {"round", "job", "status", "seconds", "stopped_by_rule"}


# ------------------------------------------------------------------------------------------------- not measured

SAID = "round 2 (job-2) printed no figure that matches train.metrics accuracy or parameters, by which rounds are judged"


@pytest.mark.parametrize(
    "figures",
    [
        (ABSENT, 700),
        (0.9, ABSENT),
        (ABSENT, ABSENT),
        (math.nan, 700),
        (0.9, math.inf),
        (-math.inf, 700),
        (None, 700),
        ("0.9", 700),
    ],
    ids=str,
)
def test_a_round_without_its_figures_fails_with_a_sentence(figures: tuple[Any, Any]) -> None:
    answer = judged((0.9, 1000), figures)
    assert (answer["next"], answer["round"]) == ("failed", 2)
    assert answer["failure"] == {"state": "Train", "error": "RoundNotMeasured", "cause": SAID}
    assert len(answer["rounds"]["rows"]) == 2, "what was done before isn't forgotten"
    assert "ended" not in answer["rounds"]


def test_a_job_that_printed_nothing_at_all_fails_the_same() -> None:
    job = training(2, 0.9, 700)
    del job["metrics"]
    answer = handler.handle(event(2, judged((0.9, 1000))["rounds"], job), None)
    assert answer["failure"]["cause"] == SAID
    assert "metrics" not in answer["rounds"]["rows"][1]


def test_a_first_round_without_figures_fails_too() -> None:
    assert judged((ABSENT, 700))["failure"]["cause"].startswith("round 1 (job-1) printed no figure")


# ------------------------------------------------------------------------------------------------------ in words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.9, "0.9"),
        (0.1 + 0.2, "0.3"),
        (1.0, "1"),
        (700, "700"),
        (1200.0, "1200"),
        (-0.5, "-0.5"),
        (0, "0"),
        (1e-5, "0.00001"),
        (123456789012345678, "123456789012346000"),
    ],
)
def test_figures_are_said_as_a_person_writes_them(value: float, said: str) -> None:
    assert text(value) == said


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_a_figure_in_words_is_the_figure(value: float) -> None:
    assert math.isclose(float(text(value)), value, rel_tol=1e-14, abs_tol=1e-300)
    assert "e" not in text(value)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10_000)), min_size=2, max_size=8),
    st.sampled_from(["greater", "less"]),
    st.floats(0, 1),
)
def test_the_chosen_round_is_always_a_good_one(rows: list[tuple[float, int]], better: str, tolerance: float) -> None:
    """Whatever the figures, and however they end: none smaller would have been good enough."""
    rounds, answer, number = BEGUN, {"next": "again"}, 0
    while answer["next"] == "again":
        number += 1
        job = training(number, *rows[number - 1])
        settings = {"max": len(rows), "better": better, "tolerance": tolerance}
        answer = handler.handle(event(number, rounds, job, **settings), None)
        rounds = answer["rounds"]
    lost = [(rows[0][0] - value) * (1 if better == "greater" else -1) for value, _ in rows[:number]]
    good = [index for index in range(number) if lost[index] <= tolerance + 1e-9]
    assert rounds["chosen"] - 1 == min(good, key=lambda index: rows[index][1])
    assert answer["training"]["model_data"] == f"s3://models/{rounds['chosen']}.tar.gz"


def test_the_log_says_what_was_judged(capsys: pytest.CaptureFixture[str]) -> None:
    judged((0.9, 1000))
    line = json.loads(capsys.readouterr().out)
    assert (line["function"], line["event"], line["next"], line["job"]) == ("rounds", "judged", "again", "job-1")
    assert line["metrics"] == {"accuracy": 0.9, "parameters": 1000}
