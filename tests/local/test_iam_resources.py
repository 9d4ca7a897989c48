"""What a resource's own policy, a boundary or tags let be done, beside the caller's policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, make_role, unique

ACCOUNT = "000000000000"


def refusal(call: Any) -> str:
    try:
        call()
    except ClientError as error:
        return str(error)
    return ""


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.fidelity(
    "IAM",
    "To make a queue, topic, table, rule, log group, key, role or object with tags takes the permission to tag, too.",
    "API references: CreateQueue, CreateTopic, CreateTable, PutRule, CreateLogGroup, CreateKey, CreateRole, PutObject",
)
def test_creating_with_tags_takes_the_permission_to_tag(aws: Any) -> None:
    creates = ["sqs:CreateQueue", "sns:CreateTopic", "dynamodb:CreateTable", "events:PutRule", "logs:CreateLogGroup"]
    key = assumed(aws, make_role(aws, ACCOUNT, allow(*creates, "kms:CreateKey", "iam:CreateRole", "s3:PutObject")))
    name, tags, bucket = unique("tagged"), [{"Key": "team", "Value": "red"}], unique("tagged")
    aws.client("s3").create_bucket(Bucket=bucket)

    def client(service: str) -> Any:
        return aws.client(service, key)

    table = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    rule, trust = {"Name": name, "ScheduleExpression": "rate(1 day)"}, policy()
    made = {
        "sqs:TagQueue": lambda: client("sqs").create_queue(QueueName=name, tags={"team": "red"}),
        "sns:TagResource": lambda: client("sns").create_topic(Name=name, Tags=tags),
        "dynamodb:TagResource": lambda: client("dynamodb").create_table(**table, Tags=tags),
        "events:TagResource": lambda: client("events").put_rule(**rule, Tags=tags),
        "logs:TagResource": lambda: client("logs").create_log_group(logGroupName=name, tags={"team": "red"}),
        "kms:TagResource": lambda: client("kms").create_key(Tags=[{"TagKey": "team", "TagValue": "red"}]),
        "iam:TagRole": lambda: client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tags),
        "s3:PutObjectTagging": lambda: client("s3").put_object(Bucket=bucket, Key="k", Tagging="team=red"),
    }
    told = {action: refusal(call) for action, call in made.items()}
    assert [action for action, text in told.items() if f"not authorized to perform: {action}" not in text] == []
    assert refusal(lambda: client("sqs").create_queue(QueueName=name)) == ""
    assert refusal(lambda: client("s3").put_object(Bucket=bucket, Key="k")) == ""


@pytest.mark.fidelity(
    "SNS",
    "A topic's policy lets in a role that it names and denies under its conditions, whatever the role's own policies.",
    "Amazon SNS DG, Overview of managing access; IAM User Guide, Policy evaluation logic",
)
def test_a_topics_policy(aws: Any) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    named, granted = make_role(aws, ACCOUNT), make_role(aws, ACCOUNT, allow("sns:*"))
    aws.client("iam").tag_role(RoleName=granted.rpartition("/")[2], Tags=[{"Key": "team", "Value": "blue"}])
    lets_in = {**allow("sns:Publish", resource=topic), "Principal": {"AWS": named}}
    keeps_out = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sns:Publish", "sns:Subscribe"],
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}},
    }
    only_queues = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Subscribe",
        "Resource": topic,
        "Condition": {"StringNotEquals": {"sns:Protocol": "sqs"}},
    }
    statements = policy(lets_in, keeps_out, only_queues)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=statements)

    def publish(role: str) -> str:
        return refusal(lambda: aws.client("sns", assumed(aws, role)).publish(TopicArn=topic, Message="m"))

    assert publish(named) == ""
    assert "explicit deny in a resource-based policy" in publish(granted)
    other = assumed(aws, make_role(aws, ACCOUNT, allow("sns:*")))
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
    subscribe = aws.client("sns", other).subscribe
    assert "explicit deny" in refusal(lambda: subscribe(TopicArn=topic, Protocol="lambda", Endpoint=queue))
    assert "explicit deny" not in refusal(lambda: subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue))


@pytest.mark.fidelity(
    "IAM",
    "A boundary limits what a role's policies grant, and iam:PermissionsBoundary is the boundary that a new role gets.",
    "IAM User Guide, Permissions boundaries for IAM entities; Service Authorization Reference, IAM: condition keys",
)
def test_boundaries(aws: Any) -> None:
    iam, name = aws.client("iam"), unique("boundary")
    boundary = iam.create_policy(PolicyName=name, PolicyDocument=policy(allow("sqs:*", "iam:*")))["Policy"]["Arn"]
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    role = make_role(aws, ACCOUNT, {**allow("iam:CreateRole"), "Condition": condition}, allow("sns:*", "sqs:*"))
    iam.put_role_permissions_boundary(RoleName=role.rpartition("/")[2], PermissionsBoundary=boundary)
    key = assumed(aws, role)
    assert refusal(aws.client("sqs", key).list_queues) == ""
    assert "sns:ListTopics" in refusal(aws.client("sns", key).list_topics)
    new = {"AssumeRolePolicyDocument": policy()}
    create = aws.client("iam", key).create_role
    assert "iam:CreateRole" in refusal(lambda: create(**new, RoleName=unique("free")))
    assert refusal(lambda: create(**new, RoleName=unique("bound"), PermissionsBoundary=boundary)) == ""


@pytest.mark.fidelity(
    "IAM",
    "DescribeAlarms, DeleteAlarms and PutMetricAlarm are about the alarms that they name, each of which a policy must "
    "allow; without names DescribeAlarms is about all.",
    "Service Authorization Reference, Actions, resources, and condition keys for Amazon CloudWatch; API reference",
)
def test_alarms_are_asked_about_by_their_names(aws: Any) -> None:
    ours = unique("ours")
    arn = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{ours}-?"
    alarms = ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms")
    client = aws.client("cloudwatch", assumed(aws, make_role(aws, ACCOUNT, allow(*alarms, resource=arn))))

    def put(name: str) -> None:
        metric = {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
        client.put_metric_alarm(AlarmName=name, Threshold=1, ComparisonOperator="GreaterThanThreshold", **metric)

    one, two, other = f"{ours}-1", f"{ours}-2", unique("theirs")
    for name in (one, two):
        put(name)
    assert f"alarm:{other} " in refusal(lambda: put(other))
    found = client.describe_alarms(AlarmNames=[one, two])["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == [one, two]
    for names in ([one, other], [other, one]):
        assert f"alarm:{other} " in refusal(lambda names=names: client.describe_alarms(AlarmNames=names))  # type: ignore[misc]
        assert f"alarm:{other} " in refusal(lambda names=names: client.delete_alarms(AlarmNames=names))  # type: ignore[misc]
    assert "on resource: * " in refusal(client.describe_alarms)
    client.delete_alarms(AlarmNames=[one, two])
    assert client.describe_alarms(AlarmNames=[one, two])["MetricAlarms"] == []
