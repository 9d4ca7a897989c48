"""A pipeline whose channels have manifests, in each mode: what its trainings, of a tuning job too, are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synthesis import Template

from contract import manifests

LABELS = {"manifest": "tickets/train/labels.manifest", "attributes": ["source-ref", "class"]}
FAST = {**LABELS, "manifest": "labels/fast.manifest", "objects": "pictures/", "mode": "fastfile"}
TUNE = {
    "objective": {"maximize": "f1"}, "max_jobs": 2, "parallel": 1, "ranges": {"lr": {"continuous": [0.1, 0.9]}},
}  # fmt: skip


def sources(channels: list[Any]) -> dict[str, tuple[str, str]]:
    found = {each["ChannelName"]: (each["InputMode"], each["DataSource"]["S3DataSource"]) for each in channels}
    return {name: (mode, s3["S3DataType"]) for name, (mode, s3) in found.items()}


def test_trainings_and_trials_are_asked_alike(pipeline: Callable[..., Template]) -> None:
    train = {"instance": "ml.m5.large", "metrics": {"f1": "f1=([0-9.]+)"}}
    data = {"train": LABELS, "fast": FAST, "test": "tickets/test/"}
    template = pipeline("local", data=data, train=train, tune=TUNE)
    states = template.machine["States"]
    once = states["Train"]["Arguments"]
    expected = {
        "train": ("Pipe", "AugmentedManifestFile"),
        "fast": ("FastFile", "S3Prefix"),
        "fast-manifest": ("File", "S3Prefix"),
    }
    assert sources(once["InputDataConfig"]) == expected
    assert set(manifests.channels_of(once["Environment"])) == {"train", "fast"}
    trial = states["Tune"]["Arguments"]["TrainingJobDefinition"]
    assert sources(trial["InputDataConfig"]) == expected
    assert manifests.channels_of(trial["Environment"]) == manifests.channels_of(once["Environment"])
    fast = next(each for each in once["InputDataConfig"] if each["ChannelName"] == "fast")
    uri = fast["DataSource"]["S3DataSource"]["S3Uri"]
    machine = template.one("AWS::StepFunctions::StateMachine")["Properties"]
    assert "data_bucket" in uri
    assert "data_bucket" in machine["DefinitionSubstitutions"], "what the definition leaves open is filled in"
