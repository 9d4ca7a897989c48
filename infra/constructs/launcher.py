"""The launcher, which turns triggers into runs: one at a time, none lost."""

from __future__ import annotations

import json

from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract import functions as variables
from infra.constructs.function import Function, Functions
from infra.constructs.state_machine import StateMachine
from infra.declared_function import DeclaredFunction
from infra.grants import NO_RESOURCE, Grant, use_items, use_key
from infra.workflow.run_grants import (
    RUNS_ARE_NAMED_LATER,
    change_run_table,
    find_models,
    look_at_endpoint,
    look_at_packages,
)
from infra.workflow.surroundings import Surroundings

SECONDS = 60


def launcher(
    scope: Construct,
    id_: str,
    *,
    at: Surroundings,
    functions: Functions,
    queue: sqs.Queue,
    dead_letters: sqs.Queue,
    machine: StateMachine,
) -> Function:
    """The function that takes triggers from the queue and starts the machine."""
    return Function(scope, id_, _declared(at, queue, dead_letters, machine), functions)


def _declared(at: Surroundings, queue: sqs.Queue, dead_letters: sqs.Queue, machine: StateMachine) -> DeclaredFunction:
    return DeclaredFunction(
        folder="launcher",
        purpose="Turns triggers into runs: one at a time, none lost",
        seconds=SECONDS,
        variables={
            variables.PIPELINE: at.pipeline,
            variables.RUN_TABLE: at.shared.run_table,
            variables.STATE_MACHINE_ARN: machine.arn,
            variables.DATA_BUCKET: at.shared.data_bucket,
            **({variables.ENDPOINT_NAME: at.endpoint} if at.has_endpoint else {}),
            variables.CHANNEL_PREFIXES: json.dumps(at.prefixes),
            variables.DEAD_LETTERS_URL: dead_letters.queue_url,
            **(_told_by_people(at) if at.spec.approval.manual else {}),
        },
        grants=[
            *_grants(at, queue.queue_arn, dead_letters.queue_arn, machine),
            *(_lets_runs_go_on(at) if at.has_endpoint or at.spec.approval.manual else []),
            *(_asks_people(at) if at.spec.approval.manual else []),
        ],
    )


def _told_by_people(at: Surroundings) -> dict[str, str]:
    return {variables.TOPIC_ARN: at.shared.topic_arn, variables.ENVIRONMENT: at.environment}


def _asks_people(at: Surroundings) -> list[Grant]:
    """Asking a person, and looking what the registry says."""
    return [
        look_at_packages(at, "sagemaker:UpdateModelPackage"),
        Grant(actions=["sns:Publish"], resources=[at.shared.topic_arn]),
        use_key(at.account, at.shared.key_arn, "sns"),
    ]


def _lets_runs_go_on(at: Surroundings) -> list[Grant]:
    """Keeping a run's task token, and answering it."""
    return [
        use_items(at.shared.run_table_arn, at.pipeline, "UpdateItem"),
        Grant(actions=["states:SendTaskSuccess"], resources=["*"], because=f"{NO_RESOURCE} It takes the task's token."),
    ]


def _grants(at: Surroundings, queue_arn: str, dead_letters_arn: str, machine: StateMachine) -> list[Grant]:
    return [
        change_run_table(at),
        find_models(at),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
        *look_at_endpoint(at),
        Grant(actions=["states:StartExecution"], resources=[machine.arn]),
        Grant(
            actions=["states:DescribeExecution"],
            resources=[at.executions(machine.name)],
            because=RUNS_ARE_NAMED_LATER,
        ),
        Grant(
            actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            resources=[queue_arn],
        ),
        Grant(actions=["sqs:SendMessage"], resources=[dead_letters_arn]),
    ]
