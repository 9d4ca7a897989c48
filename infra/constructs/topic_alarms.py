"""Alarms that tell the topic what a person must hear of."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.state_machine import StateMachine
from infra.workflow.surroundings import Surroundings

PERIOD_SECONDS = 300


class PipelineAlarms(Construct):
    """A run that ended badly, and triggers that the launcher couldn't take."""

    def __init__(
        self, scope: Construct, id_: str, *, at: Surroundings, machine: StateMachine, dead_letters: sqs.Queue
    ) -> None:
        super().__init__(scope, id_)
        say, topic_arn = "`ratchet runs` says which", at.shared.topic_arn
        for ending, verb in (("Failed", "failed"), ("TimedOut", "timed out")):
            alarm(
                self,
                ending,
                description=f"A run of {at.pipeline} {verb}; {say}",
                namespace="AWS/States",
                metric=f"Executions{ending}",
                dimensions={"StateMachineArn": machine.arn},
                topic_arn=topic_arn,
            )
        alarm_of_messages(
            self,
            "LostTriggers",
            description=f"Triggers of {at.pipeline} couldn't be taken, and wait in the dead-letter queue",
            queue=dead_letters,
            topic_arn=topic_arn,
        )


def alarm_of_messages(scope: Construct, id_: str, *, description: str, queue: sqs.Queue, topic_arn: str) -> None:
    """Sounds when a message waits in the queue."""
    alarm(
        scope,
        id_,
        description=description,
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue.queue_name},
        topic_arn=topic_arn,
    )


def alarm(
    scope: Construct,
    id_: str,
    *,
    description: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, str],
    topic_arn: str,
) -> None:
    """Sounds when the metric's maximum (or sum, for what is counted) is at least one within a period."""
    cloudwatch.CfnAlarm(
        scope,
        id_,
        alarm_description=description,
        namespace=namespace,
        metric_name=metric,
        dimensions=[
            cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in dimensions.items()
        ],
        statistic="Maximum" if namespace == "AWS/SQS" else "Sum",
        period=PERIOD_SECONDS,
        evaluation_periods=1,
        threshold=1,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[topic_arn],
    )
