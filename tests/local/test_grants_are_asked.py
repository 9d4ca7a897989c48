"""Every permission of the stacks' roles is asked for by this AWS, or stands here with the reason why it isn't.

A grant that nobody asks for can be taken away without a test that notices: it is either useless, or checked in the
account only. What a deployment and a promoted run ask for is in the server's authorization log.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator

from deployed import Pipeline, Scripted

PIPELINES = {"scripted": Scripted()}
ROLES = (
    "JobsTraining",
    "JobsProcessing",
    "JobsHosting",
    "WorkflowExecution",
    "RunPlanner",
    "RunGate",
    "RunVerifier",
    "RunRecorder",
    "Launcher",
    "LifecycleHandler",
    "SourceCopier",
    "StopperHandler",
    "Emptier",
)
Grant = tuple[str, str]
"""A role, by its part of the name, and an action."""

# Never asked for here: in the account these are.
NOT_ASKED_HERE = {
    "Images of AWS's are environments here; nothing is pulled.": [("Jobs*", "ecr:*")],
    "Instances have no metrics of their own here; a job's from its log are asked for.": [
        ("JobsHosting", "cloudwatch:PutMetricData"),
        ("JobsProcessing", "cloudwatch:PutMetricData"),
    ],
    "There is no X-Ray here.": [("WorkflowExecution", "xray:*")],
    "Named by SageMaker's and DynamoDB's documentation, which doesn't say when.": [
        ("Jobs*", "logs:DescribeLogStreams"),
        ("*", "kms:DescribeKey"),
        ("*", "kms:Encrypt"),
    ],
}
# Asked for by what this test doesn't do; most of it in tests of its own (test_run, test_lifecycle, test_stopping).
ASKED_ELSEWHERE = {
    "An upload in parts that is given up.": [("*", "s3:AbortMultipartUpload")],
    "An object that isn't there, a listing.": [("*", "s3:ListBucket")],
    "One grant lets a role use the key; this one only reads, or only writes, or uses no object.": [
        ("*", "kms:GenerateDataKey"),
        ("*", "kms:Decrypt"),
    ],
    "A job for which there is no capacity (test_scarce_runs).": [("WorkflowExecution", "sagemaker:Delete*Job")],
    "A run that is stopped or times out, updates an endpoint, or goes back.": [
        ("WorkflowExecution", "sagemaker:Stop*Job"),
        ("WorkflowExecution", "sagemaker:UpdateEndpoint"),
        ("WorkflowExecution", "sagemaker:DeleteEndpoint"),
        ("WorkflowExecution", "sagemaker:DescribeEndpointConfig"),
        ("WorkflowExecution", "sagemaker:DescribeModel"),
    ],
    "Old models go, and a version is approved, when there is one to take its place.": [
        ("RunRecorder", "sagemaker:Delete*"),
        ("RunRecorder", "sagemaker:DescribeEndpointConfig"),
        ("RunRecorder", "sagemaker:UpdateModelPackage"),
    ],
    "Triggers while a run goes on, and after one that ended badly.": [
        ("Launcher", "sagemaker:DescribeEndpoint"),
        ("Launcher", "sqs:SendMessage"),
        ("Launcher", "states:DescribeExecution"),
        ("RunPlanner", "dynamodb:PutItem"),
    ],
    "A script that prints figures which train.metrics asks for (test_training_jobs).": [
        ("JobsTraining", "cloudwatch:PutMetricData"),
    ],
    "The first job of an account makes its log group.": [("Jobs*", "logs:CreateLogGroup")],
    "This pipeline's endpoint was never scaled (test_scaled_pipeline).": [
        ("LifecycleHandler", "application-autoscaling:De*ScalableTarget*"),
        ("LifecycleHandler", "cloudwatch:DeleteAlarms"),
    ],
    "Nobody stops training here.": [("StopperHandler", "*")],
    "Stacks are deleted elsewhere.": [
        ("LifecycleHandler", "dynamodb:*"),
        ("LifecycleHandler", "sagemaker:*"),
        ("LifecycleHandler", "sqs:SendMessage"),
        ("LifecycleHandler", "states:*"),
        ("Emptier", "s3:*"),
    ],
}


def test_every_grant_is_asked_for_or_argued(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("scripted")
    pipeline.order(accuracy=0.9)
    pipeline.run(forced=True)
    asked = set(grants_asked(pipeline))
    granted = set(grants_of_roles(pipeline))
    assert len(granted) > 100, "the roles of the shared stack and of one pipeline"

    unasked = granted - asked
    argued = {grant for grant in granted if covered(grant, NOT_ASKED_HERE) or covered(grant, ASKED_ELSEWHERE)}
    assert unasked - argued == set(), "permissions that could be taken away and nothing would notice"
    assert {grant for grant in asked if covered(grant, NOT_ASKED_HERE)} == set(), "asked for after all"
    argument = [
        pattern for reasons in (NOT_ASKED_HERE, ASKED_ELSEWHERE) for found in reasons.values() for pattern in found
    ]
    idle = [one for one in argument if not any(covered(grant, {"": [one]}) for grant in granted)]
    assert idle == [], "reasons for permissions that no role has"


def covered(grant: Grant, reasons: dict[str, list[Grant]]) -> bool:
    patterns = [pattern for patterns in reasons.values() for pattern in patterns]
    return any(
        fnmatch.fnmatchcase(grant[0], role) and fnmatch.fnmatchcase(grant[1], action) for role, action in patterns
    )


def grants_of_roles(pipeline: Pipeline) -> Iterator[Grant]:
    iam = pipeline.aws.client("iam")
    for page in iam.get_paginator("list_roles").paginate():
        names = [role["RoleName"] for role in page["Roles"] if of_this(pipeline, role["RoleName"])]
        for name in names:
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    actions = statement["Action"]
                    yield from ((kind(name), action) for action in ([actions] if isinstance(actions, str) else actions))


def grants_asked(pipeline: Pipeline) -> Iterator[Grant]:
    for line in (pipeline.aws.state / "authorization.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if ":assumed-role/" in entry["principal"]:
            role = entry["principal"].split("/")[1]
            if of_this(pipeline, role):
                yield kind(role), entry["action"]


def of_this(pipeline: Pipeline, role: str) -> bool:
    ours = role.startswith((f"ratchet-local-{pipeline.name}-", "ratchet-local-shared-"))
    return ours and kind(role) in ROLES


def kind(role: str) -> str:
    return next((name for name in ROLES if name in role), "")
