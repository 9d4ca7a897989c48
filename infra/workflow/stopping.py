"""Which events the stopper is told of, and how a run goes on after its training was stopped."""

from __future__ import annotations

from typing import Any

from infra.workflow.names import Names
from infra.workflow.states import (
    API_CALL_SECONDS,
    RECORD,
    RETRY_DYNAMODB,
    RETRY_SAGEMAKER,
    State,
    States,
    choice,
    expression,
    rule,
    task,
)
from ratchet.spec import PipelineSpec

# Customers can't send events as `aws.*`; the open rules send theirs under a name of their own, in AWS's shape.
RULES_SOURCE = "ratchet.rules"
RULES_NAMESPACE = "Ratchet/Rules"

_STOPPED = r'"TrainingJobStatus"\s*:\s*"Stopped"'


def rules_spoke() -> dict[str, Any]:
    """A rule has found issues in a training job that goes on, or couldn't judge it: the managed Debugger's events, and
    the open rules'.

    Sources: "Events that Amazon SageMaker AI sends to Amazon EventBridge" (Training job state change);
    DebugRuleEvaluationStatus, API reference. AWS's sample event doesn't show DebugRuleEvaluationStatuses, a list, whose
    elements EventBridge matches one by one ("Matching … arrays in Amazon EventBridge event patterns").
    """
    return {
        "source": ["aws.sagemaker", RULES_SOURCE],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {
            "TrainingJobStatus": ["InProgress"],
            "DebugRuleEvaluationStatuses": {"RuleEvaluationStatus": ["IssuesFound", "Error"]},
        },
    }


def stopped_as_an_error(name: str, job_name: str, described: dict[str, Any], *, then: str) -> States:
    """Step Functions may end the task of a stopped job as a failure: then the job is asked what the result would say.

    Any other failure of the task goes to Record.
    """
    describe = task(
        "DescribeStopped",
        "arn:aws:states:::aws-sdk:sagemaker:describeTrainingJob",
        {"TrainingJobName": job_name},
        then=then,
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign={**described, "failure": None},
    )
    stopped = rule(f"$contains($failure.cause, /{_STOPPED}/)", "DescribeStopped")
    return {**choice(name, [stopped], default=RECORD), **describe}


def why_stopped(spec: PipelineSpec, names: Names, *, then: str) -> States:
    """A rule: the run ends StoppedByRule, or goes on with what was saved, as the spec says. A person, or MaxRuntime:
    `$failure` says so, and the run is recorded with it."""
    look = task(
        "WhyStopped",
        "arn:aws:states:::dynamodb:getItem",
        {
            "TableName": names.run_table,
            "Key": {"pipeline": {"S": names.pipeline}, "item": {"S": expression("'run#' & $run.run_id")}},
            "ConsistentRead": True,
        },
        then="StoppedBy",
        timeout=API_CALL_SECONDS,
        retries=RETRY_DYNAMODB,
        assign={"stopped_by_rule": expression("$exists($states.result.Item.stopped_by)")},
    )
    # The rule and the time limit may come at once; then it was the limit.
    by_limit = "$training.description.SecondaryStatus in ['MaxRuntimeExceeded', 'MaxWaitTimeExceeded']"
    by_rule = f"$stopped_by_rule and $not({by_limit})"
    rules: list[State] = []
    if spec.rounds:
        # The rounds before it have left models that were good enough to go on from.
        rules.append(rule(f"{by_rule} and $round > 1", then, {"failure": None}))
    elif spec.rules_then == "evaluate":
        rules.append(rule(f"{by_rule} and $exists($training.model_data)", then, {"failure": None}))
    rules.append(rule(by_rule, RECORD, {"outcome": "StoppedByRule", "failure": None}))
    return {**look, **choice("StoppedBy", rules, default=RECORD)}
