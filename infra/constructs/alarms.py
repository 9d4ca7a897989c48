"""What a person must hear of: a run that ended badly, and triggers that the launcher couldn't take."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

PERIOD_MINUTES = 5
RUN_ENDS = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")


class Alarms(Construct):
    """Two alarms, told to the topic."""

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
        runs = {
            f"m{number}": cloudwatch.Metric(
                namespace="AWS/States",
                metric_name=metric,
                dimensions_map={"StateMachineArn": state_machine_arn},
                statistic="Sum",
                period=Duration.minutes(PERIOD_MINUTES),
            )
            for number, metric in enumerate(RUN_ENDS)
        }
        self._alarm(
            "FailedRuns",
            f"A run of {pipeline} failed, took too long or was aborted; `ratchet runs` says which",
            cloudwatch.MathExpression(
                expression=" + ".join(f"FILL({name}, 0)" for name in runs),
                using_metrics=runs,
                period=Duration.minutes(PERIOD_MINUTES),
            ),
            topic_arn,
        )
        self._alarm(
            "LostTriggers",
            f"Triggers of {pipeline} couldn't be taken and wait in the dead-letter queue",
            cloudwatch.Metric(
                namespace="AWS/SQS",
                metric_name="ApproximateNumberOfMessagesVisible",
                dimensions_map={"QueueName": dead_letter_queue},
                statistic="Maximum",
                period=Duration.minutes(PERIOD_MINUTES),
            ),
            topic_arn,
        )

    def _alarm(self, id_: str, description: str, metric: cloudwatch.IMetric, topic_arn: str) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_description=description,
            metric=metric,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        resource = alarm.node.default_child
        if not isinstance(resource, cloudwatch.CfnAlarm):
            raise TypeError("an Alarm's default child is its CfnAlarm")
        resource.alarm_actions = [topic_arn]
