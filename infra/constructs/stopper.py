"""What stops bad training: the rule that hears of it, the function that acts, and where what it can't do waits."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import permissions
from infra.constructs.alarms import alarm
from infra.constructs.function import Function
from infra.constructs.queue import allow_rules, private_queue
from infra.grants import Account
from infra.workflow import stopping
from ratchet.spec.environments import Environment

TIMEOUT_SECONDS = 30


class Stopper(Construct):
    """One an environment: a training job says by its own environment whose it is and what its rules may do."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        environment: Environment,
        code: assets.Asset,
        run_table: str,
        run_table_arn: str,
        topic_arn: str,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        self._dead_letters = private_queue(self, "DeadLetters")
        self._topic_arn = topic_arn
        function = Function(
            self,
            "Handler",
            folder="stopper",
            code=code,
            purpose="Stops training in which a rule has found issues, and says why",
            timeout_seconds=TIMEOUT_SECONDS,
            environment={"RUN_TABLE": run_table, "TOPIC_ARN": topic_arn, "ENVIRONMENT": environment.name},
            grants=permissions.stopper(account, environment.name, run_table_arn, topic_arn, key_arn),
            log_retention_days=environment.log_retention_days,
            dead_letter_queue_arn=self._dead_letters.queue_arn,
        )
        self._hear(function)
        self._alarms(function)

    def _hear(self, function: Function) -> None:
        rule = events.CfnRule(
            self,
            "IssuesFound",
            description="A rule has found issues in a training job that goes on, or couldn't judge it",
            event_pattern=stopping.rules_spoke(),
            targets=[
                events.CfnRule.TargetProperty(
                    id="Stopper",
                    arn=function.arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self._dead_letters.queue_arn),
                )
            ],
        )
        allow_rules(self._dead_letters, [rule.attr_arn])
        lambda_.CfnPermission(
            self,
            "Invoked",
            action="lambda:InvokeFunction",
            function_name=function.name,
            principal="events.amazonaws.com",
            source_arn=rule.attr_arn,
        )

    def _alarms(self, function: Function) -> None:
        alarm(
            self,
            "NotHandled",
            description="What rules have found couldn't be handled, and waits in the dead-letter queue",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": self._dead_letters.queue_name},
            topic_arn=self._topic_arn,
        )
        alarm(
            self,
            "Failed",
            description="The stopper failed; its log says at what. Training may go on that should not",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": function.name},
            topic_arn=self._topic_arn,
        )
