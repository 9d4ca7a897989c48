"""The frozen table of framework images, and how it is made."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from run_world import make_spec

from infra import framework_support, freeze_images, images
from ratchet.spec import SpecError
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
        hosting = {"hosting": {"name": "pytorch", "version": "2.6.0"}} if name == "tensorflow" else {}
        assert Framework(name=name, version=version, **hosting).version == version


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


SUPPORT = json.loads((Path(framework_support.__file__).parent / "framework_support.json").read_text())
NEW, OLD = "2.10.0", "2.6.0"


def pytorch(folder: Path, **framework: str) -> Any:
    return make_spec(folder, framework={"name": "pytorch", "version": NEW, **framework})


def test_a_model_may_be_hosted_by_another_version_than_it_was_trained_with(tmp_path: Path) -> None:
    found = images.images(pytorch(tmp_path, hosting=OLD), "us-east-1")
    assert f"pytorch-training:{NEW}-cpu" in found.training
    assert f"pytorch-inference:{OLD}-cpu" in found.hosting


def test_a_version_without_a_hosting_image_says_which_has_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"{NEW} has no inference image; .*or name the version .* as hosting: .{OLD}."):
        images.images(pytorch(tmp_path), "us-east-1")
    with pytest.raises(SpecError, match=r"framework.hosting: pytorch 2.7.1 has no inference image; versions"):
        images.images(pytorch(tmp_path, hosting="2.7.1"), "us-east-1")


def test_an_image_whose_python_is_too_old_for_the_toolkit_is_refused(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, framework={"name": "xgboost", "version": "1.3-1"})
    said = r"framework.version: xgboost 1.3-1 has Python 3.7, and what Ratchet brings .* needs 3.8 or newer; take 1.5-1"
    with pytest.raises(SpecError, match=said):
        images.images(spec, "us-east-1")


@pytest.mark.parametrize(
    ("framework", "today", "said"),
    [
        ({"version": OLD}, date(2026, 11, 26),
         ["AWS has not patched the training image of pytorch 2.6.0 since 2026-01-29, its end of patch",
          "AWS has not patched the inference image of pytorch 2.6.0 since 2026-06-30, its end of patch"]),
        ({"version": NEW, "hosting": OLD}, date(2026, 5, 1),
         ["AWS will not patch the inference image of pytorch 2.6.0 after 2026-06-30, its end of patch"]),
        ({"version": NEW, "hosting": OLD}, date(2026, 2, 1), []),
    ],
    ids=["past", "soon", "in time"],
)  # fmt: skip
def test_the_end_of_patch_is_said(tmp_path: Path, framework: dict[str, str], today: date, said: list[str]) -> None:
    found = list(framework_support.warnings(pytorch(tmp_path, **framework), today))
    assert len(found) == len(said)
    assert all(what in warning for what, warning in zip(said, found, strict=True))
    field = "framework.hosting" if "hosting" in framework else "framework.version"
    assert all("pipeline.yaml:" in warning for warning in found)
    assert not found or field in found[-1]


def test_the_images_of_a_chain_are_warned_of_and_checked_too(tmp_path: Path) -> None:
    for name in ("features.py", "labels.py"):
        (tmp_path / name).touch()
    own = {"entry": "labels.py", "framework": {"name": "pytorch", "version": OLD}}
    deploy = {"instance": "ml.m5.large", "chain": [{"entry": "features.py"}, own]}
    (warning,) = framework_support.warnings(make_spec(tmp_path, deploy=deploy), date(2026, 11, 26))
    assert "deploy.chain[1].framework.version: AWS has not patched the inference image of pytorch 2.6.0" in warning
    own["framework"] = {"name": "xgboost", "version": "1.3-1"}
    with pytest.raises(SpecError, match=r"deploy\.chain\[1\]\.framework\.version: xgboost 1\.3-1 has Python 3\.7, and"):
        images.chain_images(make_spec(tmp_path, deploy=deploy), "us-east-1")


def test_what_has_no_date_has_no_warning(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, framework={"name": "sklearn", "version": "1.4-2-py312"})
    assert list(framework_support.warnings(spec, date(2100, 1, 1))) == []
    own = make_spec(tmp_path, framework=None, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:1")
    assert list(framework_support.warnings(own, date(2100, 1, 1))) == []


def test_the_hand_kept_table_is_about_images_that_there_are() -> None:
    for name, pythons in SUPPORT["pythons"].items():
        assert set(pythons) <= set(TABLE["frameworks"][name])
    for scope, frameworks in SUPPORT["end_of_patch"].items():
        for name, dates in frameworks.items():
            held = [version for version, scopes in TABLE["frameworks"][name].items() if scope in scopes]
            for version in dates:
                assert any(each == version or each.startswith(f"{version}.") for each in held), (scope, name, version)
                assert framework_support.end_of_patch(scope, name, version) == date.fromisoformat(dates[version])
