"""`ratchet train`: the training job that a run would start, without the run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import run_world
from commands_world import ARTIFACTS, BUCKET, World, world_in
from memory_services import SageMaker, Service, StepFunctions
from run_world import RUN_ID, check_request, definition, make_spec

from contract import run_table
from ratchet import errors, training_job
from ratchet.spec.source_package import source_package

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:iris-tree"
CODE = f"s3://artifacts/runs/digits-forest/{RUN_ID}/sourcedir.tar.gz"
TRAIN = run_world.SPEC["train"]
METRICS = {"accuracy": "a: ([0-9.]+)", "parameters": "p: ([0-9]+)"}
ROUNDS = {"max": 5, "metric": "accuracy", "tolerance": 0.1, "size": "parameters"}
PIPELINES: dict[str, dict[str, Any]] = {
    "plain": {},
    "rules": {"rules": [{"rule": "Overfit"}, {"rule": "LossNotDecreasing", "action": "notify"}]},
    "probe": {"probe": {"collections": {f"it's {number}": {"include": ["\\d+"]} for number in range(20)}}},
    "spot": {"train": {**TRAIN, "spot": {"max_wait": "2h"}}},
    "rounds": {"train": {**TRAIN, "metrics": METRICS}, "rounds": ROUNDS},
    "fast file": {"input_mode": "FastFile"},
}


@pytest.mark.parametrize("what", PIPELINES)
def test_the_request_is_the_run_s_but_for_code_and_channels(tmp_path: Path, what: str) -> None:
    (tmp_path / "train.py").write_text("from toolkit.checkpoint import Checkpoints")
    spec = make_spec(tmp_path, **PIPELINES[what])
    run = run_world.run(spec, run_world.World()).called("createTrainingJob")[0]
    machine = json.dumps(definition(spec))
    asked = training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code=CODE)
    check_request("arn:aws:states:::sagemaker:createTrainingJob", asked)
    sources = {each["ChannelName"]: each["DataSource"]["S3DataSource"] for each in asked["InputDataConfig"]}
    assert {name: source["S3Uri"] for name, source in sources.items()} == {
        name: f"s3://data/{prefix}" for name, prefix in spec.training_channels.items()
    }
    assert {source["S3DataType"] for source in sources.values()} == {"S3Prefix"}
    assert {each["InputMode"] for each in asked["InputDataConfig"]} == {spec.input_mode}
    assert asked["HyperParameters"].pop("sagemaker_submit_directory") == CODE
    run["HyperParameters"].pop("sagemaker_submit_directory")
    for request in (run, asked):
        request.pop("InputDataConfig")
    # Outside of the runs' folders, which are open to runs only.
    moved = json.loads(json.dumps(run).replace("//artifacts/runs/", "//artifacts/tries/"))
    assert asked == moved != run


def test_hyperparameters_and_metrics_are_the_folder_s(tmp_path: Path) -> None:
    machine = json.dumps(definition(make_spec(tmp_path)))
    edited = make_spec(tmp_path, train={**TRAIN, "hyperparameters": {"depth": 3}, "metrics": {}})
    asked = training_job.request(machine, edited, run_id=RUN_ID, bucket="data", code=CODE)
    assert asked["HyperParameters"]["depth"] == "3"
    assert "n-estimators" not in asked["HyperParameters"]
    assert "MetricDefinitions" not in asked["AlgorithmSpecification"]


def test_of_several_instance_types_it_takes_the_first(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, train={"instance": ["ml.c5.xlarge", "ml.m5.xlarge"]})
    machine = json.dumps(definition(spec))
    asked = training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code=CODE)
    assert asked["ResourceConfig"]["InstanceType"] == "ml.c5.xlarge"


def test_of_candidates_one_is_trained_as_a_run_trains_it(tmp_path: Path) -> None:
    for script in ("train.py", "deep.py"):
        (tmp_path / script).write_text("")
    deep = {"name": "deep", "entry": "deep.py", "hyperparameters": {"n-estimators": 7}}
    spec = make_spec(tmp_path, candidates=[{"name": "plain"}, deep])
    world = run_world.World(answers={"gate": {"Payload": {**run_world.DECISION, "candidate": "deep"}}})
    runs = run_world.run(spec, world).called("createTrainingJob")
    (run,) = [one for one in runs if one["Environment"]["RATCHET_CANDIDATE"] == "deep"]
    machine = json.dumps(definition(spec))
    asked = training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code=CODE, candidate="deep")
    check_request("arn:aws:states:::sagemaker:createTrainingJob", asked)
    for request in (run, asked):
        request.pop("InputDataConfig")
        request["HyperParameters"].pop("sagemaker_submit_directory")
    assert asked == json.loads(json.dumps(run).replace("//artifacts/runs/", "//artifacts/tries/"))
    assert (asked["HyperParameters"]["n-estimators"], asked["HyperParameters"]["sagemaker_program"]) == ("7", "deep.py")


@pytest.mark.parametrize(
    ("candidates", "named", "message"),
    [
        (True, None, "has candidates, of which one is trained: --candidate NAME; they are plain, deep"),
        (True, "wide", "has no candidate 'wide'; they are plain, deep"),
        (False, "plain", "has no candidate 'plain'; leave --candidate out"),
    ],
)
def test_which_candidate_must_be_said(tmp_path: Path, candidates: bool, named: str | None, message: str) -> None:
    (tmp_path / "train.py").write_text("")
    two = [{"name": "plain"}, {"name": "deep", "hyperparameters": {"depth": 9}}]
    spec = make_spec(tmp_path, candidates=two if candidates else [])
    machine = json.dumps(definition(spec))
    with pytest.raises(errors.UserError) as refused:
        training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code=CODE, candidate=named)
    assert message in str(refused.value)


def test_what_only_a_run_knows_is_refused(tmp_path: Path) -> None:
    machine = definition(make_spec(tmp_path))
    machine["States"]["Train"]["Arguments"]["RoleArn"] = "{% $plan.role %}"
    with pytest.raises(errors.UserError, match=r"which alone knows \$plan.role; use `ratchet run`"):
        training_job.request(json.dumps(machine), make_spec(tmp_path), run_id=RUN_ID, bucket="data", code=CODE)


class Training(SageMaker):
    """Starts jobs, each of which ends at the second look."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, Any] = {"TrainingJobStatus": "Completed", "TrainingTimeInSeconds": 61}

    def create_training_job(self, *, TrainingJobName: str, **_: Any) -> None:  # noqa: N803 - boto3's
        self.jobs[TrainingJobName] = {"TrainingJobStatus": "InProgress"}

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        described = super().describe_training_job(TrainingJobName=TrainingJobName)
        if described["TrainingJobStatus"] == "InProgress":
            self.jobs[TrainingJobName] = self.ends
        return described


class Logs(Service):
    def filter_log_events(self, *, logStreamNamePrefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        stream, at = f"{logStreamNamePrefix}algo-1", 1_800_000_000_000
        told = [("2", at + 1000, "f1: 0.9\n"), ("1", at, "[epoch 1]\n")]
        keys = ("eventId", "timestamp", "message")
        return {"events": [dict(zip(keys, each, strict=True), logStreamName=stream) for each in told]}


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path / "checkout", monkeypatch)
    (world.root / "training_code" / "toolkit" / "probe.py").write_text("")
    for name, service in {"sagemaker": Training(), "logs": Logs(), "stepfunctions": StepFunctions()}.items():
        world.serve(name, service)
    (tmp_path / "spec").mkdir()
    world.stepfunctions.definitions[MACHINE] = json.dumps(definition(make_spec(tmp_path / "spec", name="iris-tree")))
    world.deploy("iris-tree")
    world.s3.put_object(Bucket=BUCKET, Key="iris/train/iris.csv", Body=b"0,1\n")
    monkeypatch.setattr("ratchet.followed_jobs.POLL_SECONDS", 0)
    return world


def test_the_job_is_started_with_the_folder_s_code_and_its_log_followed(world: World) -> None:
    world.sagemaker.ends = {
        **world.sagemaker.ends,
        "FinalMetricDataList": [{"MetricName": "f1", "Value": 0.9}],
        "ModelArtifacts": {"S3ModelArtifacts": "s3://x/model.tar.gz"},
    }
    told = world.call("train", "iris_tree")
    assert told.exit_code == 0, told.output
    [request] = world.called("create_training_job")
    [key] = world.keys(ARTIFACTS)
    assert request["HyperParameters"]["sagemaker_submit_directory"] == f"s3://{ARTIFACTS}/{key}"
    models = world.root / "training_code"
    assert world.s3.objects[ARTIFACTS, key] == source_package(models / "iris_tree", models / "toolkit").archive()
    run_id = request["TrainingJobName"].removeprefix("local-iris-tree-").removesuffix("-train")
    assert key == f"tries/iris-tree/{run_id}/sourcedir.tar.gz"
    lines = told.stdout.splitlines()
    assert [line[9:] for line in lines[1:3]] == ["[epoch 1]", "f1: 0.9"]
    assert "Completed after 1 min 01 s" in told.stdout
    assert "s3://x/model.tar.gz" in told.stdout


def test_a_job_that_fails_says_why_and_exits_with_3(world: World) -> None:
    world.sagemaker.ends = {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no [luck] today"}
    told = world.call("train", "iris-tree")
    assert told.exit_code == errors.RUN_FAILED
    assert "AlgorithmError: no [luck] today" in told.stdout
    document = json.loads(world.call("train", "iris-tree", "--json").stdout)
    assert (document["status"], document["failure"]) == ("Failed", "AlgorithmError: no [luck] today")


def test_ctrl_c_stops_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        world.sagemaker.jobs = {name: {"TrainingJobStatus": "InProgress"} for name in world.sagemaker.jobs}
        raise KeyboardInterrupt

    monkeypatch.setattr("ratchet.followed_jobs.time", SimpleNamespace(sleep=interrupt))
    told = world.call("train", "iris-tree")
    assert told.exit_code == 130
    assert [each["TrainingJobStatus"] for each in world.sagemaker.jobs.values()] == ["Stopping"]


def test_nothing_is_started_without_data_or_code_or_a_folder(world: World) -> None:
    (world.root / "training_code" / "iris_tree" / "serve.py").unlink()
    assert "serve.py: is missing" in world.call("train", "iris-tree").stderr
    world.s3.objects.clear()
    assert (
        "iris-tree waits for data: train is empty; put data there with `ratchet data iris-tree put"
        in world.call("train", "iris-tree").stderr
    )
    world.deploy("tickets")
    assert "tickets has no folder in this checkout" in world.call("train", "tickets").stderr
    assert not world.called("create_training_job")
    assert not world.keys(ARTIFACTS)


def test_a_job_begins_with_another_pipeline_s_champion_as_it_is_now(world: World) -> None:
    path = world.root / "training_code" / "iris_tree" / "pipeline.yaml"
    path.write_text(path.read_text().replace("  test: iris", "  pretrained: {champion_of: words}\n  test: iris"))
    told = world.call("train", "iris-tree")
    assert told.exit_code == errors.FAILURE
    assert (
        "data.pretrained is the champion of words, which has none yet: `ratchet run words --wait` first" in told.stderr
    )
    champion = {"M": {"run_id": {"S": "r1"}, "model_data": {"S": "s3://artifacts/runs/words/r1/model.tar.gz"}}}
    world.dynamodb.put_item(Item={**run_table.key("words", "state"), "champion": champion})
    assert world.call("train", "iris-tree").exit_code == 0
    [request] = world.called("create_training_job")
    source = request["InputDataConfig"][-1]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == "s3://artifacts/runs/words/r1/model.tar.gz"
