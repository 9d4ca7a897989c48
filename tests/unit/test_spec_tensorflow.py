"""`framework: {name: tensorflow}` of pipeline.yaml: what another framework hosts; what its container would break."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from run_world import definition, make_spec, surroundings

from infra import framework_support, images
from infra.workflow.job_role import HOSTING, PROCESSING, TRAINING
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import Image
from ratchet.spec import PipelineSpec, SpecError

PYTORCH = {"name": "pytorch", "version": "2.6.0"}
TUNE = {"objective": {"maximize": "a"}, "ranges": {"x": {"integer": [1, 3]}}, "max_jobs": 3}
METRICS = {"instance": "ml.m5.large", "metrics": {"a": "a=(.*)"}}
TRAIN = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"


def tensorflow(folder: Path, hosting: object = PYTORCH, version: str = "2.21.0", **changes: Any) -> PipelineSpec:
    said = {} if hosting is None else {"hosting": hosting}
    return make_spec(folder, framework={"name": "tensorflow", "version": version, **said}, **changes)


def test_it_trains_in_its_image_and_is_judged_and_served_in_the_other_framework_s(tmp_path: Path) -> None:
    spec = tensorflow(tmp_path)
    found = images.images(spec, "us-east-1")
    assert [uri and uri.rpartition("/")[2] for uri in (found.training, found.hosting, found.evaluating)] == [
        "tensorflow-training:2.21.0-cpu-py312",
        "pytorch-inference:2.6.0-cpu-py312",
        "pytorch-training:2.6.0-cpu-py312",
    ]
    assert spec.serving_frameworks == ["pytorch"]
    assert spec.model_dump(mode="json")["framework"]["hosting"] == PYTORCH


def test_another_version_alone_is_no_other_framework(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, framework={"name": "pytorch", "version": "2.10.0", "hosting": "2.6.0"})
    assert images.images(spec, "us-east-1").evaluating is None
    assert spec.model_dump(mode="json")["framework"]["hosting"] == "2.6.0", "as specs were hashed before"


def test_the_evaluation_job_runs_in_the_image_of_the_framework_that_serves(tmp_path: Path) -> None:
    trains, judges = Image("tf"), Image(TRAIN, "arn:aws:ecr:us-east-1:763104351884:repository/pytorch-training")
    spec = tensorflow(tmp_path)
    states = definition(spec, image=trains, evaluating_image=judges)["States"]
    assert states["Evaluate"]["Arguments"]["AppSpecification"]["ImageUri"] == TRAIN
    assert states["Train"]["Arguments"]["AlgorithmSpecification"]["TrainingImage"] == "tf"
    same = definition(spec, image=judges, evaluating_image=judges)["States"]
    assert same["Evaluate"]["Arguments"]["AppSpecification"]["ImageUri"] == TRAIN
    assert surroundings(spec, image=trains).evaluation_image == trains


def test_each_role_may_pull_the_image_of_its_own_job_alone(tmp_path: Path) -> None:
    spec = tensorflow(tmp_path)
    found = images.images(spec, "us-east-1")
    uris = {"image": found.training, "hosting_image": found.hosting, "evaluating_image": str(found.evaluating)}
    pulled = {name: Image(uri, images.repository_arn(uri, "aws")) for name, uri in uris.items()}
    may = {
        role.name: [
            resource.rpartition("/")[2]
            for grant in role.grants
            if "ecr:BatchGetImage" in grant.actions
            for resource in grant.resources
        ]
        for role in run_machine(surroundings(spec, **pulled)).roles
    }
    assert may == {
        TRAINING: ["tensorflow-training"],
        PROCESSING: ["pytorch-training"],
        HOSTING: ["pytorch-inference"],
    }


def test_a_chain_s_containers_are_the_hosting_framework_s(tmp_path: Path) -> None:
    for name in ("features.py", "labels.py"):
        (tmp_path / name).touch()
    other = {"entry": "labels.py", "framework": {"name": "sklearn", "version": "1.9-0"}}
    deploy = {"instance": "ml.m5.large", "chain": [{"entry": "features.py"}, other]}
    assert tensorflow(tmp_path, deploy=deploy).serving_frameworks == ["pytorch", "sklearn"]


def test_the_end_of_patch_of_all_three_images_is_said(tmp_path: Path) -> None:
    found = list(framework_support.warnings(tensorflow(tmp_path, version="2.19.0"), date(2026, 11, 27)))
    assert [warning.partition("AWS has not patched ")[2].partition(" since")[0] for warning in found] == [
        "the training image of tensorflow 2.19.0",
        "the inference image of pytorch 2.6.0",
        "the training image of pytorch 2.6.0",
    ]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no hosting": ({"hosting": None}, "framework.hosting: is required, and TensorFlow's serving container runs no"),
    "a version of its own": ({"hosting": "2.19.0"}, "framework.hosting: is '2.19.0', and TensorFlow's serving"),
    "itself": (
        {"hosting": {"name": "tensorflow", "version": "2.21.0"}},
        "framework.hosting.name: is 'tensorflow', whose serving container runs no serve.py; frameworks that serve are "
        "sklearn, xgboost, pytorch",
    ),
    "a number": ({"hosting": 2.6}, 'framework.hosting: is the number 2.6; quote it, as "2.6"'),
    "a version without a framework": (
        {"hosting": {"version": "2.6.0"}},
        'framework.hosting: names no framework; write hosting: {name: pytorch, version: "2.6.0"}, or the version',
    ),
    "a framework without a version": ({"hosting": {"name": "pytorch"}}, "framework.hosting.version: is required"),
    "an unknown key": ({"hosting": {**PYTORCH, "image": "x"}}, "framework.hosting.image: unknown key; known: name,"),
    "an unknown framework": (
        {"hosting": {**PYTORCH, "name": "pytorh"}},
        "framework.hosting.name: is 'pytorh'; it must be 'sklearn', 'xgboost' or 'pytorch'; did you mean pytorch?",
    ),
    "Debugger's rules": (
        {"rules_service": "sagemaker", "rules": [{"rule": "LossNotDecreasing"}]},
        "framework.name: is tensorflow, whose images with Keras 3 have no hook of SageMaker Debugger's; write",
    ),
    "torchrun": (
        {"train": {"instance": "ml.m5.large", "distribution": "torchrun"}},
        "train.distribution: is torchrun, which SageMaker's PyTorch containers start, but framework is tensorflow",
    ),
    "trials without a model_dir": (
        {"train": METRICS, "tune": TUNE},
        "train.hyperparameters: are without model_dir, of which TensorFlow's container then hands each trial's script",
    ),
    "a model_dir in S3": (
        {"train": {"instance": "ml.m5.large", "hyperparameters": {"model_dir": "s3://mine/here"}}},
        "train.hyperparameters.model_dir: is 's3://mine/here', of whose bucket TensorFlow's container asks the region",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_t_be_is_refused(tmp_path: Path, what: str) -> None:
    changes, message = REFUSED[what]
    with pytest.raises(SpecError) as refused:
        tensorflow(tmp_path, **changes)
    assert f": {message}" in str(refused.value)


def test_a_container_of_a_chain_may_have_an_image_of_its_own_and_hosting_may_not(tmp_path: Path) -> None:
    for name in ("features.py", "labels.py"):
        (tmp_path / name).touch()
    one = {"name": "tensorflow", "version": "2.21.0"}
    chain = [{"entry": "features.py"}, {"entry": "labels.py", "framework": one}]
    with pytest.raises(SpecError, match=r"are sklearn, xgboost, pytorch, or name an image of your own with image:$"):
        tensorflow(tmp_path, deploy={"instance": "ml.m5.large", "chain": chain})
    with pytest.raises(SpecError, match=r"frameworks that serve are sklearn, xgboost, pytorch$"):
        tensorflow(tmp_path, hosting=one)


NO_IMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "of this version": (
        {"version": "2.17.0"},
        "framework.version: tensorflow 2.17.0 has no training image; versions with one are 2.16.2, 2.18.0, 2.19.0, ",
    ),
    "that serves": (
        {"hosting": {"name": "pytorch", "version": "2.10.0"}},
        "framework.hosting.version: pytorch 2.10.0 has no inference image; versions with one are 2.0.0, ",
    ),
    "with such a Python": (
        {"hosting": {"name": "xgboost", "version": "1.3-1"}},
        "framework.hosting.version: xgboost 1.3-1 has Python 3.7, and what Ratchet brings into a job needs 3.8",
    ),
    "for such a machine": (
        {"evaluate": {"instance": "ml.m7g.large"}},
        "evaluate.instance: ml.m7g.large is a machine for arm64 images; pytorch's are for cpu, gpu",
    ),
}


@pytest.mark.parametrize("what", NO_IMAGE)
def test_where_there_is_no_image_it_is_said(tmp_path: Path, what: str) -> None:
    changes, message = NO_IMAGE[what]
    with pytest.raises(SpecError) as refused:
        images.images(tensorflow(tmp_path, **changes), "us-east-1")
    assert f": {message}" in str(refused.value)


def test_trials_with_a_model_dir_are_taken(tmp_path: Path) -> None:
    train = {**METRICS, "hyperparameters": {"model_dir": "/opt/ml/model"}}
    assert tensorflow(tmp_path, train=train, tune=TUNE).tune is not None


def test_several_hosts_are_told_how(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import keras\n")
    with pytest.raises(SpecError, match=r"make TF_CONFIG of SM_HOSTS, which MultiWorkerMirroredStrategy reads"):
        tensorflow(tmp_path, train={"instance": "ml.m5.large", "instance_count": 2})
    (tmp_path / "train.py").write_text("import os\nhosts = os.environ['SM_HOSTS']\n")
    assert tensorflow(tmp_path, train={"instance": "ml.m5.large", "instance_count": 2}).train.instance_count == 2
