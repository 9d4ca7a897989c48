"""Containers of one's own: what pipeline.yaml can't ask of them, and the requests that are made for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import run_world
from run_world import RUN_ID, definition, make_spec

from infra import images
from infra.own_images import check_own_image, warnings
from infra.workflow.hosting import script_mode
from ratchet import training_job
from ratchet.spec import PipelineSpec, SpecError
from ratchet.spec.image import REPOSITORIES
from ratchet.spec.source_package import package_of

OWN = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/fit:1.0"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312"
AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TOOLKIT = Path(__file__).parents[2] / "training_code" / "toolkit"
TRAIN = run_world.SPEC["train"]


def own(folder: Path, **changes: Any) -> PipelineSpec:
    """A pipeline with a Dockerfile of its own, in a folder without any script of Ratchet's."""
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY main /main\nENTRYPOINT ["/main"]\n')
    (folder / "main").write_text("a program")
    return make_spec(folder, framework=None, dockerfile="Dockerfile", **changes)


def test_which_image_is_one_s_own(tmp_path: Path) -> None:
    assert own(tmp_path).is_own_container
    assert make_spec(tmp_path, framework=None, image=OWN).is_own_container
    assert not make_spec(tmp_path).is_own_container
    assert not make_spec(tmp_path, framework=None, image=SKLEARN).is_own_container
    (tmp_path / "Dockerfile").write_text(f"FROM {SKLEARN}\nRUN pip install lightgbm\n")
    assert not make_spec(tmp_path, framework=None, dockerfile="Dockerfile").is_own_container


def test_the_frameworks_repositories_are_those_of_the_table() -> None:
    assert {repository for repository in REPOSITORIES if images.framework_accounts(repository)} == REPOSITORIES
    assert images.framework_accounts("team/fit") == {}


RUNS_NOTHING = ", and the image is your own, in which nothing of Ratchet's runs; leave it out"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "probe": (
        {"probe": {"collections": {"losses": {"include": ["loss"]}}}},
        f"probe: is what Ratchet's probe saves beside your training{RUNS_NOTHING}",
    ),
    "a rule": (
        {"rules": [{"rule": "Overfit"}]},
        f"rules[0]: is judged by Ratchet's toolkit beside your training{RUNS_NOTHING}",
    ),
    "a rule of SageMaker Debugger's": (
        {"rules": [{"rule": "VanishingGradient"}], "rules_service": "sagemaker"},
        f"rules_service: is sagemaker, whose hook runs in SageMaker's framework containers{RUNS_NOTHING}",
    ),
    "what follows a rule": (
        {"rules_then": "evaluate"},
        f"rules_then: is what becomes of a training that a rule has stopped{RUNS_NOTHING}",
    ),
    "threshold": (
        {"serving": {"threshold": 0.8}},
        f"serving.threshold: is compared with each answer's confidence by Ratchet's toolkit{RUNS_NOTHING}",
    ),
    "requests together": (
        {"deploy": {"instance": "ml.m5.large", "batch": {"max": 8}}},
        f"deploy.batch: is done by Ratchet's toolkit in the container that serves{RUNS_NOTHING}",
    ),
    "chain": (
        {"deploy": {"instance": "ml.m5.large", "chain": [{"entry": "one.py"}, {"entry": "two.py"}]}},
        f"deploy.chain: names scripts that SageMaker's framework containers run{RUNS_NOTHING}",
    ),
    "spot": (
        {"train": {**TRAIN, "spot": {"max_wait": "2h"}}},
        "train.spot: needs an image that checkpoints, and nothing in {folder} names /opt/ml/checkpoints: an "
        "interruption would train all anew; write there what a new start goes on from (docs/spot.md), or leave spot "
        "out",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_takes_ratchets_toolkit_is_refused_by_name(tmp_path: Path, what: str) -> None:
    changes, message = REFUSED[what]
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("def model_fn(model_dir): ...\n")
    with pytest.raises(SpecError) as refused:
        own(tmp_path, **changes)
    (problem,) = refused.value.problems
    assert f"{problem.field}: {problem.message}" == message.replace("{folder}", str(tmp_path))
    assert problem.line > 1, "its own"


IMAGES: dict[str, tuple[str, str]] = {
    "docker hub": (
        "team/fit:1.0",
        "is 'team/fit:1.0', which isn't in Amazon ECR: SageMaker takes images of other registries in a VPC alone, "
        "which is not supported yet; push it to ECR, or build FROM it with dockerfile:",
    ),
    "public ECR": ("public.ecr.aws/team/fit:1.0", "is 'public.ecr.aws/team/fit:1.0', which isn't in Amazon ECR: "),
    "another region": (
        OWN.replace("us-east-1", "eu-west-1"),
        "is in eu-west-1, and SageMaker takes it in us-east-1 alone; push it there, too",
    ),
    "a framework's of another region": (
        SKLEARN.replace("us-east-1", "us-west-2"),
        "is in us-west-2, and SageMaker takes it in us-east-1 alone; push it there, too",
    ),
    "one that doesn't serve": (
        f"{AWS}/pytorch-training:2.6.0-cpu-py312",
        "is AWS's pytorch-training, which trains and can't serve, and a pipeline's image is to do both; write "
        'framework: {name: pytorch, version: "2.6.0"}, which has an image for each',
    ),
    "one of TensorFlow's": (
        f"{AWS}/tensorflow-training:2.21.0-cpu-py312",
        "is AWS's tensorflow-training, which trains and can't serve, and a pipeline's image is to do both; write "
        'framework: {name: tensorflow, version: "2.21.0", hosting: {name: pytorch, version: "2.6.0"}}, which has an',
    ),
    "one that doesn't train": (f"{AWS}/pytorch-inference:2.6.0-cpu-py312", "is AWS's pytorch-inference, which serves"),
}


@pytest.mark.fidelity(
    "Models",
    "A model's image in ECR, its artifacts and the endpoint are in one region.",
    "API reference, ContainerDefinition, Image and ModelDataUrl (botocore's model of SageMaker)",
)
@pytest.mark.parametrize("what", IMAGES)
def test_an_image_that_sagemaker_can_t_have_is_refused(tmp_path: Path, what: str) -> None:
    image, message = IMAGES[what]
    with pytest.raises(SpecError) as refused:
        check_own_image(make_spec(tmp_path, framework=None, image=image), "us-east-1")
    (problem,) = refused.value.problems
    assert problem.field == "image"
    assert problem.message.startswith(message)


def test_an_image_of_one_s_own_may_begin_with_one_that_does_half(tmp_path: Path) -> None:
    """Its Dockerfile may add the other half, so it is only warned of."""
    check_own_image(make_spec(tmp_path, framework=None, image=OWN.replace("team/fit", "pytorch-training")), "us-east-1")
    text = f"FROM {SKLEARN} AS tools\nFROM {AWS}/pytorch-training:2.6.0-cpu-py312 AS base\nFROM base\nRUN make serve\n"
    (tmp_path / "Dockerfile").write_text(text)
    spec = make_spec(tmp_path, framework=None, dockerfile="Dockerfile")
    check_own_image(spec, "us-east-1")
    (warning,) = warnings(spec)
    assert warning.startswith(f"{tmp_path / 'Dockerfile'}:2: FROM pytorch-training, which trains and can't serve, ")
    (tmp_path / "Dockerfile").write_text(f"FROM {SKLEARN}\n")
    assert not list(warnings(spec))


def test_a_machine_that_can_t_run_what_codebuild_builds_is_refused(tmp_path: Path) -> None:
    spec = own(tmp_path, deploy={"instance": ["ml.c5.large", "ml.c7g.large"]})
    with pytest.raises(
        SpecError, match=r"deploy.instance: ml.c7g.large is a machine for arm64 images, and a dockerfile's"
    ):
        check_own_image(spec, "us-east-1")


def test_spot_for_an_image_that_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "fit.rs").write_text('let kept = Path::new("/opt/ml/checkpoints");')
    spot = {**TRAIN, "spot": {"max_wait": "2h"}}
    assert not list(warnings(own(tmp_path, train=spot)))
    (warning,) = warnings(make_spec(tmp_path, framework=None, image=OWN, train=spot))
    assert "train.spot: nobody has looked whether the image goes on from /opt/ml/checkpoints" in warning
    (tmp_path / ".dockerignore").write_text("fit.rs")
    with pytest.raises(SpecError, match=r"train.spot: needs an image that checkpoints"):
        own(tmp_path, train=spot)


# ------------------------------------------------------------------------------------------------------------ requests


def test_the_training_job_has_the_hyperparameters_that_are_said_and_no_others(tmp_path: Path) -> None:
    for spec in (own(tmp_path), make_spec(tmp_path, framework=None, image=OWN)):
        asked = run_world.run(spec, run_world.World()).called("createTrainingJob")[0]
        assert asked["HyperParameters"] == {"n-estimators": "100"}
        algorithm = asked["AlgorithmSpecification"]
        assert algorithm["MetricDefinitions"] == [{"Name": "f1", "Regex": "f1: ([0-9.]+)"}]
        assert not {"ContainerEntrypoint", "ContainerArguments"} & set(algorithm), "it starts as it says itself"
        assert set(asked["Environment"]) == {"RATCHET_ENVIRONMENT", "RATCHET_PIPELINE", "RATCHET_RUN_ID"}
        assert [each["ChannelName"] for each in asked["InputDataConfig"]] == ["extra-1", "train"]


def test_a_tuning_job_varies_what_is_tuned_and_adds_nothing(tmp_path: Path) -> None:
    ranges = {"depth": {"integer": [1, 9]}}
    tune = {"objective": {"maximize": "f1"}, "max_jobs": 2, "parallel": 1, "ranges": ranges}
    asked = definition(own(tmp_path, tune=tune))["States"]["Tune"]["Arguments"]["TrainingJobDefinition"]
    assert asked["StaticHyperParameters"] == {"n-estimators": "100"}
    assert asked["AlgorithmSpecification"]["MetricDefinitions"] == [{"Name": "f1", "Regex": "f1: ([0-9.]+)"}]


def test_a_checkpointing_image_has_its_folder_in_s3(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("/opt/ml/checkpoints")
    spec = own(tmp_path, train={**TRAIN, "spot": {"max_wait": "2h"}})
    asked = run_world.run(spec, run_world.World()).called("createTrainingJob")[0]
    assert asked["EnableManagedSpotTraining"] is True
    assert asked["CheckpointConfig"]["S3Uri"].endswith(f"/{RUN_ID}/train/checkpoints")


def test_the_model_is_told_nothing_of_scripts(tmp_path: Path) -> None:
    (model,) = run_world.run(own(tmp_path), run_world.World()).called("createModel")
    assert not [name for name in model["PrimaryContainer"]["Environment"] if name.startswith(("SAGEMAKER_", "PIP_"))]
    assert script_mode(run_world.surroundings(make_spec(tmp_path)))["SAGEMAKER_PROGRAM"] == "serve.py"


def test_ratchet_train_asks_the_same(tmp_path: Path) -> None:
    spec = own(tmp_path)
    machine = json.dumps(definition(spec))
    asked = training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code="s3://artifacts/code")
    assert asked["HyperParameters"] == {"n-estimators": "100"}


def test_an_image_s_code_is_all_that_it_is_built_from(tmp_path: Path) -> None:
    spec = own(tmp_path)
    (tmp_path / "scores.py").write_text("def f2(truths, answers): ...\n")
    before = package_of(spec, TOOLKIT)
    names = [name for name, _ in before.files if not name.startswith(("toolkit/", "contract/"))]
    assert names == ["scores.py"], "modules, of which one may be a metric; no train.py or serve.py is asked for"
    (tmp_path / "main").write_text("another program")
    after = package_of(spec, TOOLKIT)
    assert after.archive() == before.archive()
    assert after.code_hash != before.code_hash
    (tmp_path / "README.md").write_text("prose")
    assert package_of(spec, TOOLKIT).code_hash == after.code_hash
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY main /main\nENTRYPOINT ["/main", "-v"]\n')
    assert package_of(spec, TOOLKIT).code_hash != after.code_hash
