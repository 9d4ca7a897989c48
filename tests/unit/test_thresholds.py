"""`serving.threshold` on its way: spec, requests, the gate's floors, Verify, and a new one for the champion."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from common.answers import wrong
from common.state import State
from gate import decision as gate_decision
from gate.evaluation import BadEvaluationError
from memory_aws import installed
from planner import plan
from recorder import documents
from run_world import CHAMPION, PLAN, World, make_spec, run
from verifier import handler as verifier

from contract import thresholds
from infra.workflow.steps.plan import spec_hash
from ratchet.spec import SpecError

HALF = {"serving": {"threshold": 0.5}}


# ------------------------------------------------------------------------------------------------------------- the spec


@pytest.mark.parametrize(
    ("threshold", "told"),
    [
        (0.8, "0.8"),
        (1, "1.0"),
        ({"7": 0.9, "1": 0.7}, '{"1":0.7,"7":0.9}'),
        ({7: 0.9}, '{"7":0.9}'),
        ({"ja, grün": 1}, '{"ja, grün":1.0}'),
    ],
)
def test_a_threshold_is_one_or_each_class_its_own(tmp_path: Path, threshold: Any, told: str) -> None:
    assert make_spec(tmp_path, serving={"threshold": threshold}).serving.told == told


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (80, "serving.threshold: is 80, but a confidence is above 0 and at most 1: write 0.8 for 80 %"),
        (0, "is 0, but a confidence is above 0"),
        (1.0001, "is 1.0001, but a confidence is above 0 and at most 1"),
        (-0.5, "is -0.5, but a confidence"),
        (True, "is True; write one number, as 0.8, or one for each class"),
        ("80%", "is '80%'; write one number"),
        ([0.8], "is \\[0.8\\]; write one number"),
        ({}, "names no class; write one number"),
        ({"7": 90}, "of class 7 is 90, but a confidence is above 0 and at most 1: write 0.9 for 90 %"),
        ({"7": None}, "of class 7 is None; write"),
        ({True: 0.9}, "names the class True, which YAML doesn't read as a text; put it in quotation marks"),
        ({"7": 0.9, "7.0": 0.8}, "names the class '7.0' twice"),
        ({f"class-{n}": 0.5 for n in range(30)}, "names 30 classes, which are .* characters; the variable"),
    ],
)
def test_what_is_no_threshold_is_refused_on_its_line(tmp_path: Path, threshold: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_spec(tmp_path, serving={"threshold": threshold})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**HALF, "gate": {"metric": "r2", "minimum": 0}}, "serving.threshold: is said, but r2 judges numbers"),
        (
            {**HALF, "gate": {"metric": "neg_log_loss", "minimum": -1}},
            "neg_log_loss judges the probability of each class, and with a threshold the model answers prediction,",
        ),
        (
            {"gate": {"metric": "accuracy", "minimum": 0.5, "at_threshold": {"coverage": 0.8}}},
            "gate.at_threshold: is said, but there is no threshold; write serving: {threshold: 0.8}",
        ),
        (
            {**HALF, "gate": {"metric": "accuracy", "minimum": 0.5, "at_threshold": {}}},
            "gate.at_threshold: has no floor; write coverage: 0.8, precision: 0.95 or both",
        ),
    ],
)
def test_a_threshold_suits_the_gate(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("{", "\\{")):
        make_spec(tmp_path, **changes)


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        ("from toolkit.threshold import with_threshold\n", None),
        ("import os\nAT = os.environ.get('RATCHET_THRESHOLD')\n", None),
        (
            "import json\n",
            "serving.threshold: is said, but serve.py doesn't import toolkit.threshold, so no",
        ),
        ("def\n", "serving.threshold: needs answers that say a confidence, but serve.py can't be read"),
    ],
)
def test_a_threshold_needs_a_script_that_asks_for_it(tmp_path: Path, serve: str, message: str | None) -> None:
    (tmp_path / "serve.py").write_text(serve)
    with pytest.raises(SpecError, match=message) if message else nullcontext():
        make_spec(tmp_path, **HALF)


def test_a_threshold_makes_no_other_model_and_its_floors_do(tmp_path: Path) -> None:
    plain = spec_hash(make_spec(tmp_path))
    assert spec_hash(make_spec(tmp_path, **HALF)) == plain
    gate = {"metric": "f1_macro", "minimum": 0.9, "at_threshold": {"coverage": 0.8}}
    assert spec_hash(make_spec(tmp_path, **HALF, gate=gate)) != plain


# ------------------------------------------------------------------------------------------------------------- requests


def told(ran: Any, name: str) -> Any:
    return ran.called(name)[0]["Payload"][thresholds.KEPT]


def test_whoever_answers_evaluates_or_asks_is_told(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path, **HALF), World())
    (model,), (evaluation,) = ran.called("createModel"), ran.called("createProcessingJob")
    assert model["PrimaryContainer"]["Environment"][thresholds.THRESHOLD] == "0.5"
    assert evaluation["Environment"] == {thresholds.THRESHOLD: "0.5"}
    assert (told(ran, "planner"), told(ran, "verifier"), ran.recorded["candidate"][thresholds.KEPT]) == ("0.5",) * 3
    promoted = documents.champion(ran.recorded, "now")
    assert promoted[thresholds.KEPT] == "0.5"


def test_models_without_one_keep_their_names(tmp_path: Path) -> None:
    """A model's name is of what it holds: of a release without thresholds this one was the same."""
    ran = run(make_spec(tmp_path), World())
    (model,) = ran.called("createModel")
    assert model["ModelName"] == "local-digits-forest-ca75329c4f05"
    assert thresholds.THRESHOLD not in model["PrimaryContainer"]["Environment"]
    assert "Environment" not in ran.called("createProcessingJob")[0]
    other = run(make_spec(tmp_path, **HALF), World()).called("createModel")[0]["ModelName"]
    assert other != model["ModelName"]


def test_a_model_that_a_person_goes_back_to_has_its_own(tmp_path: Path) -> None:
    """Whatever the spec says by now: what comes back is what was."""
    for kept, variable in ({thresholds.KEPT: "0.9"}, "0.9"), ({}, None):
        candidate = {**CHAMPION, **kept}
        back = {**PLAN, "outcome": "Rollback", "candidate": candidate, "decision": {"promote": True, "reason": "back"}}
        ran = run(make_spec(tmp_path, **HALF), World(plan=back))
        (model,) = ran.called("createModel")
        assert model["PrimaryContainer"]["Environment"].get(thresholds.THRESHOLD) == variable
        assert told(ran, "verifier") == variable


# ------------------------------------------------------------------------------------------ a new one of the champion's

STATE = State(champion={**CHAMPION, "promoted_by": "r1"}, previous_champion={"run_id": "r0"})


def test_a_new_threshold_is_served_without_training() -> None:
    nothing = plan.work(STATE, "old", {}, forced=False)
    assert nothing["outcome"] == "UpToDate"
    found = plan.with_threshold(STATE, nothing, "0.9", is_of_this_code=lambda: True)
    assert (found["outcome"], found["fingerprint"], "reason" in found) == ("Rollback", "old", False)
    kept = ("run_id", "model_package_arn", "model_data", "image_uri", "score", "metric", "fingerprint")
    assert found["candidate"] == {**{name: CHAMPION[name] for name in kept}, thresholds.KEPT: "0.9"}
    run_id = CHAMPION["run_id"]
    assert found["decision"]["reason"] == (
        f"nothing is new but the threshold: the champion of run {run_id} is served with the threshold 0.9"
    )


def test_one_that_is_gone_from_the_spec_is_taken_from_the_champion() -> None:
    state = State(champion={**CHAMPION, thresholds.KEPT: "0.9"})
    found = plan.with_threshold(state, plan.work(state, "old", {}, forced=False), None, is_of_this_code=lambda: False)
    assert thresholds.KEPT not in found["candidate"]
    assert found["decision"]["reason"].endswith("which was 0.9: the champion of run 20261119-101112-beef is served "
                                                "without a threshold")  # fmt: skip


@pytest.mark.parametrize(
    ("state", "fingerprint", "threshold"),
    [
        (STATE, "new", "0.9"),
        (STATE, "old", None),
        (State(champion={**CHAMPION, thresholds.KEPT: "0.9"}), "old", "0.9"),
        (State(last_judged_fingerprint="old"), "old", "0.9"),
    ],
)
def test_with_work_or_the_same_threshold_or_no_champion_nothing_else_is_planned(
    state: State, fingerprint: str, threshold: str | None
) -> None:
    document = plan.work(state, fingerprint, {}, forced=False)
    assert plan.with_threshold(state, document, threshold, is_of_this_code=lambda: True) == document


@pytest.mark.parametrize(("kept", "outcome"), [({}, "UpToDate"), ({thresholds.KEPT: "0.9"}, "Rollback")])
def test_a_champion_of_other_code_gets_a_threshold_only_where_it_has_one(kept: dict[str, str], outcome: str) -> None:
    """The gate hasn't let the code through that can say how sure it is: Verify would refuse the old one's answers."""
    state = State(champion={**CHAMPION, **kept}, last_judged_fingerprint="new")
    found = plan.with_threshold(state, plan.work(state, "new", {}, forced=False), "0.8", is_of_this_code=lambda: False)
    assert found["outcome"] == outcome
    assert ("candidate" in found) == (outcome == "Rollback")
    if outcome == "UpToDate":
        assert found["reason"] == (
            "nothing is new since the last model that was judged; the champion of run 20261119-101112-beef, of other "
            "code, is served without the threshold 0.8 until another model takes its place"
        )


# ------------------------------------------------------------------------------------------------------------- the gate

GATE = {
    "metric": "accuracy",
    "minimum": 0.9,
    "beat_champion_by": 0.0,
    "confidence": 0.95,
    "when_champion_cannot_answer": "keep",
}
AT = {
    "examples": 500,
    "answered": 400,
    "coverage": 0.8,
    "coverage_interval": [0.76, 0.83],
    "precision": 0.99,
    "precision_interval": [0.97, 1.0],
}
EVALUATION = {
    "metric": "accuracy",
    "examples": 500,
    "challenger": {"score": 0.95},
    "champion": None,
    thresholds.KEPT: {thresholds.KEPT: "0.8", "challenger": AT, "champion": None},
}


def decided(evaluation: Any = EVALUATION, **floors: float) -> dict[str, Any]:
    gate = {**GATE, thresholds.FLOORS: {"coverage": None, "precision": None, **floors} if floors else None}
    return gate_decision.decide(evaluation, gate, None, pipeline="digits")


def with_figures(**changes: Any) -> dict[str, Any]:
    return {**EVALUATION, thresholds.KEPT: {thresholds.KEPT: "0.8", "challenger": {**AT, **changes}, "champion": AT}}


def test_coverage_and_precision_stand_beside_the_decision() -> None:
    found = decided()
    assert found["promote"] and "parts" not in found
    assert found[thresholds.KEPT] == {thresholds.KEPT: "0.8", "challenger": AT, "champion": None}
    assert thresholds.KEPT not in decided({**EVALUATION, thresholds.KEPT: None})


def test_their_floors_are_reached_or_refuse() -> None:
    passed = decided(coverage=0.8, precision=0.99)
    assert passed["promote"]
    assert [(part["metric"], part["examples"], part["score"]) for part in passed["parts"]] == [
        ("coverage", 500, 0.8), ("precision", 400, 0.99),
    ]  # fmt: skip
    refused = decided(with_figures(coverage=0.4, answered=200), coverage=0.8, precision=0.99)
    assert not refused["promote"]
    assert refused["reason"] == (
        "coverage 0.4000 of answers at threshold 0.8 (500 examples) is below the minimum of 0.8"
    )
    assert refused["parts"][1]["champion_score"] == 0.99


def test_a_model_that_answers_nothing_is_not_precise() -> None:
    found = decided(with_figures(answered=0, coverage=0.0, precision=None, precision_interval=None), precision=0.5)
    assert not found["promote"] and found["reason"].startswith("precision 0.0000 of answers at threshold 0.8 (0 exa")


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (None, "the gate has floors for the threshold, of which the evaluation says nothing"),
        ([1], "the threshold's figures in the evaluation are a JSON array; they must be an object"),
        ({"challenger": AT}, "the threshold's figures in the evaluation are a JSON object; they must be an object"),
        ({thresholds.KEPT: "0.8", "champion": AT}, "say nothing of the challenger"),
        ({thresholds.KEPT: "0.8", "challenger": 1}, "the challenger at the threshold in the evaluation is 1; it must"),
        ({thresholds.KEPT: "0.8", "challenger": {**AT, "coverage": None}}, "has no coverage"),
        (
            {thresholds.KEPT: "0.8", "challenger": {**AT, "precision": "1"}},
            "precision in the evaluation is '1'; it mus",
        ),
        ({thresholds.KEPT: "0.8", "challenger": {**AT, "precision": float("inf")}}, "must be a finite number"),
        ({thresholds.KEPT: "0.8", "challenger": {**AT, "precision_interval": 3}}, "it must be \\[low, high\\]"),
    ],
)
def test_an_evaluation_that_says_something_else_is_refused(figures: Any, message: str) -> None:
    with pytest.raises(BadEvaluationError, match=message):
        decided({**EVALUATION, thresholds.KEPT: figures}, coverage=0.8)


# --------------------------------------------------------------------------------------------------------------- Verify


@pytest.mark.parametrize(
    ("answer", "evaluated", "threshold", "fault"),
    [
        ("7,0.9,7\n", "7,0.9,7", "0.8", None),
        ("7.0,0.90000001,7.0", "7,0.9,7", "0.8", None),
        # another threshold than the evaluation's: what follows from the confidence is right
        ("7,0.9,unsure", "7,0.9,7", "0.95", None),
        ("7,0.9,7", "7,0.9,unsure", '{"7":0.8}', None),
        # the evaluation knew of none
        ("7,0.9,7", "7", "0.8", None),
        ("7,0.9,7", "7,0.9,7", "0.95", "answered '7,0.9,7', which at '0.95' is unsure"),
        ("7,0.9,unsure", "7,0.9,unsure", "0.8", "answered '7,0.9,unsure', which at '0.8' is 7"),
        ("8,0.9,8", "7,0.9,7", "0.8", "answered '8,0.9,8', not '7,0.9,7'"),
        ("7,0.85,7", "7,0.9,7", "0.8", "answered '7,0.85,7', not '7,0.9,7'"),
        (
            "7",
            "7,0.9,7",
            "0.8",
            "answered '7', which says no confidence, though there is a threshold ('0.8'); serve.py needs "
            "with_threshold, from toolkit.threshold",
        ),
        ("7", "7", None, None),
        ("7,0.9,7", "7", None, "answered '7,0.9,7', not '7'"),
    ],
)
def test_an_answer_is_what_the_threshold_makes_of_what_was_evaluated(
    answer: str, evaluated: str, threshold: str | None, fault: str | None
) -> None:
    assert wrong(answer, evaluated, threshold) == fault


@pytest.mark.parametrize(("was_told", "threshold", "answer"), [
    ({"threshold": "0.8"}, "0.8", "7,0.9,7"),
    ({"threshold": "0.8"}, None, "7"),
    (None, None, "7,0.9,7"),
])  # fmt: skip
def test_examples_are_asked_by_what_the_model_is_served_with(
    monkeypatch: pytest.MonkeyPatch, was_told: Any, threshold: str | None, answer: str
) -> None:
    aws = installed(monkeypatch, ARTIFACT_BUCKET="artifacts")
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": "new"}]
    document = {"samples": [{"body": "1,2", "answer": "7,0.9,7"}], thresholds.KEPT: was_told}
    aws.s3.objects["artifacts", "runs/digits/r1/evaluation/evaluation.json"] = json.dumps(document).encode()
    aws.sagemaker_runtime.answers = [answer]
    event = {
        "endpoint_name": "local-digits",
        "endpoint_config_name": "new",
        "model_package_arn": "arn",
        "evaluated_by": {"pipeline": "digits", "run_id": "r1"},
        thresholds.KEPT: threshold,
    }
    assert verifier.handle(event, None)["verified"]
