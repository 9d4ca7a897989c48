"""To make something with tags takes the permission to tag it, besides the one to make it.

As each service's API reference says of the operation's tags, and "Dependent actions" in the Service Authorization
Reference. SageMaker's are in `sagemaker_requests`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.one_operation import object_arn

Document = dict[str, Any]

TAGGING = {
    "application-autoscaling:RegisterScalableTarget": "application-autoscaling:TagResource",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "ecr:CreateRepository": "ecr:TagResource",
    "events:PutRule": "events:TagResource",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateRole": "iam:TagRole",
    "iam:CreateUser": "iam:TagUser",
    "kms:CreateKey": "kms:TagResource",
    "lambda:CreateFunction": "lambda:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
    "ssm:PutParameter": "ssm:AddTagsToResource",
    "states:CreateStateMachine": "states:TagResource",
}


def install(_aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions, iam_evaluator

    iam_evaluator.enforce = _asking_for_tags(iam_evaluator.enforce)
    inner = iam_actions.s3_additional_checks

    def s3_additional_checks(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = inner(method, path, headers, body, query_params)
        tagged = method in ("PUT", "POST") and headers.get("x-amz-tagging") and object_arn(path)
        return [*checks, ("s3:PutObjectTagging", object_arn(path))] if tagged else checks

    iam_actions.s3_additional_checks = s3_additional_checks


def _asking_for_tags(inner: Callable[..., Any]) -> Callable[..., Any]:
    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Document | None = None,
    ) -> Any:
        denied = inner(access_key_id, iam_action, service, region, resource_arn, service_context)
        tagging = TAGGING.get(iam_action)
        if denied is not None or tagging is None or not (service_context or {}).get("aws:TagKeys"):
            return denied
        # What is refused then is the tagging, which the message is to name.
        authorization.denied_action.set(tagging)
        return inner(access_key_id, tagging, service, region, resource_arn, service_context)

    return enforce
