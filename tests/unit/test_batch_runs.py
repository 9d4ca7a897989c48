"""Pipelines for batches: a run needs no endpoint, and ends with the champion's answers to the rows that lie there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from common.endpoints import drift
from common.state import State
from recorder import batch_figures
from recorder.housekeeping import should_not_be
from run_world import CHAMPION, DECISION, PLAN, RUN_ID, World, make_spec, run, surroundings

from contract import outcomes
from infra.object_events import objects_created
from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from localaws.states.errors import StatesError
from ratchet.spec import SpecError

BATCH = {"deploy": {"kind": "batch", "instance": "ml.m5.large", "input": "digits/batch/"}}
ROWS = {"manifest": f"s3://artifacts/runs/digits-forest/{RUN_ID}/manifests/answers/input.manifest", "objects": 2}
JOB = {"TransformJobName": f"local-digits-forest-{RUN_ID}-answer", "TransformJobStatus": "Completed"}
NOT_BETTER = {**DECISION, "promote": False, "reason": "not better"}


def world(*, rows: Any = ROWS, champion: Any = CHAMPION, outcome: str = "Run", **answers: Any) -> World:
    """A world in which a transform job succeeds."""
    plan = {**PLAN, "outcome": outcome, "champion": champion, "batch": rows}
    return World(plan=plan, answers={"createTransformJob": JOB, **answers})


def test_who_has_deployed_before_there_were_batches_retrains_nothing(tmp_path: Path) -> None:
    """A spec's hash is what a run compares with its champion's: this one is of a release without `deploy.kind`."""
    before = "b8004acd02354bcd12b0929a31ae99be20f611596cc86e514ad751e9b9b65f3a"
    assert spec_hash(make_spec(tmp_path)) == before
    batch = spec_hash(make_spec(tmp_path, **BATCH))
    elsewhere = {"deploy": {**BATCH["deploy"], "input": "digits/other/"}}
    assert batch == spec_hash(make_spec(tmp_path, **elsewhere)) != before


def story(states: list[str]) -> list[str]:
    return [state for state in states if state in ("Train", "Gate", "Register", "Deploy", "Answer", "Verify", "Record")]


def test_a_new_champion_answers_the_rows_and_there_is_no_endpoint(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path, **BATCH), world(champion=None))
    assert story(ran.states) == ["Train", "Gate", "Register", "Deploy", "Answer", "Record"]
    assert not [name for name, _ in ran.calls if "Endpoint" in name]
    assert ran.recorded["outcome"] == "Promoted"
    (model,), (job,) = ran.called("createModel"), ran.called("createTransformJob")
    assert ran.recorded["deployment"] == {"model_name": model["ModelName"]}
    assert job["ModelName"] == model["ModelName"]
    assert job["TransformInput"] == {
        "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": ROWS["manifest"]}},
        "ContentType": "text/csv",
        "SplitType": "Line",
    }
    assert job["TransformOutput"]["S3OutputPath"] == f"s3://artifacts/runs/digits-forest/{RUN_ID}/answers"
    assert ran.recorded["batch"] == JOB
    assert ran.recorded["jobs"]["Answer"] == JOB["TransformJobName"]


@pytest.mark.parametrize(
    ("begins", "answers", "outcome"),
    [
        ("UpToDate", {}, "UpToDate"),
        ("WaitsForData", {}, "WaitsForData"),
        ("Run", {"gate": {"Payload": NOT_BETTER}}, "NotBetter"),
    ],
)
def test_the_champion_that_there_is_answers_where_none_is_better(
    tmp_path: Path, begins: str, answers: dict[str, Any], outcome: str
) -> None:
    ran = run(make_spec(tmp_path, **BATCH), world(outcome=begins, **answers))
    (job,) = ran.called("createTransformJob")
    assert job["ModelName"] == CHAMPION["model_name"]
    assert ran.recorded["outcome"] == outcome
    assert not ran.called("createModel")


@pytest.mark.parametrize(("rows", "champion"), [(None, CHAMPION), (ROWS, None)])
def test_without_rows_or_without_a_champion_nothing_is_answered(tmp_path: Path, rows: Any, champion: Any) -> None:
    ran = run(make_spec(tmp_path, **BATCH), world(rows=rows, champion=champion, outcome="UpToDate"))
    assert not ran.called("createTransformJob")
    assert (ran.recorded["outcome"], ran.recorded["batch"]) == ("UpToDate", None)


@pytest.mark.parametrize(("begins", "outcome"), [("UpToDate", None), ("Run", "Promoted")])
def test_a_batch_that_fails_moves_no_champion_and_is_told(tmp_path: Path, begins: str, outcome: str | None) -> None:
    """A run that did nothing else has failed."""
    described = {**JOB, "TransformJobStatus": "Failed", "FailureReason": "ClientError: See job logs"}
    failed = StatesError("States.TaskFailed", json.dumps(described))
    ran = run(make_spec(tmp_path, **BATCH), world(outcome=begins, createTransformJob=failed))
    assert ran.recorded["outcome"] == outcome
    assert ran.recorded["failure"]["state"] == "Answer"
    assert "ClientError: See job logs" in ran.recorded["failure"]["cause"]


def test_a_rollback_answers_with_the_model_that_came_back(tmp_path: Path) -> None:
    earlier = {**CHAMPION, "run_id": "earlier"}
    plan = {
        **PLAN,
        "outcome": outcomes.ROLLBACK,
        "candidate": earlier,
        "decision": DECISION,
        "champion": CHAMPION,
        "batch": ROWS,
    }
    ran = run(make_spec(tmp_path, **BATCH), World(plan=plan, answers={"createTransformJob": JOB}), kind="rollback")
    assert story(ran.states) == ["Deploy", "Answer", "Record"]
    assert ran.called("createTransformJob")[0]["ModelName"] == ran.called("createModel")[0]["ModelName"]


def test_what_the_machine_and_its_role_may(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path, **BATCH))
    found = run_machine(at)
    actions = {action for grant in found.grants for action in grant.actions}
    assert {"sagemaker:CreateTransformJob", "sagemaker:StopTransformJob", "sagemaker:CreateModel"} <= actions
    assert not any("Endpoint" in action for action in actions)
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMakerTransformJobsRule"
    assert rule in [resource for grant in found.grants for resource in grant.resources]
    (hosting,) = (role for role in found.roles if role.name == "Hosting")
    may = {
        f"{action} {resource}" for grant in hosting.grants for action in grant.actions for resource in grant.resources
    }
    run_folder = "arn:aws:s3:::artifacts/runs/digits-forest/????????-??????-????"
    assert {
        "s3:GetObject arn:aws:s3:::data/digits/batch/*",
        f"s3:GetObject {run_folder}/manifests/answers/input.manifest",
        f"s3:PutObject {run_folder}/answers/*",
        "logs:PutLogEvents arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/TransformJobs:*",
    } <= may
    planner = next(function for function in found.functions if function.folder == "planner")
    assert "ENDPOINT_NAME" not in planner.variables
    assert "verifier" not in [function.folder for function in found.functions]


def test_rows_that_arrive_start_a_run_as_data_do(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path, **BATCH))
    assert "digits/batch/" in at.prefixes
    assert {"prefix": "digits/batch/"} in objects_created("data", at.prefixes)["detail"]["object"]["key"]


# ------------------------------------------------------------------------------------------------------------ the spec


@pytest.mark.parametrize(
    ("deploy", "says"),
    [
        ({"kind": "batch"}, "deploy.input: is required where kind is batch"),
        ({"input": "digits/batch/"}, "deploy.input: is the rows of a batch, but kind is endpoint"),
        ({"kind": "batch", "input": "digits/batch"}, "end it with /"),
        ({"kind": "batch", "input": "digits/train/new/"}, "overlaps data.train"),
        ({"kind": "batch", "input": "digits/"}, "overlaps data."),
        ({"kind": "batch", "input": "b/", "shift": "all"}, "deploy.shift: is an endpoint's, and kind is batch"),
        ({"kind": "batch", "input": "b/", "keep_old": "5m"}, "deploy.keep_old: is an endpoint's"),
        ({"kind": "batch", "input": "b/", "instance": "ml.t2.medium"}, "SageMaker has for no transform job"),
        ({"kind": "batches", "input": "b/"}, "deploy.kind"),
    ],
)
def test_what_a_batch_can_not_have_is_refused_on_its_line(tmp_path: Path, deploy: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=r"pipeline\.yaml") as caught:
        make_spec(tmp_path, deploy={"instance": "ml.m5.large", **deploy})
    assert says in str(caught.value)


# -------------------------------------------------------------------------------------------------------- the functions


def test_every_bad_row_is_counted_and_the_first_are_numbered() -> None:
    rows = ["1,a", "2,#BAD_ROW", "3,c"]
    found = batch_figures.figures([("a.csv", rows), ("b.csv", ["1,a"]), ("c.csv", ["#BAD_ROW"] * 150)])
    assert found == {
        "files": 3, "rows": 154, "bad": 151, "bad_rows": {"a.csv": [2], "c.csv": list(range(1, 101))},
    }  # fmt: skip
    assert batch_figures.figures([]) == {"files": 0, "rows": 0, "bad": 0}


def test_a_sentence_tells_what_a_batch_came_to() -> None:
    record = {"pipeline": "digits", "run_id": "r1", "outcome": "UpToDate", "reason": "nothing is new"}
    batch = {"files": 1, "rows": 100_000, "bad": 3}
    assert outcomes.sentence({**record, "batch": batch}) == (
        "digits is up to date: nothing is new. Run r1. It answered 100000 rows of 1 file; 3 of them have no answer."
    )
    assert outcomes.sentence(record) == "digits is up to date: nothing is new. Run r1."


def test_a_pipeline_may_change_its_kind() -> None:
    """An endpoint that is left goes; a champion without one isn't mistaken for one that serves."""
    state = State(champion={"run_id": "r1", "model_name": "m"})
    serving = {"EndpointStatus": "InService", "EndpointConfigName": "c"}
    assert should_not_be(serving, state, is_wanted=False)
    assert not should_not_be(serving, state)
    assert drift(state, None) == "there was no endpoint, though there is the champion, the model of run r1"
    assert "which isn't the champion" in (drift(state, serving) or "")
