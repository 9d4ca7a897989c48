"""tickets as it is shipped, deployed: both candidates are trained side by side, the better one passes its gate and
routes tickets of which it is sure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from deployed import AsShipped, Pipeline
from running_aws import ROOT
from waiting import until

from ratchet import candidate_figures

MODEL = ROOT / "training_code" / "tickets"
PIPELINES = {"tickets": AsShipped(MODEL, {"folds": 2})}
# Fewer than example_tickets.py writes by itself.
TICKETS = ("--train", "300", "--test", "150")
SECONDS = 300
NAMES = ("tf-idf", "embedding")


@pytest.fixture(scope="module")
def tickets(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The pipeline with its data in place, which start a run."""
    folder, pipeline = tmp_path_factory.mktemp("tickets"), deployed("tickets")
    command = [sys.executable, MODEL / "example_tickets.py", folder, *TICKETS]
    subprocess.run(command, check=True, capture_output=True)
    for channel in ("train", "test"):
        pipeline.put(f"{channel}/tickets.csv", (folder / channel / "tickets.csv").read_text())
    return pipeline


@pytest.fixture(scope="module")
def record(tickets: Pipeline) -> dict[str, Any]:
    """Of the run that ended with a champion."""
    until(lambda: "champion" in tickets.state, "a champion of tickets", SECONDS)
    return tickets.record(tickets.state["champion"]["run_id"])


def ask(pipeline: Pipeline, body: str, content_type: str, accept: str) -> str:
    answer = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType=content_type, Accept=accept, Body=body
    )
    return str(answer["Body"].read().decode())


def test_both_were_trained_and_the_better_one_was_promoted(tickets: Pipeline, record: dict[str, Any]) -> None:
    assert record["outcome"] == "Promoted", record.get("error") or record.get("decision")
    each = {one["candidate"]: one for one in record["candidates"]}
    assert tuple(each) == NAMES
    sagemaker = tickets.aws.client("sagemaker")
    for number, (name, script) in enumerate(zip(NAMES, ("tfidf.py", "embedding.py"), strict=True), start=1):
        found = each[name]
        assert (found["status"], found["entry"]) == ("Completed", script)
        assert found["job"].endswith(f"-train-{number}")
        assert 0.6 < float(found["interval"][0]) < float(found["score"]) < float(found["interval"][1])
        assert 0 < float(found["metrics"]["cv:coverage"]) < 1
        job = sagemaker.describe_training_job(TrainingJobName=found["job"])
        assert job["Environment"]["RATCHET_CANDIDATE"] == name
    best = max(NAMES, key=lambda name: each[name]["score"])
    decision = record["decision"]
    assert decision["candidate"] == best and decision["score"] == each[best]["score"]
    assert float(decision["confidence"]) == pytest.approx(0.975)
    assert record["jobs"]["train"] == each[best]["job"]
    archive = record["candidate"]["model_data"]
    assert f"/{each[best]['job']}/" in archive
    assert f"{best} is the best of 2 candidates" in decision["reason"]
    assert all(f"{name} 0." in candidate_figures.sentence(record) for name in NAMES)


def test_the_two_jobs_ran_at_the_same_time(tickets: Pipeline, record: dict[str, Any]) -> None:
    sagemaker = tickets.aws.client("sagemaker")
    jobs = [sagemaker.describe_training_job(TrainingJobName=one["job"]) for one in record["candidates"]]
    assert max(job["TrainingStartTime"] for job in jobs) < min(job["TrainingEndTime"] for job in jobs)


def test_the_endpoint_routes_what_it_is_sure_of_and_says_what_it_is_not(
    tickets: Pipeline, record: dict[str, Any]
) -> None:
    at = record["decision"]["threshold"]["challenger"]
    assert float(at["coverage"]) >= 0.1 and float(at["precision"]) >= 0.85
    sure, unsure = "please order ten licences, thanks, please order two chairs", "hello team, thanks"
    routed, kept = json.loads(ask(tickets, json.dumps([sure, unsure]), "application/json", "application/json"))
    assert routed["prediction"] == routed["answer"] == "Purchase" and routed["confidence"] >= 0.95
    assert kept["answer"] == "unsure" and kept["confidence"] < 0.95
    assert ask(tickets, f'"{sure}"\n', "text/csv", "text/csv").split(",")[0] == "Purchase"
    refused = tickets.aws.client("sagemaker-runtime").exceptions.ModelError
    with pytest.raises(refused, match=r"\(500\)"):
        ask(tickets, sure, "text/csv", "text/csv")
