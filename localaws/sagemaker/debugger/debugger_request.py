"""SageMaker Debugger in CreateTrainingJob: checks, the hook's configuration, and its rules' documents. Pure.

A rule's evaluation is a processing job (API reference: DebugHookConfig, DebugRuleConfiguration,
DebugRuleEvaluationStatus; developer guide: "Amazon SageMaker Debugger").
"""

from __future__ import annotations

import re
from pathlib import Path

from localaws.sagemaker.containers.channels import locate
from localaws.sagemaker.containers.opt_ml import OPT_ML, located, refuse_outside
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import processing_request

EVALUATOR_REPOSITORY = "sagemaker-debugger-rules"
TENSORS = "processing/input/tensors"  # below /opt/ml: where a rule finds what the hook saves
CONDITION_MET = "RuleEvaluationConditionMet"  # how the message of a rule begins that has found issues
MAX_DETAILS = 1024  # characters of StatusDetails
UNDER_WAY = frozenset({"InProgress", "Stopping"})

_LOCAL_PATH = "/opt/ml/output/tensors"  # DebugHookConfig.LocalPath's default
_INSTANCE_TYPE, _VOLUME_SIZE = "ml.t3.medium", 10  # where a rule says nothing
_NAME_PART = 26  # characters of the training job's name, and of the rule's, in a rule job's
_CONCLUDING = 300  # seconds that a rule job may take beyond its training job's MaxRuntimeInSeconds
_MAX_RUNTIME = 777_600  # seconds (ProcessingStoppingCondition)


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here"."""
    if (path := local_path(request)) is not None:
        locate(request["DebugHookConfig"]["S3OutputPath"], "DebugHookConfig.S3OutputPath")
        refuse_outside(path, "DebugHookConfig.LocalPath")
    names = [rule["RuleConfigurationName"] for rule in rules(request)]
    if names and path is None:
        raise errors.validation("DebugHookConfig is required when DebugRuleConfigurations are given.")
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate:
        raise errors.validation(f"RuleConfigurationName must be unique within a training job: {duplicate}")
    if names and request.get("EnableManagedSpotTraining"):
        raise errors.not_supported(
            "DebugRuleConfigurations with EnableManagedSpotTraining; rules don't follow an interrupted job to its "
            "next instance"
        )


def rules(request: Document) -> list[Document]:
    """The rule configurations, in the request's order."""
    return list(request.get("DebugRuleConfigurations", []))


def local_path(request: Document) -> str | None:
    """Where the training container leaves its tensors, None without DebugHookConfig."""
    config = request.get("DebugHookConfig")
    return None if config is None else str(config.get("LocalPath", _LOCAL_PATH)).rstrip("/")


def tensors_uri(document: Document) -> str:
    """The prefix that a training job's tensors are copied to."""
    return f"{document['DebugHookConfig']['S3OutputPath'].rstrip('/')}/{document['TrainingJobName']}/debug-output"


def hook_configuration(request: Document, base: Path) -> Document:
    """input/config/debughookconfig.json; `base` is where the container sees /opt/ml, and so LocalPath."""
    path = local_path(request) or _LOCAL_PATH
    return {**request["DebugHookConfig"], "LocalPath": str(located(path, base))}


def rule_job_name(training_job: str, rule: str, suffix: str) -> str:
    """A rule job's name, 63 characters at most; `suffix` (8 hexadecimal digits) makes it unique."""
    plain = re.sub(r"[^a-zA-Z0-9]", "-", rule)
    return f"{training_job[:_NAME_PART]}-{plain[:_NAME_PART]}-{suffix}"


def rule_job(training: Document, rule: Document, name: str, arn: str) -> Document:
    """The Describe document of a rule's processing job, but for its status."""
    max_runtime = training["StoppingCondition"]["MaxRuntimeInSeconds"] + _CONCLUDING
    request = {
        "ProcessingJobName": name,
        "RoleArn": training["RoleArn"],
        "AppSpecification": {"ImageUri": rule["RuleEvaluatorImage"]},
        "Environment": rule.get("RuleParameters", {}),
        "ProcessingInputs": [_tensors(training)],
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": rule.get("InstanceType", _INSTANCE_TYPE),
                "VolumeSizeInGB": rule.get("VolumeSizeInGB") or _VOLUME_SIZE,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": min(max_runtime, _MAX_RUNTIME)},
    }
    return {**processing_request.description(request, arn), "TrainingJobArn": training["TrainingJobArn"]}


def with_evaluations(training: Document, rule_jobs: list[tuple[str, str]], now: float) -> Document:
    """The training job's document once its rules are evaluated; `rule_jobs`: a rule's name, its job's ARN."""
    begun = [
        {
            "RuleConfigurationName": rule,
            "RuleEvaluationJobArn": arn,
            "RuleEvaluationStatus": "InProgress",
            "LastModifiedTime": now,
        }
        for rule, arn in rule_jobs
    ]
    return {**training, "DebugRuleEvaluationStatuses": begun, "LastModifiedTime": now}


def with_evaluation(training: Document, rule_job: Document, now: float) -> Document | None:
    """The training job's document with what its rule's job says now; None where it says so already."""
    before = training.get("DebugRuleEvaluationStatuses", [])
    after = [
        {**item, **_evaluation(rule_job)} if item["RuleEvaluationJobArn"] == rule_job["ProcessingJobArn"] else item
        for item in before
    ]
    if after == before:
        return None
    timed = [new if new == old else {**new, "LastModifiedTime": now} for new, old in zip(after, before, strict=True)]
    return {**training, "DebugRuleEvaluationStatuses": timed, "LastModifiedTime": now}


def jobs_under_way(training: Document) -> list[str]:
    """Names of the rule jobs whose evaluation hasn't ended."""
    return [
        item["RuleEvaluationJobArn"].rpartition("/")[2]
        for item in training.get("DebugRuleEvaluationStatuses", [])
        if item["RuleEvaluationStatus"] in UNDER_WAY
    ]


def _evaluation(rule_job: Document) -> Document:
    """RuleEvaluationStatus and StatusDetails, as a rule's job has it.

    The job is Completed when the rule came to a verdict; its ExitMessage says which.
    """
    status, message = rule_job["ProcessingJobStatus"], rule_job.get("ExitMessage", "")
    if status == "Completed":
        status = "IssuesFound" if message.startswith(CONDITION_MET) else "NoIssuesFound"
    if status == "Failed":
        status, message = "Error", message or rule_job.get("FailureReason", "")
    return {"RuleEvaluationStatus": status, **({"StatusDetails": message[:MAX_DETAILS]} if message else {})}


def _tensors(training: Document) -> Document:
    return {
        "InputName": "tensors",
        "S3Input": {
            "S3Uri": f"{tensors_uri(training)}/",
            "LocalPath": f"{OPT_ML}{TENSORS}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }
