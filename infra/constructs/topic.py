"""The topic that people subscribe to: encrypted, and open to the account's own alarms."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.grants import Account, Conditions

CLOUDWATCH = "cloudwatch.amazonaws.com"


def notification_topic(scope: Construct, id_: str, *, key: kms.Key, account: Account) -> sns.Topic:
    """A topic that takes TLS only.

    That alone would shut alarms out: a topic policy takes the place of SNS's default one, which lets the account's own
    alarms publish. Functions publish by their own roles, which in the same account is enough.
    """
    topic = sns.Topic(scope, id_, master_key=key, enforce_ssl=True)
    # "Example cases for Amazon SNS access control": CloudWatch, for an alarm of this account and region.
    of_ours = {"ArnLike": {"aws:SourceArn": account.arn("cloudwatch", "alarm:*")}}
    topic.add_to_resource_policy(_for_alarms(account, ["sns:Publish"], topic.topic_arn, of_ours))
    # "Key management" (Amazon SNS): CloudWatch uses the topic's key as itself, too.
    key.add_to_resource_policy(_for_alarms(account, ["kms:Decrypt", "kms:GenerateDataKey*"], "*"))
    return topic


def _for_alarms(
    account: Account, actions: list[str], resource: str, more: Conditions | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal(CLOUDWATCH)],
        actions=actions,
        resources=[resource],
        conditions={"StringEquals": {"aws:SourceAccount": account.account}, **(more or {})},
    )
