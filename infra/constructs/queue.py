"""A queue that is encrypted and takes TLS only."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# SQS's longest: a person may be away for a week.
RETENTION_DAYS = 14


def private_queue(
    scope: Construct,
    id_: str,
    *,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    """With SQS's own key: EventBridge delivers to it without a statement in a key's policy."""
    return sqs.Queue(
        scope,
        id_,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(RETENTION_DAYS),
        visibility_timeout=visibility_timeout,
        dead_letter_queue=dead_letter_queue,
    )


def allow_event_rules(queue: sqs.Queue, rule_arns: Sequence[str]) -> None:
    """Lets EventBridge send for these of its rules, and for no other."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
        )
    )
