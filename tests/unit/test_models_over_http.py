"""Models of an image of one's own: asked over HTTP in transform jobs, judged in scikit-learn's image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_world import CHAMPION, MANIFESTS, MODEL_DATA, PLAN, RUN_ID, SHARED, SPEC, Ran, World, make_spec, refused, run

from infra import over_http
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import Image
from localaws.states.errors import StatesError
from ratchet import spec as specs
from ratchet.spec.over_http import answering_instance

from run_world import surroundings  # isort: skip

JUDGE = Image("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3")
OWN = Image(
    "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/own@sha256:" + "0" * 64,
    "arn:aws:ecr:us-east-1:000000000000:repository/team/own",
)
RUN = f"s3://artifacts/runs/digits-forest/{RUN_ID}"
ASKED = {"content_type": "text/csv", "parts": 1, "rows": 5}
WITH_CHAMPION = {**PLAN, "champion": CHAMPION}


def transformed(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"TransformJobName": arguments["TransformJobName"], "TransformJobStatus": "Completed"}


def failed(status: str = "Failed", reason: str = "AlgorithmError: See job logs for more information") -> StatesError:
    described = {"TransformJobName": "x", "TransformJobStatus": status, "FailureReason": reason}
    return StatesError("States.TaskFailed", json.dumps(described))


def ran(tmp_path: Path, plan: dict[str, Any] = PLAN, **answers: Any) -> Ran:
    scripted = {"asker": {"Payload": ASKED}, "createTransformJob": transformed, "deleteModel": {}, **answers}
    changes = {"image": OWN, "hosting_image": OWN, "judging_image": JUDGE}
    return run(make_spec(tmp_path), World(plan=plan, answers=scripted), **changes)


def jobs(found: Ran) -> dict[str, Any]:
    return {request["TransformJobName"].rpartition("-")[2]: request for request in found.called("createTransformJob")}


# ------------------------------------------------------------------------------------------------------------ requests


def test_both_models_are_asked_and_then_judged(tmp_path: Path) -> None:
    found = ran(tmp_path, WITH_CHAMPION)
    assert found.error is None
    assert found.recorded["failure"] is None
    asked = found.called("asker")[0]["Payload"]
    assert (asked["manifest"], asked["held_out"]["label"]) == (MANIFESTS["test"], 0)
    story = ["Plan", "AskModels", "Train", "ModelsAnswer", "Evaluate"]
    assert sorted(story, key=found.states.index) == story, "what can't be asked is found before anything is trained"
    assert "HearModels" not in found.states, "nothing to hear of models that have answered"
    assert jobs(found).keys() == {"newcomer", "champion"}


@pytest.mark.parametrize("asked", ["text/csv", "application/jsonlines"])
def test_the_package_says_what_the_model_was_asked_with(tmp_path: Path, asked: str) -> None:
    """Which no field of pipeline.yaml need say: the held-out files' endings do."""
    (package,) = ran(tmp_path, asker={"Payload": {**ASKED, "content_type": asked}}).called("createModelPackage")
    inference = package["InferenceSpecification"]
    assert inference["SupportedContentTypes"] == [asked]
    assert inference["SupportedResponseMIMETypes"] == ["text/csv"]


def test_the_model_that_is_asked(tmp_path: Path) -> None:
    found = ran(tmp_path, WITH_CHAMPION)
    first, second = sorted(found.called("createModel")[:2], key=lambda each: each["PrimaryContainer"]["ModelDataUrl"])
    assert second["PrimaryContainer"].items() >= {"Image": OWN.uri, "ModelDataUrl": MODEL_DATA}.items()
    assert first["PrimaryContainer"]["ModelDataUrl"] == CHAMPION["model_data"]
    assert first["ExecutionRoleArn"] == "arn:aws:iam::000000000000:role/Answering"
    assert first["ModelName"] != second["ModelName"]
    deleted = {each["ModelName"] for each in found.called("deleteModel")}
    assert deleted == {first["ModelName"], second["ModelName"]}


def test_the_transform_job(tmp_path: Path) -> None:
    request = jobs(ran(tmp_path))["newcomer"]
    model = request.pop("ModelName")
    assert model.startswith("local-digits-forest-") and len(model) == len("local-digits-forest-") + 12
    assert [tag["Value"] for tag in request.pop("Tags")] == ["local", "digits-forest", RUN_ID]
    source = {"S3DataType": "S3Prefix", "S3Uri": f"{RUN}/asked/"}
    assert request == {
        "TransformJobName": f"local-digits-forest-{RUN_ID}-newcomer",
        "TransformInput": {
            "DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"{RUN}/answered/challenger", "Accept": "text/csv", "AssembleWith": "Line",
            "KmsKeyId": SHARED.key_arn,
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "MultiRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 3},
    }  # fmt: skip


def test_the_judge_gets_answers_and_no_model(tmp_path: Path) -> None:
    (request,) = ran(tmp_path, WITH_CHAMPION).called("createProcessingJob")
    assert request["AppSpecification"]["ImageUri"] == JUDGE.uri
    assert "--answered" in request["AppSpecification"]["ContainerArguments"]
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"]}
    assert inputs == {
        "code": "s3://artifacts/code/digits-forest/c0de/sourcedir.tar.gz",
        "test": MANIFESTS["test"],
        "asked": f"{RUN}/asked/",
        "challenger": f"{RUN}/answered/challenger/",
        "champion": f"{RUN}/answered/champion/",
    }


def test_of_no_champion_nothing_is_made(tmp_path: Path) -> None:
    found = ran(tmp_path)
    assert jobs(found).keys() == {"newcomer"}
    (request,) = found.called("createProcessingJob")
    assert "champion" not in {each["InputName"] for each in request["ProcessingInputs"]}


def test_plan_is_told_that_files_are_asked_line_by_line(tmp_path: Path) -> None:
    (call,) = ran(tmp_path).called("planner")
    assert call["Payload"]["held_out"]["over_http"] is True


def test_a_frameworks_image_judges_by_itself_as_ever(tmp_path: Path) -> None:
    found = run(make_spec(tmp_path), World())
    assert not found.called("createTransformJob") and "AskModels" not in found.states
    assert "over_http" not in found.called("planner")[0]["Payload"]["held_out"]


# ---------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("whose", ["newcomer", "champion"])
def test_a_job_that_fails_is_heard_and_both_models_are_deleted(tmp_path: Path, whose: str) -> None:
    def answer(arguments: dict[str, Any]) -> Any:
        return failed() if arguments["TransformJobName"].endswith(whose) else transformed(arguments)

    heard = {"failure": {"error": "NoAnswers", "cause": "it said 500"} if whose == "newcomer" else None}
    found = ran(tmp_path, WITH_CHAMPION, createTransformJob=answer, asker=[{"Payload": ASKED}, {"Payload": heard}])
    assert len(found.called("deleteModel")) == 2
    told = found.called("asker")[1]["Payload"]["answered"]
    model = "challenger" if whose == "newcomer" else "champion"
    assert told[model]["job"] == f"local-digits-forest-{RUN_ID}-{whose}"
    assert json.loads(told[model]["wrong"]["cause"])["TransformJobStatus"] == "Failed"
    if whose == "champion":
        assert "Evaluate" in found.states, "the judge is told that the champion can't answer"
    else:
        assert found.recorded["failure"] == {"state": "Evaluate", "error": "NoAnswers", "cause": "it said 500"}
        assert "Evaluate" not in found.states


def test_a_stopped_job_is_heard(tmp_path: Path) -> None:
    stopped = {"TransformJobName": "x", "TransformJobStatus": "Stopped"}
    heard = {"Payload": {"failure": {"error": "JobNotCompleted", "cause": json.dumps(stopped)}}}
    found = ran(tmp_path, createTransformJob=stopped, asker=[{"Payload": ASKED}, heard])
    assert found.called("asker")[1]["Payload"]["answered"]["challenger"]["description"] == stopped
    assert found.recorded["failure"]["cause"] == json.dumps(stopped)


def test_a_model_that_is_there_already_is_asked(tmp_path: Path) -> None:
    """A call whose answer was lost has made it."""
    taken = refused('Cannot create already existing model "arn:x".', "SageMaker.AmazonSageMakerException")
    made = {"ModelArn": "arn"}
    found = ran(tmp_path, createModel=[taken, taken, taken, taken, made, made])
    assert found.recorded["failure"] is None and jobs(found).keys() == {"newcomer"}


def test_a_model_that_cannot_be_made_is_heard(tmp_path: Path) -> None:
    wrong = refused("Could not access model data", "SageMaker.AmazonSageMakerException")
    heard = {"Payload": {"failure": {"error": "x", "cause": "y"}}}
    found = ran(tmp_path, createModel=wrong, asker=[{"Payload": ASKED}, heard])
    assert "Could not access" in found.called("asker")[1]["Payload"]["answered"]["challenger"]["wrong"]["cause"]
    assert not found.called("createTransformJob") and found.recorded["failure"]["error"] == "x"


def test_instances_are_waited_for(tmp_path: Path) -> None:
    busy = StatesError(
        "SageMaker.ResourceLimitExceededException",
        "The account-level service limit 'ml.m5.large for transform job usage' is 2 Instances, with current "
        "utilization of 2 Instances",
    )
    answers = [busy, busy, {"TransformJobName": "x", "TransformJobStatus": "Completed"}]
    found = ran(tmp_path, createTransformJob=answers)
    assert found.states.count("ChallengerWaits") == 2 and found.recorded["failure"] is None


def test_a_quota_of_none_is_not_waited_for(tmp_path: Path) -> None:
    none = StatesError(
        "SageMaker.ResourceLimitExceededException",
        "The account-level service limit 'ml.m5.large for transform job usage' is 0 Instances, with current "
        "utilization of 0 Instances",
    )
    heard = {"Payload": {"failure": {"error": none.error, "cause": none.cause}}}
    found = ran(tmp_path, createTransformJob=none, asker=[{"Payload": ASKED}, heard])
    assert "ChallengerWaits" not in found.states and found.recorded["failure"]["error"] == none.error


# -------------------------------------------------------------------------------------------------------------- grants


def test_the_answering_role_cannot_read_the_held_out_labels(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path), image=OWN, hosting_image=OWN, judging_image=JUDGE)
    machine = run_machine(at)
    (role,) = (role for role in machine.roles if role.name == "Answering")
    reads = {resource for grant in role.grants if "s3:GetObject" in grant.actions for resource in grant.resources}
    run_folder = "arn:aws:s3:::artifacts/runs/digits-forest/????????-??????-????"
    assert reads == {f"{run_folder}/*.tar.gz", f"{run_folder}/asked/*"}
    writes = {resource for grant in role.grants if "s3:PutObject" in grant.actions for resource in grant.resources}
    assert writes == {f"{run_folder}/answered/*"}
    assert [g.resources for g in role.grants if "ecr:BatchGetImage" in g.actions] == [[OWN.repository_arn]]


def test_the_asker_reads_what_it_asks_and_no_model(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path), image=OWN, hosting_image=OWN, judging_image=JUDGE)
    (asker,) = (function for function in run_machine(at).functions if function.folder == "asker")
    reads = {resource for grant in asker.grants if "s3:GetObject" in grant.actions for resource in grant.resources}
    run_folder = "arn:aws:s3:::artifacts/runs/digits-forest/????????-??????-????"
    assert reads == {
        "arn:aws:s3:::data/digits/test/*",
        f"{run_folder}/manifests/test.manifest",
        f"{run_folder}/asked.json",
    }


def test_the_machine_may_make_and_end_what_it_asks(tmp_path: Path) -> None:
    at = surroundings(make_spec(tmp_path), image=OWN, hosting_image=OWN, judging_image=JUDGE)
    granted = {action: grant.resources for grant in run_machine(at).grants for action in grant.actions}
    jobs = [
        f"arn:aws:sagemaker:us-east-1:000000000000:transform-job/local-digits-forest-????????-??????-????-{step}"
        for step in ("newcomer", "champion")
    ]
    assert granted["sagemaker:CreateTransformJob"] == granted["sagemaker:StopTransformJob"] == jobs
    assert granted["sagemaker:DeleteModel"] == [at.model_arns]
    rules = [grant.resources for grant in run_machine(at).grants if "events:PutRule" in grant.actions]
    assert [at.account.arn("events", "rule/StepFunctionsGetEventsForSageMakerTransformJobsRule")] in rules


# ------------------------------------------------------------------------------------------------- refused by the spec


def own(folder: Path, **changes: Any) -> specs.PipelineSpec:
    document = {**SPEC, "image": OWN.uri, **changes}
    del document["framework"]
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document))
    return specs.load(folder / "pipeline.yaml")


def test_whose_image_is_ones_own_is_judged_in_scikit_learns(tmp_path: Path) -> None:
    assert over_http.judging_image(own(tmp_path), "us-east-1") == JUDGE.uri
    assert over_http.judging_image(make_spec(tmp_path), "us-east-1") is None


@pytest.mark.parametrize("format_", ["npz", "images", "parquet", "manifest"])
def test_kinds_that_are_no_lines_are_refused(tmp_path: Path, format_: str) -> None:
    with pytest.raises(specs.SpecError) as refusal:
        own(tmp_path, evaluate={"format": format_})
    assert f"evaluate.format: is {format_}, but the image is your own" in str(refusal.value)
    assert "csv, tsv, jsonlines" in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ml.m5.large"),
        ({"evaluate": {"instance": "ml.g5.xlarge"}}, "ml.g5.xlarge"),
        ({"evaluate": {"instance": ["ml.t3.large", "ml.c5.large"]}}, "ml.c5.large"),
        ({"train": {"instance": "ml.m5.large"}, "evaluate": {"instance": "ml.t3.large"}}, "ml.m5.large"),
    ],
)
def test_models_answer_on_what_transform_jobs_have(tmp_path: Path, changes: Any, expected: str) -> None:
    assert answering_instance(own(tmp_path, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"train": {"instance": "ml.p5.48xlarge"}}, "train.instance"),
        ({"train": {"instance": "ml.t3.large"}, "evaluate": {"instance": "ml.t3.medium"}}, "evaluate.instance"),
    ],
)
def test_models_that_no_transform_job_has_an_instance_for(tmp_path: Path, changes: Any, field: str) -> None:
    with pytest.raises(specs.SpecError, match=f"{field}: leaves none of .* for the transform job"):
        own(tmp_path, **changes)
