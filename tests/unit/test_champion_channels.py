"""`data: {pretrained: {champion_of: …}}`: another pipeline's champion as a channel, from the file to the record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import run_world
import yaml
from common.run_table import RunTable
from common.state import State
from memory_aws import Aws, installed
from planner import handler, plan, tuning_plan
from planner.other_champions import NoChampionError
from recorder import documents
from run_documents import promoted_sources
from run_world import RUN_ID, definition, make_spec

from infra.workflow.steps.plan import spec_hash
from ratchet import report, training_job
from ratchet.spec import SpecError, find_pipelines

DATA: dict[str, Any] = {"train": "digits/train/", "test": "digits/test/"}
BEGINS = {**DATA, "pretrained": {"champion_of": "cifar-subset"}}
MODEL = "s3://artifacts/runs/cifar-subset/20261101-000000-0000/train/a-job/output/model.tar.gz"
CHAMPION = {"run_id": "20261101-000000-0000", "model_data": MODEL, "fingerprint": "f"}
FOUND = {"pretrained": {"pipeline": "cifar-subset", "run_id": CHAMPION["run_id"], "model_data": MODEL}}

# What `data` says, and what it is told.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "itself": (
        {**DATA, "pretrained": {"champion_of": "digits-forest"}},
        ":3: data.pretrained.champion_of: is digits-forest, this pipeline itself, which has no champion when it begins",
    ),
    "for training": (
        {**DATA, "train": {"champion_of": "cifar-subset"}},
        "data.train: is a model, where examples must be; write a prefix, and give the model a channel of its own",
    ),
    "for the gate": ({**DATA, "test": {"champion_of": "cifar-subset"}}, "data.test: is a model, where examples must"),
    "a prefix besides": (
        {**DATA, "pretrained": {"champion_of": "cifar-subset", "prefix": "a/"}},
        "data.pretrained: has prefix beside champion_of; a model is one file",
    ),
    "sharded": (
        {**DATA, "pretrained": {"champion_of": "cifar-subset", "distribution": "sharded"}},
        "data.pretrained: has distribution beside champion_of",
    ),
    "no pipeline's name": (
        {**DATA, "pretrained": {"champion_of": "CIFAR subset"}},
        "data.pretrained: has a champion_of that is 'CIFAR subset'; use lower-case letters, digits and single hyphens",
    ),
    "no text": ({**DATA, "pretrained": {"champion_of": 3}}, "data.pretrained: has the champion_of 3; write a pipeline"),
    "misspelt": (
        {**DATA, "pretrained": {"champion": "cifar-subset"}},
        "data.pretrained: has the unknown key champion; did you mean champion_of?",
    ),
    "a channel's name": (
        {**DATA, "my model": {"champion_of": "cifar-subset"}},
        "is the channel 'my model'; use at most 64 letters",
    ),
    "a manifest's channel": (
        {
            "train": {
                "manifest": "digits/train/l.manifest",
                "attributes": ["source-ref", "class"],
                "mode": "file",
                "objects": "digits/train/o/",
            },
            "test": "digits/test/",
            "train-manifest": {"champion_of": "cifar-subset"},
        },
        "data.train-manifest: is the channel in which data.train has its manifest; choose another name",
    ),
    "too many": (
        {**DATA, **{f"m{number}": {"champion_of": "cifar-subset"} for number in range(20)}},
        "data: gives training 21 channels; SageMaker takes at most 20",
    ),
}


@pytest.mark.parametrize(("data", "told"), BAD.values(), ids=BAD)
def test_what_can_not_be_begun_with_is_refused_in_words(tmp_path: Path, data: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_spec(tmp_path, data=data)
    assert told in str(refused.value)


def test_a_round_s_own_channel_is_no_other_s(tmp_path: Path) -> None:
    train = {**run_world.SPEC["train"], "metrics": {"f1": "f: ([0-9]+)", "size": "s: ([0-9]+)"}}
    rounds = {"max": 3, "metric": "f1", "tolerance": 0.1, "size": "size"}
    with pytest.raises(SpecError, match=r"data\.previous: is the channel in which a round finds the last one's model"):
        make_spec(tmp_path, data={**DATA, "previous": {"champion_of": "cifar-subset"}}, train=train, rounds=rounds)


def checkout(models: Path, **champions: str | None) -> Path:
    """Pipelines, by name, each of which begins with another's champion."""
    for name, other in champions.items():
        folder = models / name
        folder.mkdir(parents=True)
        data = {**DATA, **({"pretrained": {"champion_of": other}} if other else {})}
        (folder / "pipeline.yaml").write_text(yaml.safe_dump({**run_world.SPEC, "name": name, "data": data}))
    return models


def test_pipelines_may_begin_one_with_another_s(tmp_path: Path) -> None:
    found = find_pipelines(checkout(tmp_path, a="b", b="c", c=None))
    assert [spec.data.champions.get("pretrained") for spec in found] == ["b", "c", None]
    assert set(found[0].training_channels) == {"train"}
    assert [spec.name for spec in find_pipelines(tmp_path, ["a"])] == ["a"]


@pytest.mark.parametrize(
    ("champions", "told"),
    [
        ({"a": "beta", "bets": None}, r"a/pipeline\.yaml:\d+: data\.pretrained\.champion_of: is 'beta', but there is "
         r"no such pipeline; did you mean bets\?"),
        ({"a": "b", "b": "a"}, r"goes round in a circle \(a -> b -> a\): none of them could be the first to train"),
        ({"a": "b", "b": "c", "c": "a"}, r"goes round in a circle \(a -> b -> c -> a\)"),
    ],
    ids=["unknown", "two", "three"],
)  # fmt: skip
def test_a_pipeline_that_is_not_there_and_a_circle_are_refused(
    tmp_path: Path, champions: dict[str, str | None], told: str
) -> None:
    checkout(tmp_path, **champions)
    for only in (None, ["a"]):
        with pytest.raises(SpecError, match=told):
            find_pipelines(tmp_path, only)


def test_a_circle_elsewhere_and_another_s_mistake_hold_nobody_up(tmp_path: Path) -> None:
    checkout(tmp_path, a="b", b="c", c="b")
    assert find_pipelines(tmp_path, ["a"])
    (tmp_path / "b" / "pipeline.yaml").write_text("name: b\ndata: [")
    assert find_pipelines(tmp_path, ["a"])


def test_only_what_begins_with_another_s_model_has_another_hash(tmp_path: Path) -> None:
    plain = spec_hash(make_spec(tmp_path, data=DATA))
    hashes = {spec_hash(make_spec(tmp_path, data={**DATA, "p": {"champion_of": name}})) for name in ("a", "b")}
    assert len({plain, *hashes}) == 3


# ---------------------------------------------------------------------------------------------------------- the machine


def asked(spec: Any) -> Any:
    """The run of a spec whose plan has found the champion."""
    found = {**run_world.PLAN, "other_champions": {"pre-trained.1": FOUND["pretrained"]}}
    return run_world.run(spec, run_world.World(plan=found))


@pytest.mark.fidelity(
    "Training jobs",
    "A model to begin with is a channel of the content type application/x-sagemaker-model, in File mode, at its "
    "model.tar.gz.",
    "aws/sagemaker-python-sdk, src/sagemaker/job.py, _prepare_channel; developer guide, Use Incremental Training",
)
@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_training_has_the_model_that_plan_has_found(tmp_path: Path, mode: str) -> None:
    spec = make_spec(tmp_path, data={**DATA, "pre-trained.1": {"champion_of": "cifar-subset"}}, input_mode=mode)
    ran = asked(spec)
    (told,) = [payload["Payload"] for payload in ran.called("planner")]
    assert told["other_champions"] == {"pre-trained.1": "cifar-subset"}
    assert set(told["channels"]) == {"train", "test"}
    channels = {each["ChannelName"]: each for each in ran.called("createTrainingJob")[0]["InputDataConfig"]}
    assert channels.keys() == {"train", "pre-trained.1"}
    source = {"S3DataType": "S3Prefix", "S3Uri": MODEL, "S3DataDistributionType": "FullyReplicated"}
    assert channels["pre-trained.1"] == {
        "ChannelName": "pre-trained.1",
        "InputMode": "File",
        "ContentType": "application/x-sagemaker-model",
        "DataSource": {"S3DataSource": source},
    }


def test_without_such_a_channel_plan_is_told_of_none(tmp_path: Path) -> None:
    told = run_world.run(make_spec(tmp_path), run_world.World()).called("planner")[0]["Payload"]
    assert "other_champions" not in told


def test_a_training_job_alone_has_the_model_as_a_run_s(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, data={**DATA, "pre-trained.1": {"champion_of": "cifar-subset"}})
    machine = json.dumps(definition(spec))
    alone = training_job.request(
        machine, spec, run_id=RUN_ID, bucket="data", code="s3://c", champions={"pre-trained.1": MODEL}
    )
    of_run = asked(spec).called("createTrainingJob")[0]["InputDataConfig"][-1]
    assert alone["InputDataConfig"][-1] == of_run


# ---------------------------------------------------------------------------------------------------------------- plan

MADE_FROM = {"code_hash": "c", "spec_hash": "s", "image_uri": "i"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A bucket with data."""
    aws = installed(monkeypatch, RUN_TABLE="runs", DATA_BUCKET="data", ARTIFACT_BUCKET="artifacts")
    keys = [f"digits/{channel}/a.npz" for channel in ("train", "test")]
    aws.s3.versions["data"] = [
        {"Key": key, "ETag": "e", "Size": 10, "VersionId": "v", "IsLatest": True} for key in keys
    ]
    return aws


def planned(aws: Aws, state: State, **more: Any) -> dict[str, Any]:
    """What a run of `digits` is to do."""
    table = RunTable(aws.client("dynamodb"), "runs", "digits")
    event = {**MADE_FROM, "run": {"pipeline": "digits", "run_id": RUN_ID}, "held_out": None}
    event |= {"channels": DATA, "data_starts_runs": True, "other_champions": {"pretrained": "cifar-subset"}, **more}
    artifacts = handler.Artifacts(aws.client("s3"), "artifacts", "digits", RUN_ID)
    return handler.on_data(event, table, state, artifacts, handler.LOG)


def crown(aws: Aws, champion: dict[str, Any] | None, *, there: bool = True) -> None:
    """The other pipeline's champion, with its archive."""
    table = RunTable(aws.client("dynamodb"), "runs", "cifar-subset")
    table.update(lambda state: replace(state, champion=champion))
    if champion and there:
        aws.s3.objects["artifacts", champion["model_data"].removeprefix("s3://artifacts/")] = b"a model"


def test_plan_says_whose_model_it_begins_with(aws: Aws) -> None:
    crown(aws, CHAMPION)
    found = planned(aws, State())
    assert (found["outcome"], found["other_champions"]) == ("Run", FOUND)


def test_another_champion_there_is_something_new(aws: Aws) -> None:
    crown(aws, CHAMPION)
    first = planned(aws, State())
    judged = State(last_judged_fingerprint=first["fingerprint"])
    again = planned(aws, judged)
    assert (again["outcome"], again["other_champions"]) == ("UpToDate", FOUND)
    crown(aws, {**CHAMPION, "run_id": "r2", "model_data": MODEL.replace("a-job", "another")})
    assert planned(aws, judged)["outcome"] == "Run"
    assert plan.fingerprint([], **MADE_FROM) == plan.fingerprint([], **MADE_FROM, champions={})


def test_of_a_compiled_champion_training_begins_with_what_it_was_made_of(aws: Aws) -> None:
    crown(aws, CHAMPION)
    compiled = MODEL.rpartition("/train/")[0] + "/compiled/model.tar.gz"
    crown(aws, {**CHAMPION, "model_data": compiled, "trained_model_data": MODEL})
    assert planned(aws, State())["other_champions"] == FOUND


def test_without_a_champion_there_the_run_ends_and_says_what_to_do(aws: Aws) -> None:
    with pytest.raises(NoChampionError) as refused:
        planned(aws, State())
    assert str(refused.value) == (
        "data.pretrained is the champion of cifar-subset, which has none yet: let it have one first (`ratchet run "
        "cifar-subset --wait`), then start this run again"
    )
    crown(aws, CHAMPION, there=False)
    with pytest.raises(NoChampionError, match=r"the champion of cifar-subset, but the model of run .* is gone"):
        planned(aws, State())


def test_while_data_are_missing_no_champion_is_asked_for(aws: Aws) -> None:
    aws.s3.versions["data"].clear()
    assert planned(aws, State())["outcome"] == "WaitsForData"


def test_a_tuning_job_that_began_with_another_model_is_not_identical() -> None:
    others = {"pretrained": {**FOUND["pretrained"], "model_data": "s3://b"}}
    plans: list[dict[str, Any]] = [{}, {"other_champions": FOUND}, {"other_champions": others}]
    assert len({tuning_plan.made_from(found, MADE_FROM, []) for found in plans}) == 3


# -------------------------------------------------------------------------------------------------------------- lineage


def test_the_record_and_the_report_say_whose_model_it_was() -> None:
    told = dict.fromkeys(
        ("training", "evaluation", "decision", "package", "candidate", "deployment", "verification", "failure")
    )
    run = {"pipeline": "digits", "run_id": "r", "trigger": {"kind": "manual"}, "forced": False}
    event: dict[str, Any] = {**told, "run": run, "jobs": {}, "outcome": "NotBetter", "execution_arn": "arn"}
    event["plan"] = {"other_champions": FOUND}
    record = documents.run_record(event, begun={}, state=State(), evaluation=None, timings={}, at="now")
    assert record["other_champions"] == FOUND
    sources = promoted_sources()
    document = {**sources.run.document, "other_champions": record["other_champions"]}
    page = report.render(replace(sources, run=replace(sources.run, document=document)))
    assert f"the champion of cifar-subset, of run {CHAMPION['run_id']}, in the channel pretrained" in page
    assert MODEL in page
