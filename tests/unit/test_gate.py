"""The gate's decisions, as a table."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from common.artifacts import ArtifactMissingError
from gate import decision as gate_decision
from gate import handler
from gate.evaluation import BadEvaluationError
from memory_aws import Aws, installed

GATE = {
    "metric": "f1_macro",
    "minimum": 0.9,
    "beat_champion_by": 0.0,
    "confidence": 0.95,
    "when_champion_cannot_answer": "keep",
}
CHAMPION = {"run_id": "20261119-101112-beef"}


def decide(evaluation: Any, gate: Any, champion: Any, *, supersede: bool = False) -> dict[str, Any]:
    return gate_decision.decide(evaluation, gate, champion, pipeline="digits", supersede=supersede)


def evaluation(score: float, champion: float | None = None, interval: Any = None, **changes: Any) -> dict[str, Any]:
    document = {
        "metric": "f1_macro",
        "examples": 360,
        "challenger": {"score": score},
        "champion": None if champion is None else {"score": champion},
        "difference": None if champion is None else score - champion,
        "interval": interval,
        "confidence": 0.95,
    }
    return {**document, **changes}


@pytest.mark.parametrize(
    ("score", "champion", "interval", "gate", "promote", "said"),
    [
        # the first model needs only the floor
        (0.90, None, None, {}, True, "first model"),
        (0.97, None, None, {}, True, "reaches the minimum"),
        (0.8999, None, None, {}, False, "below the minimum"),
        # later ones must be better, as sure as the spec asks
        (0.97, 0.95, [0.001, 0.04], {}, True, "better than the champion"),
        (0.97, 0.95, [-0.001, 0.04], {}, False, "not better"),
        (0.95, 0.97, [-0.04, -0.001], {}, False, "not better"),
        # a tie keeps the champion
        (0.95, 0.95, [0.0, 0.0], {}, False, "not better"),
        (0.97, 0.95, [0.0, 0.04], {}, False, "not better"),
        # a margin is a margin
        (0.97, 0.95, [0.01, 0.03], {"beat_champion_by": 0.01}, False, "by more than 0.01"),
        (0.97, 0.95, [0.0101, 0.03], {"beat_champion_by": 0.01}, True, "by more than 0.01"),
        # not worse by more than
        (
            0.94,
            0.95,
            [-0.0199, 0.01],
            {"beat_champion_by": -0.02},
            True,
            "not worse than the champion by more than 0.02",
        ),
        (
            0.94,
            0.95,
            [-0.02, 0.01],
            {"beat_champion_by": -0.02},
            False,
            "may be worse than the champion by more than 0.02",
        ),
        (0.97, 0.95, [0.01, 0.03], {"beat_champion_by": -0.02}, True, "not worse"),
        (0.95, 0.95, [0.0, 0.0], {"beat_champion_by": -0.02}, True, "not worse"),
        (0.89, 0.90, [-0.01, 0.01], {"beat_champion_by": -0.02}, False, "below the minimum"),
        # the floor holds for every model
        (0.85, 0.80, [0.03, 0.07], {}, False, "below the minimum"),
        # errors are negative scores
        (-3.0, -4.0, [0.5, 1.5], {"minimum": -5.0}, True, "better"),
        (-6.0, -9.0, [2.0, 4.0], {"minimum": -5.0}, False, "below the minimum of -5"),
        # what is no score, is no score
        (math.nan, None, None, {}, False, "no score"),
        (math.inf, 0.95, [0.1, 0.2], {}, False, "no score"),
        (0.97, 0.95, [math.nan, 0.2], {}, False, "not better"),
    ],
)
def test_the_decision(
    *, score: float, champion: float | None, interval: Any, gate: dict[str, float], promote: bool, said: str
) -> None:
    decision = decide(
        evaluation(score, champion, interval), {**GATE, **gate}, CHAMPION if champion is not None else None
    )
    assert decision["promote"] is promote
    assert said in decision["reason"]


def test_the_figures_come_with_the_decision() -> None:
    decision = decide(evaluation(0.97, 0.95, [0.01, 0.03]), GATE, CHAMPION)
    assert decision["score"] == 0.97
    assert decision["champion_score"] == 0.95
    assert decision["interval"] == [0.01, 0.03]
    assert decision["examples"] == 360
    assert "0.9700 against the champion's 0.9500" in decision["reason"]
    assert "95%" in decision["reason"]


@pytest.mark.parametrize(
    ("document", "champion", "said"),
    [
        (evaluation(0.97, metric="accuracy"), None, "measured accuracy, but the gate asks for f1_macro"),
        (evaluation(0.97), CHAMPION, "didn't judge the champion"),
        (evaluation(0.97, 0.95, None), CHAMPION, "interval"),
        (
            evaluation(0.97, champion=0.95, interval=[0.1, 0.2]) | {"champion": {"x": 1}},
            CHAMPION,
            "the champion's score",
        ),
        (evaluation(0.97, 0.95, [0.1, None]), CHAMPION, "the interval's high in the evaluation is None"),
        (evaluation(0.97, 0.95, ["x", 1]), CHAMPION, "the interval's low in the evaluation is 'x'"),
        (evaluation(0.97), {"run_id": "r0"}, r"didn't judge the champion \(of run r0\)"),
        (evaluation(0.97, 0.95, [0.1]), CHAMPION, "interval"),
        (evaluation(0.97, 0.95, ["a", "b"]), CHAMPION, "must be a number"),
        (evaluation(0.97, challenger={}), None, "didn't judge the challenger"),
        (
            evaluation(0.97, challenger={"score": None}),
            None,
            "the challenger's score in the evaluation is None; it must",
        ),
        (evaluation(0.97, challenger={"score": "0.97"}), None, "must be a number"),
        (evaluation(0.97, challenger={"score": True}), None, "must be a number"),
        ({}, None, "measured None"),
    ],
)
def test_an_evaluation_that_answers_something_else_is_refused(document: Any, champion: Any, said: str) -> None:
    with pytest.raises(BadEvaluationError, match=said):
        decide(document, GATE, champion)


# ------------------------------------------------------------------------------------- a champion that can't answer

CANNOT = "the champion can't answer: serve.py failed: ValueError: X has 5 features, but it expects 4"


def without_champion(score: float = 0.93) -> dict[str, Any]:
    return evaluation(score) | {"champion": {"cannot_answer": CANNOT}}


def test_a_champion_that_cannot_answer_stays_and_the_reason_says_what_to_do() -> None:
    decision = decide(without_champion(), GATE, CHAMPION)
    assert decision["promote"] is False
    assert decision["reason"] == (
        f"{CANNOT}. The challenger's f1_macro 0.9300 reaches the minimum of 0.9. If it shall take the champion's "
        "place: `ratchet run digits --supersede`, for this once, or `when_champion_cannot_answer: floor` under gate "
        "in pipeline.yaml"
    )
    assert decision["champion_cannot_answer"] == CANNOT
    figures = [decision[name] for name in ("score", "champion_score", "difference", "interval")]
    assert figures == [0.93, None, None, None]


def test_the_spec_lets_the_floor_alone_decide() -> None:
    decision = decide(without_champion(), {**GATE, "when_champion_cannot_answer": "floor"}, CHAMPION)
    assert (decision["promote"], decision["champion_cannot_answer"]) == (True, CANNOT)
    assert decision["reason"] == (
        "judged by the floor alone, as when_champion_cannot_answer says: f1_macro 0.9300 reaches the minimum of 0.9; "
        f"{CANNOT}"
    )


def test_a_person_supersedes_it_once() -> None:
    decision = decide(without_champion(), GATE, CHAMPION, supersede=True)
    assert decision["promote"] is True
    assert decision["reason"].startswith(
        "the champion is superseded, as was asked: f1_macro 0.9300 reaches the minimum"
    )


@pytest.mark.parametrize("policy", ["keep", "floor"])
@pytest.mark.parametrize("supersede", [True, False])
def test_the_floor_holds_whoever_asks(policy: str, supersede: bool) -> None:
    gate = {**GATE, "when_champion_cannot_answer": policy}
    decision = decide(without_champion(0.89), gate, CHAMPION, supersede=supersede)
    assert (decision["promote"], decision["champion_cannot_answer"]) == (False, CANNOT)
    assert decision["reason"] == "f1_macro 0.8900 is below the minimum of 0.9"


@pytest.mark.parametrize("supersede", [True, False])
def test_a_champion_that_there_was_nothing_to_evaluate_of_is_as_one_that_cannot_answer(supersede: bool) -> None:
    gone = {**CHAMPION, "cannot_answer": "the champion can't be asked: its model is gone"}
    decision = decide(evaluation(0.93), GATE, gone, supersede=supersede)
    assert decision["promote"] is supersede
    assert decision["champion_cannot_answer"] == gone["cannot_answer"]
    assert gone["cannot_answer"] in decision["reason"]


def test_a_champion_that_answers_is_not_superseded() -> None:
    worse = evaluation(0.95, 0.97, [-0.04, -0.001])
    floor = {**GATE, "when_champion_cannot_answer": "floor"}
    assert decide(worse, floor, CHAMPION, supersede=True) == decide(worse, GATE, CHAMPION)
    assert decide(worse, GATE, CHAMPION)["champion_cannot_answer"] is None


# ------------------------------------------------------------------------------------------------- floors of parts


def segment(name: str, score: float | None, examples: int = 40, **more: Any) -> dict[str, Any]:
    return {"segment": name, "examples": examples, "score": score, "champion": None, "unjudged": None, **more}


def class_(name: str, recall: float, examples: int = 40, champion: Any = None) -> dict[str, Any]:
    return {"class": name, "examples": examples, "recall": recall, "precision": 0.9, "f1": 0.5, "champion": champion}


SEGMENTS = {**GATE, "segments": {"column": "region", "minimum": 0.8, "examples": 10}, "classes": None}
CLASSES = {**GATE, "segments": None, "classes": {"recall": 0.8, "precision": None, "f1": None, "examples": 10}}


def test_segments_that_reach_their_floor_let_the_comparison_decide() -> None:
    found = evaluation(0.97, 0.95, [0.001, 0.04], segments=[segment("north", 0.8), segment("south", 0.99)])
    decision = decide(found, SEGMENTS, CHAMPION)
    assert decision["promote"] is True
    assert decision["reason"] == decide(evaluation(0.97, 0.95, [0.001, 0.04]), GATE, CHAMPION)["reason"]
    assert [(part["value"], part["score"], part["below"], part["unjudged"]) for part in decision["parts"]] == [
        ("north", 0.8, False, None),
        ("south", 0.99, False, None),
    ]


@pytest.mark.parametrize("champion", [None, CHAMPION])
def test_a_segment_below_its_floor_refuses_whatever_the_whole_is(champion: Any) -> None:
    figures = (0.97, 0.5, [0.3, 0.5]) if champion else (0.97,)
    found = evaluation(*figures, segments=[segment("north", 0.7999), segment("south", 0.6), segment("west", 0.9)])
    decision = decide(found, SEGMENTS, champion)
    assert decision["promote"] is False
    assert decision["reason"] == (
        "f1_macro 0.6000 of region south (40 examples) is below the minimum of 0.8; "
        "f1_macro 0.7999 of region north (40 examples) is below the minimum of 0.8"
    )


def test_of_many_segments_the_reason_tells_the_worst() -> None:
    found = evaluation(0.97, segments=[segment(f"s{number}", number / 10) for number in range(7)])
    reason = decide(found, SEGMENTS, None)["reason"]
    assert reason.startswith("f1_macro 0.0000 of region s0 (40 examples) is below")
    assert reason.endswith("is below the minimum of 0.8; and 4 more")


def test_the_decision_fits_into_a_state_machine_whatever_the_data_call_their_segments() -> None:
    """A state's output has at most 256 KiB, and nothing catches an execution that goes beyond."""
    named = [segment(f"{number}{'n' * 5_000}", 0.5) for number in range(300)]
    assert len(json.dumps(decide(evaluation(0.95, segments=named), SEGMENTS, None))) < 200_000


def test_the_floor_of_the_whole_comes_first() -> None:
    found = evaluation(0.8, segments=[segment("north", 0.1)])
    assert decide(found, SEGMENTS, None)["reason"] == "f1_macro 0.8000 is below the minimum of 0.9"


def test_a_segment_that_cannot_be_judged_is_named_and_never_passes_in_silence() -> None:
    why = "its examples are too few, or all of one class"
    found = evaluation(
        0.97,
        segments=[segment("east", 0.2, 9), segment("north", 0.9), segment("south", None, 40, unjudged=why)],
    )
    decision = decide(found, SEGMENTS, None)
    assert decision["promote"] is True
    assert decision["reason"] == (
        "first model: f1_macro 0.9700 reaches the minimum of 0.9; not judged: region east (9 examples, fewer than 10), "
        f"region south (f1_macro can't be computed: {why})"
    )


def test_where_no_segment_can_be_judged_nothing_goes_live() -> None:
    decision = decide(evaluation(0.97, segments=[segment("east", 0.9, 3)]), SEGMENTS, None)
    assert decision["promote"] is False
    assert decision["reason"].startswith("no part can be judged, so their floors say nothing: region east (3 examples")


def test_segments_hold_where_the_champion_cannot_answer() -> None:
    found = without_champion() | {"segments": [segment("north", 0.1)]}
    gate = {**SEGMENTS, "when_champion_cannot_answer": "floor"}
    assert decide(found, gate, CHAMPION, supersede=True)["promote"] is False


def test_a_column_by_its_position_is_told_as_one() -> None:
    gate = {**SEGMENTS, "segments": {"column": 3, "minimum": 0.8, "examples": 1}}
    reason = decide(evaluation(0.97, segments=[segment("7", 0.5)]), gate, None)["reason"]
    assert reason.startswith("f1_macro 0.5000 of column 3 7 (40 examples) is below")


def test_classes_have_floors_of_their_own_scores() -> None:
    champion = {"recall": 0.6, "precision": 0.9, "f1": 0.7}
    found = evaluation(0.97, classes=[class_("cat", 0.7, champion=champion), class_("dog", 0.9), class_("ape", 0, 2)])
    decision = decide(found, CLASSES, None)
    assert decision["promote"] is False
    assert decision["reason"] == (
        "recall 0.7000 of class cat (40 examples) is below the minimum of 0.8; "
        "not judged: class ape (2 examples, fewer than 10)"
    )
    assert [part["champion_score"] for part in decision["parts"]] == [0.6, None, None]
    lower = {**CLASSES, "classes": {**CLASSES["classes"], "recall": 0.7, "precision": 0.9}}
    assert decide(found, lower, None)["promote"] is True
    assert len(decide(found, lower, None)["parts"]) == 6
    with_f1 = {**CLASSES, "classes": {**CLASSES["classes"], "recall": None, "f1": 0.6}}
    assert "f1 0.5000 of class cat" in decide(found, with_f1, None)["reason"]


def test_of_a_thousand_classes_the_decision_keeps_those_that_matter() -> None:
    fine = [class_(f"fine {number}", 0.9) for number in range(900)]
    rare = [class_(f"rare {number}", 0.0, 2) for number in range(98)]
    found = evaluation(0.97, classes=[*fine, *rare, class_("bad", 0.1), class_("good", 0.85)])
    decision = decide(found, CLASSES, None)
    assert decision["reason"].startswith(
        "recall 0.1000 of class bad (40 examples) is below the minimum of 0.8; not judged"
    )
    assert decision["reason"].endswith("and 95 more")
    values = [part["value"] for part in decision["parts"]]
    assert (len(values), values[0], values[99]) == (200, "bad", "good")
    assert all(value.startswith("rare") for value in values[1:99])


@pytest.mark.parametrize("said", [None, [], {}])
@pytest.mark.parametrize(("gate", "kind"), [(SEGMENTS, "segments"), (CLASSES, "classes")])
def test_an_evaluation_without_the_parts_is_refused(gate: Any, kind: str, said: Any) -> None:
    with pytest.raises(BadEvaluationError, match=f"the gate has floors for {kind}, of which the evaluation says"):
        decide({**evaluation(0.97), kind: said}, gate, None)


# ------------------------------------------------------------------------------------------------------ the function

RUN = {"pipeline": "digits", "run_id": "20261120-101112-abcd"}
FOLDER = "runs/digits/20261120-101112-abcd/"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return installed(monkeypatch, ARTIFACT_BUCKET="artifacts")


def test_the_decision_is_written_beside_the_evaluation(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.dumps(evaluation(0.97, 0.95, [0.01, 0.03])).encode()
    aws.s3.objects["artifacts", f"{FOLDER}evaluation/evaluation.json"] = document
    answer = handler.handle({"run": RUN, "gate": GATE, "champion": CHAMPION, "supersede": False}, None)
    assert answer == decide(json.loads(document), GATE, CHAMPION)
    assert json.loads(aws.s3.objects["artifacts", f"{FOLDER}gate.json"]) == answer
    line = json.loads(capsys.readouterr().out)
    assert (line["function"], line["event"], line["promote"], line["run_id"]) == (
        "gate",
        "decided",
        True,
        RUN["run_id"],
    )
    assert line["pipeline"] == "digits"


def test_the_function_is_told_whether_to_supersede(aws: Aws) -> None:
    document = json.dumps(without_champion()).encode()
    aws.s3.objects["artifacts", f"{FOLDER}evaluation/evaluation.json"] = document
    event = {"run": RUN, "gate": GATE, "champion": CHAMPION}
    assert [handler.handle({**event, "supersede": asked}, None)["promote"] for asked in (False, True)] == [False, True]


def test_without_an_evaluation_nothing_is_decided(aws: Aws) -> None:
    with pytest.raises(ArtifactMissingError, match=r"evaluation/evaluation\.json doesn't exist"):
        handler.handle({"run": RUN, "gate": GATE, "champion": None, "supersede": False}, None)
    assert not aws.s3.objects


def test_the_first_models_decision_has_no_rival(aws: Aws) -> None:
    decision = decide(evaluation(0.97, difference=0.5, interval=[0.1, 0.2]), GATE, None)
    assert decision == {
        "promote": True,
        "reason": "first model: f1_macro 0.9700 reaches the minimum of 0.9",
        "metric": "f1_macro",
        "score": 0.97,
        "champion_score": None,
        "difference": None,
        "interval": None,
        "minimum": 0.9,
        "beat_champion_by": 0.0,
        "confidence": 0.95,
        "examples": 360,
        "champion_cannot_answer": None,
    }
    assert decide(evaluation(math.nan), GATE, None)["score"] is None


def test_the_difference_is_told(aws: Aws) -> None:
    assert decide(evaluation(0.97, 0.95, [0.01, 0.03], difference=0.02), GATE, CHAMPION)["difference"] == 0.02
    assert decide(evaluation(0.97, 0.95, [0.01, 0.03]), GATE, CHAMPION)["reason"] == (
        "better than the champion by more than 0: f1_macro 0.9700 against the champion's 0.9500, "
        "difference in [+0.0100, +0.0300] with 95% confidence"
    )
