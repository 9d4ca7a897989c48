"""The stack that all pipelines of an environment share: key, buckets, run table and topic, and the stopper."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, CustomResource, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract import files, names, run_table
from infra.constructs.account import account_of
from infra.constructs.bucket import access_logs_bucket, announce_objects, private_bucket
from infra.constructs.findings import acknowledge
from infra.constructs.function import Function, Functions, functions_of
from infra.constructs.removal import removal_policy
from infra.constructs.stopper import Stopper
from infra.constructs.topic import notification_topic
from infra.declared_function import DeclaredFunction
from infra.grants import Account, Grant
from infra.shared import Shared
from ratchet.spec.environments import Environment

EMPTYING_SECONDS = 900
# What users have asked an endpoint, and what it has answered while a challenger was its shadow.
CAPTURE_DAYS = 30
# The outputs, which are exports too: pipelines import them, the command line reads them.
DATA_BUCKET, ARTIFACT_BUCKET, RUN_TABLE, TOPIC, KEY = (
    "DataBucketName",
    "ArtifactBucketName",
    "RunTableName",
    "TopicArn",
    "KeyArn",
)


class SharedStack(Stack):
    """One an environment. `environment.removal` says what becomes of it all when the stack is destroyed."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment, **stack: Any) -> None:
        super().__init__(scope, id_, description=f"Ratchet {environment.name}: what all pipelines share", **stack)
        account, removal = account_of(self), removal_policy(environment)
        key = _key(self, removal)
        logs = access_logs_bucket(self, "AccessLogs", days=365) if environment.access_logs == "bucket" else None
        data = private_bucket(self, "Data", key=key, removal=removal, access_logs=logs)
        captures = {files.CAPTURES: CAPTURE_DAYS}
        artifacts = private_bucket(self, "Artifacts", key=key, removal=removal, access_logs=logs, expiring=captures)
        announce_objects(data)
        _argue_access_logs(logs, data, artifacts)
        table = _run_table(self, key, removal)
        topic = notification_topic(self, "Topic", key=key, account=account)
        shared = Shared(
            data_bucket=data.bucket_name,
            data_bucket_arn=data.bucket_arn,
            artifact_bucket=artifacts.bucket_name,
            artifact_bucket_arn=artifacts.bucket_arn,
            run_table=table.table_name,
            run_table_arn=table.table_arn,
            topic_arn=topic.topic_arn,
            key_arn=key.key_arn,
        )
        functions = functions_of(self, log_retention_days=environment.log_retention_days)
        if environment.removal == "destroy":
            _empty_when_destroyed(self, [data, artifacts], functions)
        Stopper(self, "Stopper", account=account, environment=environment.name, shared=shared, functions=functions)
        _outputs(self, environment, shared)


def _outputs(stack: Stack, environment: Environment, shared: Shared) -> None:
    outputs = {
        DATA_BUCKET: (shared.data_bucket, "Data goes here, under a channel's prefix"),
        ARTIFACT_BUCKET: (shared.artifact_bucket, "Runs write here, under runs/"),
        RUN_TABLE: (shared.run_table, "What ran, what is running, who is champion"),
        TOPIC: (shared.topic_arn, "Tells how runs ended, and alarms"),
        KEY: (shared.key_arn, "Encrypts all of it"),
    }
    for name, (value, description) in outputs.items():
        export = names.export(environment.name, name)
        CfnOutput(stack, name, value=value, description=description, export_name=export)


def imported(environment: Environment, account: Account) -> Shared:
    """The shared stack's things, as another stack of the environment sees them: by its exports."""

    def value(name: str) -> str:
        return str(Fn.import_value(names.export(environment.name, name)))

    data, artifacts, table = value(DATA_BUCKET), value(ARTIFACT_BUCKET), value(RUN_TABLE)
    return Shared(
        data_bucket=data,
        data_bucket_arn=account.bucket_arn(data),
        artifact_bucket=artifacts,
        artifact_bucket_arn=account.bucket_arn(artifacts),
        run_table=table,
        run_table_arn=account.arn("dynamodb", f"table/{table}"),
        topic_arn=value(TOPIC),
        key_arn=value(KEY),
    )


def _key(stack: Stack, removal: RemovalPolicy) -> kms.Key:
    return kms.Key(
        stack,
        "Key",
        description="Ratchet: data, artifacts, run records and notifications",
        enable_key_rotation=True,
        pending_window=Duration.days(7),
        removal_policy=removal,
    )


def _run_table(stack: Stack, key: kms.Key, removal: RemovalPolicy) -> dynamodb.Table:
    return dynamodb.Table(
        stack,
        "Runs",
        partition_key=dynamodb.Attribute(name=run_table.PARTITION_KEY, type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name=run_table.SORT_KEY, type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=key,
        removal_policy=removal,
    )


def _empty_when_destroyed(stack: Stack, buckets: list[s3.Bucket], functions: Functions) -> None:
    """S3 deletes only empty buckets: a function of ours empties them first, when the stack goes."""
    empties = DeclaredFunction(
        folder="lifecycle",
        purpose="Empties the buckets when the shared stack is destroyed",
        seconds=EMPTYING_SECONDS,
        grants=[
            Grant(actions=["s3:ListBucketVersions"], resources=[bucket.bucket_arn for bucket in buckets]),
            Grant(
                actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                resources=[f"{bucket.bucket_arn}/*" for bucket in buckets],
                because="Emptying a bucket deletes every object in it; the function runs when the stack is destroyed.",
            ),
        ],
    )
    emptier = Function(stack, "Emptier", empties, functions)
    for bucket in buckets:
        CustomResource(
            bucket,
            "Emptied",
            resource_type="Custom::EmptiedBucket",
            service_token=emptier.arn,
            service_timeout=Duration.seconds(EMPTYING_SECONDS),
            properties={"Bucket": bucket.bucket_name},
        )


def _argue_access_logs(logs: s3.Bucket | None, *buckets: s3.Bucket) -> None:
    if logs is not None:
        acknowledge(logs, "S1", "It holds the access logs; logging its own deliveries would never end.")
        return
    for bucket in buckets:
        acknowledge(
            bucket,
            "S1",
            "This environment holds throw-away data and is destroyed with its buckets (access_logs: none). "
            "Where data must be kept (prod), access_logs: bucket logs every read.",
        )
