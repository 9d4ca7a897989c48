"""The stopper of bad training: the event rule, the function that acts, and a queue of the events that it failed on."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract import files, names
from contract import functions as variables
from infra.constructs.function import Function, Functions
from infra.constructs.queue import allow_event_rules, private_queue
from infra.constructs.topic_alarms import alarm, alarm_of_messages
from infra.declared_function import DeclaredFunction
from infra.grants import Account, Grant, list_prefixes, use_key
from infra.shared import Shared
from infra.workflow.judging import rules_spoke

SECONDS = 30


class Stopper(Construct):
    """One an environment: a training job's own environment tells whose it is and what its rules may do."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        environment: str,
        shared: Shared,
        functions: Functions,
    ) -> None:
        super().__init__(scope, id_)
        dead_letters = private_queue(self, "DeadLetters")
        declared = DeclaredFunction(
            folder="stopper",
            purpose="Stops training in which a rule has found issues, and says why",
            seconds=SECONDS,
            variables={
                variables.RUN_TABLE: shared.run_table,
                variables.ARTIFACT_BUCKET: shared.artifact_bucket,
                variables.TOPIC_ARN: shared.topic_arn,
                variables.ENVIRONMENT: environment,
            },
            grants=_grants(account, environment, shared),
        )
        function = Function(self, "Handler", declared, functions, dead_letter_queue_arn=dead_letters.queue_arn)
        _hear(self, function, dead_letters)
        _alarms(self, function, dead_letters, shared.topic_arn)


def _hear(scope: Construct, function: Function, dead_letters: sqs.Queue) -> None:
    rule = events.CfnRule(
        scope,
        "IssuesFound",
        description="A rule has found issues in a training job that goes on, or couldn't judge it",
        event_pattern=rules_spoke(),
        targets=[
            events.CfnRule.TargetProperty(
                id="Stopper",
                arn=function.arn,
                dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
            )
        ],
    )
    allow_event_rules(dead_letters, [rule.attr_arn])
    lambda_.CfnPermission(
        scope,
        "Invoked",
        action="lambda:InvokeFunction",
        function_name=function.name,
        principal="events.amazonaws.com",
        source_arn=rule.attr_arn,
    )


def _alarms(scope: Construct, function: Function, dead_letters: sqs.Queue, topic_arn: str) -> None:
    alarm_of_messages(
        scope,
        "NotHandled",
        description="What rules have found couldn't be handled, and waits in the dead-letter queue",
        queue=dead_letters,
        topic_arn=topic_arn,
    )
    alarm(
        scope,
        "Failed",
        description=f"The stopper failed, so training may go on that should not; its log: {function.log_group}",
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions={"FunctionName": function.name},
        topic_arn=topic_arn,
    )


def _grants(account: Account, environment: str, shared: Shared) -> list[Grant]:
    """Stopping this environment's training jobs, by the tag that the state machine gives them, for what they say."""
    kinds = (names.any_job(environment), names.any_trial_of(environment))
    jobs = [account.arn("sagemaker", f"training-job/{kind}") for kind in kinds]
    because = "A job is named after its environment, its pipeline and its run; the last two are known later."
    return [
        Grant(actions=["sagemaker:DescribeTrainingJob"], resources=jobs, because=because),
        Grant(
            actions=["sagemaker:StopTrainingJob"],
            resources=jobs,
            conditions={"StringEquals": {f"aws:ResourceTag/{names.ENVIRONMENT_TAG}": environment}},
            because=because,
        ),
        Grant(
            actions=["s3:GetObject"],
            resources=[f"{shared.artifact_bucket_arn}/{files.run_folder('*', names.ANY_RUN_ID)}{files.verdicts('*')}"],
            because="A run's folder is named after its pipeline and its run, and what its job says after the job.",
        ),
        # So that a word that isn't there is missing, not denied.
        list_prefixes(shared.artifact_bucket_arn, [files.RUNS]),
        Grant(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[shared.run_table_arn]),
        Grant(actions=["sns:Publish"], resources=[shared.topic_arn]),
        use_key(account, shared.key_arn, "dynamodb", "s3", "sns"),
    ]
