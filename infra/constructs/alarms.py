"""What a person must hear of: a run that ended badly, and triggers that the launcher couldn't take."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

PERIOD_SECONDS = 300


class Alarms(Construct):
    """One alarm for each, told to the topic."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        topic_arn: str,
        state_machine_arn: str,
        dead_letter_queue: str,
        pipeline: str,
    ) -> None:
        super().__init__(scope, id_)
        self._topic_arn = topic_arn
        machine, queue = {"StateMachineArn": state_machine_arn}, {"QueueName": dead_letter_queue}
        say = "`ratchet runs` says which"
        self._alarm("Failed", f"A run of {pipeline} failed; {say}", "AWS/States", "ExecutionsFailed", machine)
        self._alarm("TimedOut", f"A run of {pipeline} timed out; {say}", "AWS/States", "ExecutionsTimedOut", machine)
        self._alarm(
            "LostTriggers",
            f"Triggers of {pipeline} couldn't be taken, and wait in the dead-letter queue",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            queue,
        )

    def _alarm(self, id_: str, description: str, namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
        alarm(
            self,
            id_,
            description=description,
            namespace=namespace,
            metric=metric,
            dimensions=dimensions,
            topic_arn=self._topic_arn,
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
