"""Debugger's members of CreateTrainingJob: refusals, and the documents of hook and rules."""

import re
from pathlib import Path
from typing import Any

import pytest
from test_sagemaker_job_requests import TRAINING

from localaws.sagemaker.containers import image_table
from localaws.sagemaker.containers.image_table import ImageNotFoundError
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.debugger import debugger_request
from localaws.sagemaker.jobs import training_request

IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
HOOK = {"S3OutputPath": "s3://b/debug/"}
JOB_NAME = re.compile("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def rule(name: str = "LossNotDecreasing", **changes: Any) -> dict[str, Any]:
    return {"RuleConfigurationName": name, "RuleEvaluatorImage": IMAGE, **changes}


def debugged(*rules: dict[str, Any], **hook: Any) -> dict[str, Any]:
    return {**TRAINING, "DebugHookConfig": {**HOOK, **hook}, "DebugRuleConfigurations": list(rules)}


def described(*rules: dict[str, Any]) -> dict[str, Any]:
    return training_request.description(debugged(*rules), "arn:aws:sagemaker:us-east-1:000000000000:training-job/d")


def a_rule_job(status: str, **members: Any) -> dict[str, Any]:
    return {"ProcessingJobArn": "arn:1", "ProcessingJobStatus": status, **members}


def test_a_hook_with_and_without_rules_passes() -> None:
    training_request.check(debugged())
    training_request.check(debugged(rule("a"), rule("b"), LocalPath="/opt/ml/tensors/"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (debugged(LocalPath="/tmp/tensors"), "not supported here: DebugHookConfig.LocalPath outside /opt/ml"),
        (debugged(LocalPath="/opt/ml/../x"), "not supported here: DebugHookConfig.LocalPath outside /opt/ml"),
        (debugged(S3OutputPath="https://example.com/x"), "DebugHookConfig.S3OutputPath is not an S3"),
        ({**TRAINING, "DebugRuleConfigurations": [rule()]}, "DebugHookConfig is required"),
        (debugged(rule(), rule()), "RuleConfigurationName must be unique within a training job: LossNotDecreasing"),
        (debugged(rule(LocalPath="/opt/ml/x")), "not supported here: DebugRuleConfigurations[0].LocalPath"),
        (
            debugged(rule("a"), rule("b", S3OutputPath="s3://b/rules")),
            "not supported here: DebugRuleConfigurations[1].S3OutputPath",
        ),
        (
            {
                **debugged(rule()),
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            },
            "not supported here: DebugRuleConfigurations with EnableManagedSpotTraining",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(SageMakerError) as caught:
        training_request.check(request_)
    assert caught.value.code == "ValidationException"
    assert caught.value.message.startswith(said)


@pytest.mark.fidelity(
    "Debugger",
    "LocalPath is /opt/ml/output/tensors unless given.",
    "SageMaker API, DebugHookConfig: LocalPath",
)
def test_the_container_reads_the_hooks_configuration_with_its_own_path() -> None:
    hook = {"HookParameters": {"save_interval": "10"}, "CollectionConfigurations": [{"CollectionName": "losses"}]}
    written = debugger_request.hook_configuration(debugged(**hook), Path("/opt/ml"))
    assert written == {**HOOK, **hook, "LocalPath": "/opt/ml/output/tensors"}
    elsewhere = debugger_request.hook_configuration(debugged(LocalPath="/opt/ml/t"), Path("/state/ml"))
    assert elsewhere["LocalPath"] == "/state/ml/t"


@pytest.mark.parametrize("name", ["LossNotDecreasing", "a rule: of (mine)", "x" * 256, "--", "é"])
def test_a_rule_jobs_name_is_one_that_aws_allows(name: str) -> None:
    made = debugger_request.rule_job_name("digits-" + "9" * 56, name, "0123abcd")
    assert JOB_NAME.fullmatch(made)
    assert len(made) <= 63
    assert made.startswith("digits-")
    assert made.endswith("-0123abcd")


@pytest.mark.fidelity(
    "Debugger",
    "A rule's job has the rule's image, its parameters as Environment, and the training job's role and tensors.",
    "SageMaker API, DebugRuleConfiguration",
)
def test_a_rules_job_describes_what_it_evaluates() -> None:
    parameters = {"rule_to_invoke": "LossNotDecreasing", "num_steps": "10"}
    training = described(rule(RuleParameters=parameters))
    job = debugger_request.rule_job(training, training["DebugRuleConfigurations"][0], "name", "arn:name")
    assert job["AppSpecification"] == {"ImageUri": IMAGE}
    assert job["Environment"] == parameters
    assert job["TrainingJobArn"] == training["TrainingJobArn"]
    assert job["RoleArn"] == TRAINING["RoleArn"]
    assert job["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://b/debug/digits-1/debug-output/"
    assert job["ProcessingResources"]["ClusterConfig"] == {
        "InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 10
    }  # fmt: skip
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 86_400 + 300


def test_a_rule_may_say_what_it_runs_on() -> None:
    training = described(rule(InstanceType="ml.c5.xlarge", VolumeSizeInGB=0))
    job = debugger_request.rule_job(training, training["DebugRuleConfigurations"][0], "name", "arn:name")
    cluster = job["ProcessingResources"]["ClusterConfig"]
    assert (cluster["InstanceType"], cluster["VolumeSizeInGB"]) == ("ml.c5.xlarge", 10)


@pytest.mark.fidelity(
    "Debugger",
    "A rule's verdict is known by how its processing job ends and by its exit message.",
    "SageMaker API, DebugRuleEvaluationStatus; sagemaker-python-sdk's documentation, Debugger",
)
@pytest.mark.parametrize(
    ("rule_job", "status", "details"),
    [
        (a_rule_job("Stopping"), "Stopping", None),
        (a_rule_job("Stopped"), "Stopped", None),
        (a_rule_job("Completed"), "NoIssuesFound", None),
        (a_rule_job("Completed", ExitMessage="looked at 7 steps"), "NoIssuesFound", "looked at 7 steps"),
        (a_rule_job("Completed", ExitMessage="RuleEvaluationConditionMet: x"), "IssuesFound",
         "RuleEvaluationConditionMet: x"),
        (a_rule_job("Failed", ExitMessage="no losses", FailureReason="AlgorithmError"), "Error", "no losses"),
        (a_rule_job("Failed", FailureReason="AlgorithmError: ValueError"), "Error", "AlgorithmError: ValueError"),
    ],
)  # fmt: skip
def test_the_end_of_a_rules_job_is_its_verdict(rule_job: dict[str, Any], status: str, details: str | None) -> None:
    before = debugger_request.with_evaluations(described(rule("a"), rule("b")), [("a", "arn:1"), ("b", "arn:2")], 10.0)
    after = debugger_request.with_evaluation(before, rule_job, 20.0)
    assert after is not None
    first, second = after["DebugRuleEvaluationStatuses"]
    assert (first["RuleEvaluationStatus"], first.get("StatusDetails")) == (status, details)
    assert (first["LastModifiedTime"], second["LastModifiedTime"], after["LastModifiedTime"]) == (20.0, 10.0, 20.0)
    assert second["RuleEvaluationStatus"] == "InProgress"


def test_nothing_new_changes_nothing() -> None:
    before = debugger_request.with_evaluations(described(rule("a")), [("a", "arn:1")], 10.0)
    assert debugger_request.with_evaluation(before, a_rule_job("InProgress"), 20.0) is None
    ended = debugger_request.with_evaluation(before, a_rule_job("Completed"), 20.0)
    assert ended is not None
    assert debugger_request.with_evaluation(ended, a_rule_job("Completed"), 30.0) is None
    assert debugger_request.with_evaluation(described(), a_rule_job("Completed"), 30.0) is None


def test_jobs_under_way_are_those_without_a_verdict() -> None:
    named = [("a", "arn:aws:sagemaker:us-east-1:0:processing-job/a-1"), ("b", "arn:processing-job/b-1")]
    before = debugger_request.with_evaluations(described(rule("a"), rule("b")), named, 10.0)
    assert debugger_request.jobs_under_way(before) == ["a-1", "b-1"]
    ended = debugger_request.with_evaluation(before, a_rule_job("Stopped") | {"ProcessingJobArn": named[0][1]}, 20.0)
    assert ended is not None
    assert debugger_request.jobs_under_way(ended) == ["b-1"]
    assert debugger_request.jobs_under_way(described()) == []


def test_the_evaluators_image_is_in_the_table_and_the_custom_one_is_not() -> None:
    assert image_table.find(IMAGE).environment.startswith("scikit-learn")
    assert image_table.find(IMAGE).notes == ()
    assert image_table.repository(IMAGE) == debugger_request.EVALUATOR_REPOSITORY
    with pytest.raises(ImageNotFoundError):
        image_table.find(IMAGE.replace("debugger-rules", "debugger-rule-evaluator"))
