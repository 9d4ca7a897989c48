"""A bucket that is encrypted with our key, versioned, and refuses public access and plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

# How long a replaced or deleted version can still be brought back.
NONCURRENT_DAYS = 90
# What remains of an upload that was never completed costs storage until then.
INCOMPLETE_UPLOAD_DAYS = 7
NOTHING_EXPIRES: Mapping[str, int] = MappingProxyType({})


def private_bucket(
    scope: Construct,
    id_: str,
    *,
    key: kms.IKey,
    removal: RemovalPolicy,
    access_logs: s3.IBucket | None,
    expiring: Mapping[str, int] = NOTHING_EXPIRES,
) -> s3.Bucket:
    """A bucket for what must not be lost or read by others; its reads are logged where there is a bucket for that.

    expiring: after how many days what lies below a prefix goes for good.
    """
    return s3.Bucket(
        scope,
        id_,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[_clean_up(), *(_expire(prefix, days) for prefix, days in expiring.items())],
        removal_policy=removal,
        server_access_logs_bucket=access_logs,
        server_access_logs_prefix=f"{id_}/" if access_logs else None,
    )


def access_logs_bucket(scope: Construct, id_: str, *, days: int) -> s3.Bucket:
    """A bucket for S3's access logs. Log delivery can't use a customer's key ("Enabling server access logging")."""
    return s3.Bucket(
        scope,
        id_,
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=[_clean_up(), s3.LifecycleRule(expiration=Duration.days(days))],
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )


def announce_objects(bucket: s3.Bucket) -> None:
    """Sends the bucket's events to EventBridge, by the bucket's own property.

    CDK's `event_bridge_enabled` would do it by a custom resource, with a function and a role that nobody asked for.
    """
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):
        raise TypeError("a Bucket's default child is its CfnBucket")
    resource.add_property_override("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True)


def _expire(prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        prefix=prefix, expiration=Duration.days(days), noncurrent_version_expiration=Duration.days(1)
    )


def _clean_up() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        noncurrent_version_expiration=Duration.days(NONCURRENT_DAYS),
        abort_incomplete_multipart_upload_after=Duration.days(INCOMPLETE_UPLOAD_DAYS),
    )
