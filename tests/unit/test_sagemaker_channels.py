"""Which objects a data source means, and where they lie in the container."""

import json
from pathlib import Path

import pytest

from localaws.sagemaker.containers.channels import (
    ManifestError,
    Source,
    inside,
    overlapping,
    parse_manifest,
    relative_name,
)
from localaws.sagemaker.containers.objects import S3Object
from localaws.sagemaker.core.wire import split_s3_uri


@pytest.mark.fidelity(
    "Training jobs",
    "An object lies under its channel by what its key has after the prefix's last slash.",
    "SageMaker API, S3DataSource: S3Prefix",
)
@pytest.mark.parametrize(
    ("key", "prefix", "name"),
    [
        ("data/train/a.csv", "data/train", "a.csv"),
        ("data/train/a.csv", "data/train/", "a.csv"),
        ("data/train/x/a.csv", "data/train", "x/a.csv"),
        ("data/train/a.csv", "data/tr", "train/a.csv"),
        ("data/train/a.csv", "data/train/a.csv", "a.csv"),
        ("a.csv", "", "a.csv"),
        ("x/a.csv", "", "x/a.csv"),
    ],
)
def test_an_object_of_a_prefix_lies_below_its_channel(key: str, prefix: str, name: str) -> None:
    assert relative_name(key, prefix) == name


@pytest.mark.fidelity(
    "Training jobs",
    'A manifest is a list: {"prefix": …}, then the rest of each key.',
    "SageMaker API, S3DataSource: ManifestFile",
)
def test_a_manifest_names_objects_after_its_prefix() -> None:
    content = json.dumps([{"prefix": "s3://bucket/data/"}, "a.csv", "x/b.csv"]).encode()
    assert parse_manifest(content, "s3://b/m") == [
        (S3Object("bucket", "data/a.csv"), "a.csv"),
        (S3Object("bucket", "data/x/b.csv"), "x/b.csv"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not json", "is not JSON"),
        (b"{}", "must be a JSON list"),
        (b"[]", "must be a JSON list"),
        (b'["a.csv"]', "entry 1 of s3://b/m must be"),
        (b'[{"prefix": "bucket/data"}, "a"]', "entry 1 of s3://b/m must be"),
        (b'[{"prefix": "s3://bucket/"}]', "names no object"),
        (b'[{"prefix": "s3://bucket/"}, "a", {"b": 1}]', "entry 3 of s3://b/m must be an object's path"),
    ],
)
def test_a_broken_manifest_says_where_and_what_would_be_right(content: bytes, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        parse_manifest(content, "s3://b/m")


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", ""])
def test_an_object_name_cannot_lead_out_of_the_channel(name: str) -> None:
    with pytest.raises(ValueError, match="would lead out of train/"):
        inside(Path("/opt/ml/input/data/train"), name)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/some/key",
        "https://s3.us-east-1.amazonaws.com/bucket/some/key",
        "https://bucket.s3.amazonaws.com/some/key",
    ],
)
def test_s3_locations_come_in_three_forms(uri: str) -> None:
    assert split_s3_uri(uri) == ("bucket", "some/key")


@pytest.mark.parametrize("uri", ["bucket/key", "https://example.com/key", "s3://", "file:///etc/passwd"])
def test_what_is_no_s3_location_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        split_s3_uri(uri)


def test_two_inputs_in_one_directory_are_noticed() -> None:
    def source(name: str, directory: str) -> Source:
        return Source(name, "S3Prefix", "s3://b/k", Path(directory))

    assert overlapping([source("a", "/x"), source("b", "/y")]) is None
    assert overlapping([source("a", "/x"), source("b", "/x")]) == "b"
