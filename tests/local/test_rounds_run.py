"""Training in rounds, deployed: the last model handed on, the smallest good one judged, registered and serving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deployed import Pipeline, Scripted

from contract.run_table import plain
from ratchet import round_figures

METRICS = {"accuracy": r"accuracy=([0-9.]+)", "parameters": r"parameters=([0-9]+)"}
ROUNDS = {"max": 4, "metric": "accuracy", "tolerance": 0.05, "size": "parameters"}


TRAIN = {"instance": "ml.m5.large", "keep_warm": "10m", "metrics": METRICS}
PIPELINES = {"stepped": Scripted({"train": TRAIN, "rounds": ROUNDS, "rules": [{"rule": "AccuracyDrop"}]})}


@pytest.fixture
def stepped(deployed: Callable[[str], Pipeline]) -> Pipeline:
    return deployed("stepped")


def rounds_of(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plain(record["rounds"])
    return found


def models(rounds: dict[str, Any]) -> list[str]:
    return [row["model_data"] for row in rounds["rows"]]


def test_rounds_end_at_the_tolerance_and_the_smallest_good_model_serves(stepped: Pipeline) -> None:
    figures = [(0.90, 1000), (0.92, 500), (0.86, 250), (0.70, 100)]
    stepped.order(rounds=[{"accuracy": accuracy, "parameters": size} for accuracy, size in figures])
    record = stepped.run()
    assert record["outcome"] == "Promoted"
    rounds = rounds_of(record)
    assert [(row["round"], row["metrics"]["accuracy"], row["metrics"]["parameters"]) for row in rounds["rows"]] == [
        (number, *figure) for number, figure in enumerate(figures, start=1)
    ]
    assert (rounds["ended"], rounds["chosen"]) == ("tolerance", 3)
    assert stepped.state["champion"]["model_data"] == models(rounds)[2]
    assert float(record["evaluation"]["challenger"]["score"]) == pytest.approx(0.86)
    assert (stepped.ask(81), stepped.ask(89)) == ("1", "0"), "it is right about 86 rows of a hundred"
    assert stepped.states(record["run_id"]).count("Train") == 4
    assert round_figures.rounds(rounds) is not None
    jobs = stepped.aws.client("sagemaker").list_training_jobs(
        NameContains=record["run_id"], SortBy="CreationTime", SortOrder="Ascending"
    )["TrainingJobSummaries"]
    pools = [job["WarmPoolStatus"] for job in jobs]
    assert [pool["Status"] for pool in pools] == ["Reused", "Reused", "Reused", "Available"], "by the next round"
    assert [pool["ReusedByJob"] for pool in pools[:3]] == [job["TrainingJobName"] for job in jobs[1:]]


def test_a_round_that_a_rule_stops_ends_them_and_the_round_before_goes_on(stepped: Pipeline) -> None:
    stopped = {"accuracy": 0.94, "parameters": 10, "train": "issues", "rules": ["AccuracyDrop"], "saved": True}
    stepped.order(rounds=[{"accuracy": 0.95, "parameters": 1000}, {"accuracy": 0.96, "parameters": 500}, stopped])
    record = stepped.run()
    assert record["outcome"] == "Promoted"
    rounds = rounds_of(record)
    assert (rounds["ended"], rounds["chosen"], rounds["reason"]) == ("rule", 2, "a rule stopped round 3")
    assert record["stopped_by"]["name"] == "AccuracyDrop"
    assert stepped.state["champion"]["model_data"] == models(rounds)[1]
    last = rounds["rows"][2]
    assert (last["status"], last["stopped_by_rule"]) == ("Stopped", True)
    key = last["model_data"].partition(f"{stepped.shared['ArtifactBucketName']}/")[2]
    head = stepped.aws.client("s3").head_object(Bucket=stepped.shared["ArtifactBucketName"], Key=key)
    assert head["ContentLength"] > 0, "the stopped round's model is kept"
