"""What is told of candidates: by the gate, in the record, in the report and by `ratchet status`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from gate import candidates as of_gate
from gate.decision import decide
from gate.evaluation import BadEvaluationError
from recorder import candidate_figures as of_record
from run_documents import promoted_sources

from contract.candidates import confidence_of_each
from contract.histories import Execution, Visit
from ratchet import candidate_figures, report, run_logs
from ratchet.runs import Run

GATE = {"metric": "accuracy", "minimum": 0.7, "beat_champion_by": 0.0, "confidence": 0.95}
NAMES = ("tf-idf", "embedding")
EVALUATION: dict[str, Any] = {
    "metric": "accuracy",
    "examples": 600,
    "challenger": {"score": 0.81, "interval": [0.78, 0.84]},
    "champion": {"score": 0.77, "interval": [0.73, 0.8]},
    "difference": 0.04,
    "interval": [0.01, 0.07],
    "confidence": 0.975,
    "candidate": "tf-idf",
    "candidates": [
        {
            "candidate": "tf-idf",
            "score": 0.81,
            "interval": [0.78, 0.84],
            "difference": 0.04,
            "difference_interval": [0.01, 0.07],
        },
        {"candidate": "embedding", "cannot_answer": "the candidate-embedding can't answer: no file"},
    ],
}


def trained(name: str, number: int, **more: Any) -> dict[str, Any]:
    training = {
        "status": "Completed",
        "hyperparameters": {"c": str(number), "dim": "50", "sagemaker_program": f"{name}.py"},
        "metrics": {"cv:accuracy": 0.8},
        "seconds": 7,
        "instance": "ml.m5.large",
        "description": {"TrainingJobName": f"job-{number}"},
    }
    return {"candidate": name, "job": f"job-{number}", "training": {**training, **more}, "wrong": None}


def stopped(name: str, number: int) -> dict[str, Any]:
    job = {"TrainingJobName": f"job-{number}", "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
    wrong = {"error": "JobNotCompleted", "cause": json.dumps(job)}
    return {**trained(name, number, status="Stopped"), "wrong": wrong}


# ---------------------------------------------------------------------------------------------------------- the gate


def test_the_intervals_of_all_of_them_together_hold_with_the_gates_confidence() -> None:
    assert confidence_of_each(0.95, 1) == pytest.approx(0.95)
    assert confidence_of_each(0.95, 2) == pytest.approx(0.975)
    assert confidence_of_each(0.9, 5) == pytest.approx(0.98)


def test_the_decision_says_which_is_the_challenger_and_at_what_confidence() -> None:
    found = of_gate.chosen(EVALUATION, NAMES)
    assert found == {"candidate": "tf-idf", "candidates": {"tf-idf": 0.81, "embedding": None}}
    gate = of_gate.of_several(GATE, NAMES)
    decision = of_gate.told_of(decide(EVALUATION, gate, {"run_id": "r"}, pipeline="tickets"), found)
    assert decision["promote"] and decision["candidate"] == "tf-idf"
    assert decision["confidence"] == pytest.approx(0.975)
    assert decision["reason"] == (
        "better than the champion by more than 0: accuracy 0.8100 against the champion's 0.7700, difference in "
        "[+0.0100, +0.0700] with 97.5% confidence; tf-idf is the best of 2 candidates (tf-idf 0.8100, embedding "
        "not judged), for which the interval allows"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"candidate": "forest"}, "judged the candidate 'forest'; they are tf-idf, embedding"),
        ({"candidate": None}, "judged the candidate None"),
        ({"candidates": None}, "candidates are None; they must be a list"),
        ({"candidates": [{"candidate": "forest"}]}, "they must be a list of objects"),
        ({"candidates": [{"candidate": "tf-idf", "score": "high"}]}, "candidate tf-idf's score in the evaluation"),
        ({"candidate": "embedding"}, "has no score of the candidate embedding"),
    ],
)
def test_an_evaluation_that_says_something_else_is_told_apart(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadEvaluationError) as error:
        of_gate.chosen({**EVALUATION, **changed}, NAMES)
    assert message in str(error.value)


# -------------------------------------------------------------------------------------------------------- the record


def test_each_ones_job_and_figures_stand_in_the_record() -> None:
    event = {"candidates": [trained("tf-idf", 1), trained("embedding", 2)]}
    first, second = of_record.figures(event, EVALUATION, ()) or ()
    assert first == {
        "candidate": "tf-idf",
        "job": "job-1",
        "status": "Completed",
        "seconds": 7,
        "instance": "ml.m5.large",
        "entry": "tf-idf.py",
        "hyperparameters": {"c": "1", "dim": "50"},
        "metrics": {"cv:accuracy": 0.8},
        "score": 0.81,
        "interval": [0.78, 0.84],
        "difference": 0.04,
        "difference_interval": [0.01, 0.07],
    }
    assert second["cannot_answer"].endswith("no file") and "score" not in second


def test_one_that_a_rule_stopped_says_which_and_verdicts_are_of_the_one_that_went_on() -> None:
    verdicts = [
        {"name": "Overfit", "training_job": "job-1", "action": "notify", "status": "IssuesFound"},
        {"name": "LossNotDecreasing", "training_job": "job-2", "action": "stop", "status": "IssuesFound"},
    ]
    event = {
        "candidates": [trained("tf-idf", 1), stopped("embedding", 2)],
        "training": trained("tf-idf", 1)["training"],
    }
    found = of_record.figures(event, None, verdicts) or []
    assert found[1]["stopped_by"] == "LossNotDecreasing" and found[1]["status"] == "Stopped"
    assert found[1]["failure"] == "training job job-2 was stopped (StopTrainingJob) before it was done"
    assert "stopped_by" not in found[0]
    assert [verdict["name"] for verdict in of_record.of_job(verdicts, event)] == ["Overfit"]
    assert of_record.of_job(verdicts, {}) == verdicts


def test_one_that_was_never_begun_is_told_as_such() -> None:
    wrong = {"error": "SageMaker.ResourceLimitExceededException", "cause": "The account-level service limit is 0"}
    event = {"candidates": [{"candidate": "tf-idf", "job": "job-1", "training": None, "wrong": wrong}]}
    assert of_record.figures(event, None, ()) == [
        {"candidate": "tf-idf", "job": "job-1", "status": "NotBegun", "failure": "The account-level service limit is 0"}
    ]


def test_the_spot_figures_of_all_of_them_count() -> None:
    spot = {"interruptions": 1, "training_seconds": 10, "billable_seconds": 4}
    event = {"candidates": [trained("tf-idf", 1, spot=spot), trained("embedding", 2, spot=spot)]}
    assert of_record.rows(event) == {"rows": [{"job": "job-1", "spot": spot}, {"job": "job-2", "spot": spot}]}
    assert of_record.rows({}) is None and of_record.figures({}, None, ()) is None


# -------------------------------------------------------------------------------------------------------- for people

RECORD: dict[str, Any] = {
    "decision": {"candidate": "tf-idf", "metric": "accuracy", "confidence": 0.975},
    "candidates": of_record.figures({"candidates": [trained("tf-idf", 1), stopped("embedding", 2)]}, EVALUATION, ()),
}


def test_a_line_tells_each() -> None:
    assert candidate_figures.sentence(RECORD) == (
        "tf-idf 0.8100 (went to the gate), embedding: training job job-2 was stopped (StopTrainingJob) before it was "
        "done"
    )
    assert candidate_figures.sentence({}) == ""


def test_of_a_script_that_failed_the_line_is_told_that_says_why() -> None:
    last_words = 'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback:\nValueError: no vectors"'
    failed = {"candidate": "embedding", "failure": f"training job job-2 failed: {last_words}"}
    assert candidate_figures.sentence({"candidates": [failed]}) == "embedding: ValueError: no vectors"


def test_a_first_model_has_no_interval_that_could_allow_for_anything() -> None:
    alone = {**EVALUATION, "champion": None, "difference": None, "interval": None}
    decision = decide(alone, of_gate.of_several(GATE, NAMES), None, pipeline="tickets")
    told = of_gate.told_of(decision, of_gate.chosen(alone, NAMES))["reason"]
    assert told.endswith("tf-idf is the best of 2 candidates (tf-idf 0.8100, embedding not judged)")


def test_the_table_has_what_they_differ_in() -> None:
    table = candidate_figures.table(RECORD)
    assert table is not None
    assert (table.metric, table.chosen, table.confidence, table.compared) == ("accuracy", "tf-idf", "97.5%", True)
    assert table.columns == ("script", "c")
    assert [(row.name, row.score, row.difference, row.values, row.chosen) for row in table.rows] == [
        ("tf-idf", "0.8100", "[+0.0100, +0.0700]", ("tf-idf.py", "1"), True),
        ("embedding", "–", "", ("embedding.py", "2"), False),
    ]
    assert candidate_figures.table({}) is None


def test_the_report_shows_them_and_the_losses_of_the_one_that_went_on() -> None:
    sources = promoted_sources()
    assert 'id="candidates"' not in report.render(sources)
    run = sources.run
    decision = {**run.decision, **RECORD["decision"]}
    with_candidates = replace(run, document={**run.document, **RECORD, "decision": decision})
    page = report.render(replace(sources, run=with_candidates))
    assert "tf-idf went to the gate, the best of 2" in page and "97.5% confidence" in page
    assert "before it was done" in page and "[+0.0100, +0.0700]" in page
    assert report.shown_tensors(with_candidates).endswith("/train/tensors/tf-idf")
    assert with_candidates.candidates.startswith("tf-idf 0.8100 (went to the gate)")


def test_the_logs_of_all_of_them_are_read_while_they_run_and_afterwards() -> None:
    def visit(number: int, name: str) -> Visit:
        told = {"TrainingJobName": f"job-{number}", "Environment": {"RATCHET_CANDIDATE": name}}
        return Visit("TrainCandidate", "Task", datetime.now(UTC), parameters=told)

    running = Run("tickets", "20261120-101112-abcd", "Running", {})
    execution = Execution((visit(1, "tf-idf"), visit(2, "embedding")))
    ended = Run("tickets", "20261120-101112-abcd", "Promoted", {**RECORD, "jobs": {"train": "job-1", "evaluate": "e"}})
    for run, seen in ((running, execution), (ended, Execution(()))):
        sources = {source.name: source.stream_prefix for source in run_logs._sources(run, seen, str)}
        assert sources.items() >= {"train-tf-idf": "job-1/", "train-embedding": "job-2/"}.items()
        assert "train" not in sources
    assert "evaluate" in sources
