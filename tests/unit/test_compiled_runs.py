"""A run that compiles its model: the real state machine, interpreted; each request is checked by botocore's model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from run_world import (
    CHAMPION,
    MODEL_DATA,
    PLAN,
    RUN_ID,
    Ran,
    World,
    arns,
    definition,
    make_spec,
    run,
    surroundings,
)

from contract import names
from infra.compiling_images import check_compiling
from infra.grants import Grant
from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from ratchet.spec import PipelineSpec, SpecError
from ratchet.spec.environments import Vpc

DEPLOY = {"instance": "ml.t2.medium", "compile": {"target": "onnx"}}
COMPILED = f"s3://artifacts/runs/digits-forest/{RUN_ID}/compiled/model.tar.gz"
SAID = "compiled to onnx, float32: 200 of 200 held-out examples are answered as by the original; 1 MB became 0.5 MB"
JOB = f"local-digits-forest-{RUN_ID}-compile"


def compiles(**ends: Any) -> World:
    """A world in which compile jobs end so, and others well."""

    def job(arguments: Any) -> Any:
        name = arguments["ProcessingJobName"]
        mine = {"ExitMessage": SAID, **ends} if name == JOB else {}
        return {"ProcessingJobName": name, "ProcessingJobStatus": "Completed", **mine}

    return World(
        plan={**PLAN, "champion": CHAMPION}, on=CHAMPION["endpoint_config_name"], answers={"createProcessingJob": job}
    )


def ran(folder: Path, world: World | None = None, **spec: Any) -> Ran:
    return run(make_spec(folder, **{"deploy": DEPLOY, **spec}), world or compiles())


def jobs(found: Ran) -> dict[str, Any]:
    return {asked["ProcessingJobName"].rpartition("-")[2]: asked for asked in found.called("createProcessingJob")}


def inputs(asked: Any) -> dict[str, str]:
    return {one["InputName"]: one["S3Input"]["S3Uri"] for one in asked["ProcessingInputs"]}


def test_what_is_judged_registered_and_deployed_is_the_compiled_model(tmp_path: Path) -> None:
    found = ran(tmp_path)
    assert found.error is None and found.recorded["outcome"] == "Promoted"
    asked = jobs(found)
    assert list(asked) == ["compile", "evaluate"]
    assert inputs(asked["compile"])["trained"] == MODEL_DATA
    assert inputs(asked["evaluate"])["challenger"] == COMPILED
    (package,), (model,) = found.called("createModelPackage"), found.called("createModel")
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == COMPILED
    assert model["PrimaryContainer"]["ModelDataUrl"] == COMPILED
    candidate = found.recorded["candidate"]
    assert (candidate["model_data"], candidate["trained_model_data"]) == (COMPILED, MODEL_DATA)
    assert found.recorded["compiling"]["said"] == SAID
    assert found.recorded["jobs"]["Compile"] == JOB


def test_the_runs_folder_is_open_to_each_job_while_it_works_and_closed_before_the_model_is_judged(
    tmp_path: Path,
) -> None:
    tags = [(asked["RoleName"], asked["Tags"][0]["Value"]) for asked in ran(tmp_path).called("tagRole")]
    assert tags == [
        ("Training", RUN_ID),
        ("Training", names.NO_RUN),
        ("Compiling", RUN_ID),
        ("Compiling", names.NO_RUN),
        ("Processing", RUN_ID),
    ]


def test_the_job_is_an_evaluations_but_for_what_it_does(tmp_path: Path) -> None:
    asked = jobs(ran(tmp_path, evaluate={"label": 3}))
    compiling, judging = asked["compile"], asked["evaluate"]
    same = ("ProcessingResources", "StoppingCondition")
    assert {name: compiling[name] for name in same} == {name: judging[name] for name in same}
    *around, script = compiling["AppSpecification"]["ContainerEntrypoint"]
    *others, other = judging["AppSpecification"]["ContainerEntrypoint"]
    assert around == others and "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in around
    assert script == other.replace("evaluate.py", "compiler.py") != other
    assert compiling["AppSpecification"]["ContainerArguments"] == ["--tolerance", "0.005", "--int8", "--label", "3"]
    uri = compiling["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert uri == f"s3://artifacts/runs/digits-forest/{RUN_ID}/compiled"


def test_how_far_answers_may_differ_and_in_what_precision_the_spec_says(tmp_path: Path) -> None:
    deploy = {**DEPLOY, "compile": {"target": "onnx", "tolerance": 0.02, "int8": False}}
    told = jobs(ran(tmp_path, deploy=deploy))["compile"]["AppSpecification"]["ContainerArguments"]
    assert told[:3] == ["--tolerance", "0.02", "--label"]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_model_that_cannot_be_compiled_leaves_the_champion(tmp_path: Path, status: str) -> None:
    sentence = "the compiled model answers 9 of 200 held-out examples otherwise than the original"
    found = ran(tmp_path, compiles(ProcessingJobStatus=status, ExitMessage=sentence))
    assert found.error is not None and found.recorded["outcome"] is None
    failure = found.recorded["failure"]
    assert failure["state"] == "Compile" and sentence in failure["cause"]
    assert not found.called("createModelPackage") and not found.called("updateEndpoint")
    assert list(jobs(found)) == ["compile"]


def test_the_job_may_read_the_trained_models_and_the_held_out_data_and_write_its_own_folder(tmp_path: Path) -> None:
    machine = run_machine(surroundings(make_spec(tmp_path, deploy=DEPLOY)))
    (role,) = [role for role in machine.roles if role.name == "Compiling"]
    assert resources(role.grants, "s3:GetObject") == {
        "data/digits/test/*",
        "artifacts/runs/digits-forest/????????-??????-????/train/*",
        "artifacts/runs/digits-forest/????????-??????-????/manifests/test.manifest",
        "artifacts/code/digits-forest/*",
    }
    written = "artifacts/runs/digits-forest/${aws:PrincipalTag/ratchet-run}/compiled/*"
    assert resources(role.grants, "s3:PutObject") == {written}
    assert not any(action.startswith(("sagemaker:", "iam:")) for grant in role.grants for action in grant.actions)
    made = resources(machine.grants, "sagemaker:CreateProcessingJob")
    assert made == {
        f"processing-job/local-digits-forest-????????-??????-????-{step}" for step in ("compile", "evaluate")
    }


def _short(arn: str) -> str:
    return re.sub(r"^arn:aws:[a-z0-9]+:(us-east-1)?:(000000000000)?:", "", arn)


def resources(grants: Any, action: str) -> set[str]:
    chosen: list[Grant] = [grant for grant in grants if action in grant.actions]
    return {_short(resource) for grant in chosen for resource in grant.resources}


def test_aws_takes_the_definition(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path, deploy=DEPLOY), vpc=Vpc(subnets=("subnet-1",), security_groups=("sg-1",)))
    machine = run_machine(at)
    assert set(arns(machine)) >= {"compiling_role_arn", "compiling_role_name"}
    text = json.dumps(definition(at.spec, vpc=at.vpc))
    assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


def test_compiling_makes_another_model_and_without_it_the_hash_is_what_it_was(tmp_path: Path) -> None:
    plain = spec_hash(make_spec(tmp_path))
    one = spec_hash(make_spec(tmp_path, deploy=DEPLOY))
    other = spec_hash(make_spec(tmp_path, deploy={**DEPLOY, "compile": {"target": "onnx", "int8": False}}))
    assert len({plain, one, other}) == 3
    assert plain == spec_hash(make_spec(tmp_path, deploy={"instance": "ml.t2.medium"}))


# ------------------------------------------------------------------------------------------------ images and machines


REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TRAINS = f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"


def compiling(folder: Path, **deploy: Any) -> PipelineSpec:
    return make_spec(folder, deploy={**DEPLOY, **deploy})


@pytest.mark.parametrize(
    ("deploy", "evaluating", "hosting", "sentence"),
    [
        (
            {},
            f"{REGISTRY}/pytorch-training:2.2.0-cpu-py310-ubuntu20.04-sagemaker",
            f"{REGISTRY}/pytorch-inference:2.2.0-cpu-py310-ubuntu20.04-sagemaker",
            "deploy.compile: needs an image with Python 3.11 or newer, and this one has 3.10",
        ),
        (
            {},
            TRAINS,
            f"{REGISTRY}/pytorch-inference:2.4.0-cpu-py311-ubuntu22.04-sagemaker",
            "which has another Python; name another version",
        ),
        ({"instance": "ml.g5.xlarge"}, TRAINS, TRAINS, "and ml.g5.xlarge is a machine for gpu images"),
        ({"instance": "ml.m7g.large"}, TRAINS, TRAINS, "and ml.m7g.large is a machine for arm64 images"),
    ],
    ids=["old Python", "two Pythons", "a GPU", "Graviton"],
)
def test_where_what_was_compiled_would_not_run_is_refused(
    tmp_path: Path, deploy: dict[str, Any], evaluating: str, hosting: str, sentence: str
) -> None:
    with pytest.raises(SpecError) as refused:
        check_compiling(compiling(tmp_path, **deploy), evaluating, hosting)
    assert sentence in str(refused.value)


def test_of_an_image_that_does_not_say_its_python_the_job_finds_out(tmp_path: Path) -> None:
    plain = f"{REGISTRY}/sagemaker-scikit-learn:1.9-0-cpu-py3"
    check_compiling(compiling(tmp_path), plain, plain)
    check_compiling(compiling(tmp_path), TRAINS, TRAINS)
    check_compiling(make_spec(tmp_path, deploy={"instance": "ml.g5.xlarge"}), TRAINS, TRAINS)
