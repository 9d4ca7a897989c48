"""The frozen table of framework images, and how it is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra import freeze_images, images
from ratchet.spec.image import Framework

TABLE = json.loads((Path(images.__file__).parent / "framework_images.json").read_text())


def test_every_image_has_a_registry_and_every_region_a_host() -> None:
    named = {
        image
        for versions in TABLE["frameworks"].values()
        for scopes in versions.values()
        for by_processor in scopes.values()
        for image in by_processor.values()
    }
    registered = {image for registry in TABLE["registries"] for image in registry["images"]}
    regions = {region for registry in TABLE["registries"] for region in registry["accounts"]}
    assert named == registered
    assert regions == set(TABLE["hosts"])


def test_every_version_can_be_written_in_a_pipeline() -> None:
    versions = {(name, version) for name, versions in TABLE["frameworks"].items() for version in versions}
    assert ("sklearn", "1.4-2-py312") in versions
    for name, version in versions:
        assert Framework(name=name, version=version).version == version


@pytest.mark.parametrize(
    ("instance", "processor"),
    [
        ("ml.m5.large", "cpu"),
        ("ml.t2.medium", "cpu"),
        ("ml.c6i.2xlarge", "cpu"),
        ("ml.m5.metal", "cpu"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.p4d.24xlarge", "gpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.g5.xlarge", "gpu"),
        ("ml.g6e.xlarge", "gpu"),
        ("ml.gr6.4xlarge", "gpu"),
        ("ml.m7g.large", "arm64"),
        ("ml.c7gn.large", "arm64"),
        ("ml.r8g.large", "arm64"),
        ("ml.inf2.xlarge", "neuron"),
        ("ml.trn1.2xlarge", "neuron"),
    ],
)
def test_an_instance_types_kind_of_image(instance: str, processor: str) -> None:
    assert images.processor(instance) == processor


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        (
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
            "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn",
        ),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/image@sha256:" + 64 * "0",
            "arn:aws:ecr:eu-west-1:123456789012:repository/team/image",
        ),
        ("registry.example.com/team/image:1.0", None),
    ],
)
def test_the_repository_that_a_role_may_pull_from(image: str, arn: str | None) -> None:
    assert images.repository_arn(image, "aws") == arn


def test_the_table_says_what_the_sdk_answers() -> None:
    configuration = {
        scope: {"versions": {"1.9-0": {"registries": {"us-east-1": "", "cn-north-1": ""}}, "0.9": {"registries": {}}}}
        for scope in ("training", "inference")
    }

    def retrieve(framework: str, region: str, *, version: str, image_scope: str, instance_type: str) -> str:
        assert (framework, instance_type) == ("sklearn", "ml.m5.large")
        suffix = ".cn" if region.startswith("cn-") else ""
        return f"111122223333.dkr.ecr.{region}.amazonaws.com{suffix}/sk-{image_scope}:{version}"

    found = list(freeze_images.images("sklearn", configuration, retrieve))
    assert freeze_images.table(found, "the SDK") == {
        "source": "the SDK",
        "hosts": {"cn-north-1": "ecr.cn-north-1.amazonaws.com.cn", "us-east-1": "ecr.us-east-1.amazonaws.com"},
        "registries": [
            {
                "images": ["sk-training:1.9-0", "sk-inference:1.9-0"],
                "accounts": {"cn-north-1": "111122223333", "us-east-1": "111122223333"},
            }
        ],
        "frameworks": {
            "sklearn": {"1.9-0": {"training": {"cpu": "sk-training:1.9-0"}, "inference": {"cpu": "sk-inference:1.9-0"}}}
        },
    }
