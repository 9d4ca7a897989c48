"""What turns triggers into runs: one at a time, none lost."""

from __future__ import annotations

import json

from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract import functions
from infra.constructs.function import Function
from infra.constructs.state_machine import StateMachine
from infra.grants import Grant, use_key
from infra.workflow.run_grants import RUNS_ARE_NAMED_LATER, change_run_table
from infra.workflow.surroundings import Surroundings

SECONDS = 60


def launcher(
    scope: Construct,
    id_: str,
    *,
    at: Surroundings,
    code: assets.Asset,
    queue: sqs.Queue,
    machine: StateMachine,
    log_retention_days: int,
) -> Function:
    """The function that takes triggers from the queue and starts the machine."""
    return Function(
        scope,
        id_,
        folder="launcher",
        code=code,
        purpose="Turns triggers into runs: one at a time, none lost",
        timeout_seconds=SECONDS,
        environment={
            functions.PIPELINE: at.pipeline,
            functions.RUN_TABLE: at.shared.run_table,
            functions.STATE_MACHINE_ARN: machine.arn,
            functions.CHANNEL_PREFIXES: json.dumps(list(at.spec.data.values())),
        },
        grants=_grants(at, queue.queue_arn, machine),
        log_retention_days=log_retention_days,
    )


def _grants(at: Surroundings, queue_arn: str, machine: StateMachine) -> list[Grant]:
    return [
        change_run_table(at),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
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
    ]
