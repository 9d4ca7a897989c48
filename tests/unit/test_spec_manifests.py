"""Channels with augmented manifests in pipeline.yaml: how they are read, refused, and asked of a training job."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from run_world import MANIFESTS, PLAN, RUN_ID, World, make_spec, run

from contract import manifests as contract_manifests
from infra.workflow.steps.plan import spec_hash
from ratchet import channels, training_job
from ratchet.spec import SpecError
from ratchet.spec.data import Channel
from ratchet.spec.manifest import Manifest

TEST = "digits/test/"
KEY = "digits/train/labels.manifest"
TRAIN: dict[str, Any] = {"manifest": KEY, "attributes": ["source-ref", "class"]}
RUN_FOLDER = f"s3://artifacts/runs/digits-forest/{RUN_ID}"


def spec(folder: Path, train: Any = TRAIN, **more: Any) -> Any:
    return make_spec(folder, data={"train": train, "test": TEST}, **more)


def channel(folder: Path, train: Any) -> Channel:
    found: Channel = spec(folder, train).data["train"]
    return found


def test_a_manifest_is_read_with_its_defaults(tmp_path: Path) -> None:
    found = channel(tmp_path, TRAIN)
    assert found.manifest == Manifest(KEY, ("source-ref", "class"), "digits/train/", "pipe", None)
    assert found == "digits/train/", "what it points to lies in the manifest's own folder"
    assert found.places == ["digits/train/"]
    said = found.said
    assert channel(tmp_path, said).said == said == {**TRAIN, "objects": "digits/train/", "mode": "pipe"}


def test_a_manifest_lies_where_it_likes(tmp_path: Path) -> None:
    outside = channel(tmp_path, {**TRAIN, "objects": "pictures/", "shuffle": 7, "mode": "file"})
    assert (outside, outside.places) == ("pictures/", ["pictures/", KEY])
    alone = channel(tmp_path, {"manifest": "labels.manifest", "attributes": ["text", "class"]})
    assert (alone, alone.places) == ("labels.manifest", ["labels.manifest"])


def test_what_a_manifest_says_makes_another_model(tmp_path: Path) -> None:
    changes = [
        {},
        {"shuffle": 7},
        {"mode": "file"},
        {"attributes": ["class", "source-ref"]},
        {"objects": "pictures/"},
    ]
    assert len({spec_hash(spec(tmp_path, {**TRAIN, **change})) for change in changes}) == len(changes)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"train": {"manifest": KEY}},
            "data.train: must say which attributes training gets, in their order, as {manifest",
        ),
        ({"train": {**TRAIN, "attributes": []}}, "data.train: must say which attributes training gets"),
        ({"train": {**TRAIN, "attributes": "class"}}, "data.train: must say which attributes training gets"),
        (
            {"train": {**TRAIN, "attributes": ["class", 1]}},
            "data.train: has the attribute 1; a name has 1 to 256 characters",
        ),
        ({"train": {**TRAIN, "attributes": ["class", "class"]}}, "data.train: has the attribute class twice"),
        (
            {"train": {**TRAIN, "attributes": [f"a{number}" for number in range(17)]}},
            "data.train: has 17 attributes; SageMaker takes at most 16",
        ),
        ({"train": {**TRAIN, "manifest": 7}}, "data.train: has the manifest 7; write {manifest: digits/train/labels"),
        (
            {"train": {**TRAIN, "manifest": "digits/"}},
            "has the manifest 'digits/', which is a prefix; write the key of one",
        ),
        (
            {"train": {**TRAIN, "manifest": "s3://b/x"}},
            "has the manifest 's3://b/x', which is a URI; write only the key",
        ),
        ({"train": {**TRAIN, "manifest": "a*.manifest"}}, "has the manifest 'a*.manifest', which can't be one, with *"),
        (
            {"train": {**TRAIN, "manifest": "/a"}},
            "has the manifest '/a', which can't be one; write a key without a leading",
        ),
        ({"train": {**TRAIN, "mode": "Pipe"}}, "data.train: has the mode 'Pipe'; it must be pipe, file, fastfile"),
        ({"train": {**TRAIN, "shuffle": True}}, "data.train: has shuffle: True; write the seed by which the lines are"),
        ({"train": {**TRAIN, "shuffle": -1}}, "data.train: has shuffle: -1; write the seed"),
        (
            {"train": {**TRAIN, "prefix": "a/"}},
            "data.train: has a manifest and a prefix; what a manifest points to lies",
        ),
        (
            {"train": {**TRAIN, "distribution": "sharded"}},
            "data.train: has a manifest and a distribution; each host gets",
        ),
        ({"train": {"manifets": KEY}}, "data.train: has the unknown key manifets; did you mean manifest?"),
        ({"train": {**TRAIN, "atributes": []}}, "data.train: has the unknown key atributes; did you mean attributes?"),
        ({"train": {**TRAIN, "objects": "pictures"}}, "data.train: has objects, which is 'pictures'; end it with /"),
        (
            {"train": {"manifest": "labels.manifest", "attributes": ["source-ref"]}},
            "data.train: must say where its objects lie, since the manifest is in no folder",
        ),
        (
            {"train": {"manifest": KEY, "attributes": ["class"], "objects": "a/"}},
            "data.train: has objects, but no attribute is one: none ends in -ref",
        ),
        (
            {"train": "a/", "test": {"manifest": KEY, "attributes": ["class"]}},
            "data.test: has a manifest, which SageMaker streams to training jobs alone; put the manifest under",
        ),
        ({"train": {**TRAIN, "objects": "digits/"}}, "data.test: is 'digits/test/', inside data.train ('digits/')"),
        ({"train": {**TRAIN, "manifest": "digits/test/x", "objects": "a/"}}, "is 'digits/test/x', inside data.test"),
        ({"train": TRAIN, "train_1": "a/"}, "data.train_1: is how one of the pipes of data.train is called"),
        (
            {"train": {**TRAIN, "mode": "file"}, "train-manifest": "a/"},
            "data.train-manifest: is the channel in which data.train has its manifest",
        ),
        ({"train": "a/", "c" * 60: {**TRAIN, "mode": "file"}}, "has a manifest and more than 55 characters"),
        (
            {"train": "a/", **{f"c{n}": {**TRAIN, "mode": "file"} for n in range(10)}},
            "data: gives training 21 channels; SageMaker takes at most 20",
        ),
    ],
)
def test_what_could_not_work_is_refused(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_spec(tmp_path, data={"test": TEST, **data})
    assert said in str(caught.value)


def test_two_training_channels_may_share_what_they_point_to(tmp_path: Path) -> None:
    both = {"train": TRAIN, "validation": {**TRAIN, "manifest": "digits/train/validation.manifest"}, "test": TEST}
    assert list(make_spec(tmp_path, data=both).manifests) == ["train", "validation"]


def test_two_processes_cannot_read_one_pipe(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch.distributed")
    joined: dict[str, Any] = {
        "framework": {"name": "pytorch", "version": "2.6.0"},
        "train": {"instance": "ml.m5.large", "instance_count": 2, "distribution": "torchrun"},
    }
    said = r"data.train.mode: is pipe, but train.distribution is torchrun, which starts a process on each GPU"
    with pytest.raises(SpecError, match=said):
        make_spec(tmp_path, data={"train": TRAIN, "test": TEST}, **joined)
    files = {"train": {**TRAIN, "mode": "file"}, "test": TEST}
    assert make_spec(tmp_path, data=files, **joined).manifests["train"].mode == "file"


def test_batches_lie_elsewhere(tmp_path: Path) -> None:
    deploy = {"kind": "batch", "instance": "ml.m5.large", "input": "labels/"}
    with pytest.raises(
        SpecError, match=r"deploy.input: is 'labels/', which overlaps data.train \('labels/a.manifest'\)"
    ):
        spec(tmp_path, {**TRAIN, "manifest": "labels/a.manifest", "objects": "digits/train/"}, deploy=deploy)


# --------------------------------------------------------------------------------------------------------- the requests


def asked(folder: Path, train: Any) -> dict[str, Any]:
    """The training job of a run whose plan has written the channels' manifests."""
    uris = {name: f"{RUN_FOLDER}/manifests/{name}.manifest" for name in ("train", "train-manifest")}
    planned = {**PLAN, "data": {**PLAN["data"], "manifests": {**MANIFESTS, **uris}}}
    (request,) = run(spec(folder, train), World(plan=planned)).called("createTrainingJob")
    return checked(dict(request))


def checked(request: dict[str, Any]) -> dict[str, Any]:
    """A request that fits CreateTrainingJob's shape."""
    shape = (
        botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    )
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    return request


@pytest.mark.fidelity(
    "Training jobs",
    "A channel with an augmented manifest is AugmentedManifestFile in Pipe mode, with AttributeNames, in RecordIO.",
    "SageMaker DG, Augmented Manifest Files for Training Jobs; SageMaker API, S3DataSource",
)
def test_a_piped_manifest_is_one_channel(tmp_path: Path) -> None:
    request = asked(tmp_path, {**TRAIN, "shuffle": 7})
    assert request["InputDataConfig"] == [
        {
            "ChannelName": "train",
            "InputMode": "Pipe",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "AugmentedManifestFile",
                    "S3Uri": f"{RUN_FOLDER}/manifests/train.manifest",
                    "S3DataDistributionType": "FullyReplicated",
                    "AttributeNames": ["source-ref", "class"],
                }
            },
            "RecordWrapperType": "RecordIO",
            "ShuffleConfig": {"Seed": 7},
        }
    ]
    told = contract_manifests.channels_of(request["Environment"])
    assert told == {"train": {"attributes": ["source-ref", "class"], "objects": "digits/train/", "seed": 7}}


def channels_of(request: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    found = [(each, each["DataSource"]["S3DataSource"]) for each in request["InputDataConfig"]]
    return [(each["ChannelName"], each["InputMode"], s3["S3DataType"], s3["S3Uri"]) for each, s3 in found]


def test_in_the_other_modes_objects_and_manifest_are_channels_of_their_own(tmp_path: Path) -> None:
    own = ("train-manifest", "File", "S3Prefix", f"{RUN_FOLDER}/manifests/train-manifest.manifest")
    objects = f"{RUN_FOLDER}/manifests/train.manifest"
    files = asked(tmp_path, {**TRAIN, "mode": "file", "shuffle": 7})
    assert channels_of(files) == [("train", "File", "ManifestFile", objects), own]
    assert contract_manifests.channels_of(files["Environment"])["train"]["seed"] == 7
    # "Channels that use FastFile mode must use a S3DataType of S3Prefix" (developer guide).
    fast = channels_of(asked(tmp_path, {**TRAIN, "mode": "fastfile"}))
    assert fast == [("train", "FastFile", "S3Prefix", "s3://data/digits/train/"), own]
    alone = {"manifest": KEY, "attributes": ["text"], "mode": "file"}
    assert channels_of(asked(tmp_path, alone)) == [own]


def test_a_job_by_itself_reads_the_data_bucket(tmp_path: Path) -> None:
    definition = json.dumps({"States": {"Train": {"Arguments": asked(tmp_path, {**TRAIN, "attributes": ["other"]})}}})
    made = training_job.request(definition, spec(tmp_path), run_id=RUN_ID, bucket="data", code="s3://c/c.tar.gz")
    assert channels_of(checked(made)) == [("train", "Pipe", "AugmentedManifestFile", f"s3://data/{KEY}")]
    assert contract_manifests.channels_of(made["Environment"])["train"]["attributes"] == ["source-ref", "class"]
    files = spec(tmp_path, {**TRAIN, "mode": "fastfile"})
    made = training_job.request(definition, files, run_id=RUN_ID, bucket="data", code="s3://c/c.tar.gz")
    assert channels_of(checked(made)) == [
        ("train", "FastFile", "S3Prefix", "s3://data/digits/train/"),
        ("train-manifest", "File", "S3Prefix", f"s3://data/{KEY}"),
    ]


def test_what_is_put_into_a_channel_with_a_manifest_has_its_place(tmp_path: Path) -> None:
    outside = channel(tmp_path, {**TRAIN, "objects": "pictures/"})
    assert channels.key(outside, "labels.manifest") == KEY
    assert channels.key(outside, "a/1.png") == "pictures/a/1.png"
    assert channels.key(Channel("digits/"), "labels.manifest") == "digits/labels.manifest"
    alone = channel(tmp_path, {"manifest": KEY, "attributes": ["class"]})
    with pytest.raises(ValueError, match=f"holds its manifest alone, {re.escape(KEY)}"):
        channels.key(alone, "1.png")
