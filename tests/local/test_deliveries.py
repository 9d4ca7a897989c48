"""What services deliver to topics, queues and functions: what the target's policy and its key's allow, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, first_message, make_function, make_role, unique
from stacks import resource, stack
from waiting import until

ACCOUNT = "000000000000"
CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}
OF_THE_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
# What `enforceSSL` of CDK's Topic writes: it takes the place of SNS's default policy.
TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
FOR_ALARMS = {**allow("sns:Publish"), "Principal": CLOUDWATCH, "Condition": OF_THE_ACCOUNT}
FOR_ANOTHER_ACCOUNT = {**FOR_ALARMS, "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def queue(aws: Any, service: str | None = "sns.amazonaws.com", **attributes: str) -> tuple[str, str]:
    """URL and ARN of a queue that the service, if any, may send to."""
    statement = {**allow("sqs:SendMessage"), "Principal": {"Service": service}}
    more = {"Policy": policy(statement)} if service else {}
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"), Attributes={**more, **attributes})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def topic(aws: Any, *statements: dict[str, Any], **attributes: str) -> str:
    """A topic; with statements, they are its policy instead of the default one."""
    more = {"Policy": policy(*statements)} if statements else {}
    return str(aws.client("sns").create_topic(Name=unique("topic"), Attributes={**more, **attributes})["TopicArn"])


def heard(aws: Any, url: str) -> list[Any]:
    return list(aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))


def sound_alarm(aws: Any, topic_arn: str) -> str:
    """An alarm that tells the topic, and has gone to ALARM; what its history says of that."""
    cloudwatch, alarm = aws.client("cloudwatch"), unique("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="Deliveries",
        MetricName=alarm,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic_arn],
    )
    cloudwatch.put_metric_data(Namespace="Deliveries", MetricData=[{"MetricName": alarm, "Value": 1}])

    def actions() -> Any:
        return cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action")["AlarmHistoryItems"]

    return str(until(actions, f"an action of {alarm}")[0]["HistorySummary"])


def sum_of(aws: Any, metric: str, topic_arn: str) -> float:
    named = {"Namespace": "AWS/SNS", "MetricName": metric}
    name = topic_arn.rpartition(":")[2]
    answer = aws.client("cloudwatch").get_metric_statistics(
        **named,
        Dimensions=[{"Name": "TopicName", "Value": name}],
        StartTime=0,
        EndTime=9_999_999_999,
        Period=86400 * 365,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in answer["Datapoints"])


@pytest.mark.fidelity(
    "CloudWatch",
    "An alarm publishes as cloudwatch.amazonaws.com: a topic policy of one's own must allow it, the default one does;"
    " where it doesn't, nothing arrives and the alarm's history says 'Failed to execute action'.",
    "AWS re:Post knowledge center, 'Why didn't I receive an SNS notification for my CloudWatch alarm trigger?'",
)
@pytest.mark.parametrize(
    ("statements", "arrives"),
    [([], True), ([TLS_ONLY, FOR_ALARMS], True), ([TLS_ONLY], False), ([TLS_ONLY, FOR_ANOTHER_ACCOUNT], False)],
    ids=["the default policy", "allowed", "only a Deny", "another account's"],
)
def test_an_alarm_tells_a_topic_whose_policy_lets_it(aws: Any, statements: Any, arrives: bool) -> None:
    url, arn = queue(aws)
    topic_arn = topic(aws, *statements)
    aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    told = sound_alarm(aws, topic_arn)
    if arrives:
        assert told == f"Successfully executed action {topic_arn}"
        assert json.loads(first_message(aws, url)["Message"])["NewStateValue"] == "ALARM"
    else:
        assert told.startswith(f'Failed to execute action {topic_arn}. Received error: "Resource: arn:aws:cloudwatch:')
        assert told.endswith(f'is not authorized to perform: SNS:Publish on resource: {topic_arn}"')
        assert heard(aws, url) == []


@pytest.mark.fidelity(
    "EventBridge",
    "A rule publishes to a topic only where the topic's policy allows events.amazonaws.com: the default policy, of the"
    " API or of AWS::SNS::Topic, doesn't.",
    "EventBridge user guide, 'Using resource-based policies for Amazon EventBridge', Amazon SNS permissions; AWS"
    " re:Post knowledge center, 'Why isn't my Amazon SNS topic receiving EventBridge notifications?'",
)
def test_a_rule_tells_only_a_topic_that_lets_it(aws: Any) -> None:
    sns, events, source = aws.client("sns"), aws.client("events"), unique("source")
    for_rules = {**FOR_ALARMS, "Principal": {"Service": "events.amazonaws.com"}}
    of_a_stack = stack(aws, {"Topic": resource("AWS::SNS::Topic")}).physical_id("Topic")
    topics = [topic(aws), of_a_stack, topic(aws, TLS_ONLY, for_rules)]
    urls = []
    for topic_arn in topics:
        url, arn = queue(aws)
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
        urls.append(url)
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=source, Targets=[{"Id": str(n), "Arn": arn} for n, arn in enumerate(topics)])
    events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])
    assert json.loads(first_message(aws, urls[2])["Message"])["source"] == source
    assert [heard(aws, url) for url in urls[:2]] == [[], []]


def key_with(aws: Any, *statements: dict[str, Any]) -> str:
    root = {**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    return str(aws.client("kms").create_key(Policy=policy(root, *statements))["KeyMetadata"]["KeyId"])


@pytest.mark.fidelity(
    "SNS",
    "A service publishes to an encrypted topic only where the key's policy lets it use the key: alarms never reach one"
    " under the AWS managed key alias/aws/sns.",
    "SNS developer guide, 'Key management', Enable compatibility between event sources and encrypted topics; AWS"
    " re:Post knowledge center, 'Why didn't I receive an SNS notification for my CloudWatch alarm trigger?'",
)
@pytest.mark.parametrize("key", ["managed", "silent", "open"])
def test_an_encrypted_topic_needs_its_keys_leave_too(aws: Any, key: str) -> None:
    for_alarms = {**allow("kms:Decrypt", "kms:GenerateDataKey*"), "Principal": CLOUDWATCH, "Condition": OF_THE_ACCOUNT}
    customers = key_with(aws, *([for_alarms] if key == "open" else []))
    topic_arn = topic(aws, KmsMasterKeyId="alias/aws/sns" if key == "managed" else customers)
    told = sound_alarm(aws, topic_arn)
    assert told.startswith("Successfully") is (key == "open"), told
    assert ("kms:GenerateDataKey" in told) is (key != "open"), told


@pytest.mark.fidelity(
    "SNS",
    "SNS sends to a subscribed queue only what the queue's policy allows sns.amazonaws.com; else the message counts as"
    " NumberOfNotificationsFailed and goes to the subscription's dead-letter queue.",
    "SNS developer guide, 'Fanout to Amazon SQS queues', 'Amazon SNS dead-letter queues', 'Monitoring topics using"
    " CloudWatch'",
)
def test_a_topic_reaches_only_a_queue_that_lets_it_in(aws: Any) -> None:
    sns, topic_arn = aws.client("sns"), topic(aws)
    (closed_url, closed), (dead_url, dead), (open_url, opened) = queue(aws, None), queue(aws), queue(aws)
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead})}
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=closed, Attributes=redrive)
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=opened)
    sns.publish(TopicArn=topic_arn, Message="hello")
    assert first_message(aws, open_url)["Message"] == first_message(aws, dead_url)["Message"] == "hello"
    assert heard(aws, closed_url) == []
    assert sum_of(aws, "NumberOfNotificationsDelivered", topic_arn) == 1
    assert sum_of(aws, "NumberOfNotificationsFailed", topic_arn) == 1
    assert sum_of(aws, "NumberOfNotificationsRedrivenToDlq", topic_arn) == 1


@pytest.mark.fidelity(
    "SQS",
    "A service sends to an encrypted queue only where the key's policy lets it use the key.",
    "SQS developer guide, 'Key management', Enable compatibility between event sources from AWS services and encrypted"
    " queues",
)
def test_an_encrypted_queue_needs_its_keys_leave_too(aws: Any) -> None:
    for_topics = {**allow("kms:Decrypt", "kms:GenerateDataKey*"), "Principal": {"Service": "sns.amazonaws.com"}}
    closed_url, closed = queue(aws, KmsMasterKeyId=key_with(aws))
    open_url, opened = queue(aws, KmsMasterKeyId=key_with(aws, for_topics))
    sns, topic_arn = aws.client("sns"), topic(aws)
    for arn in (closed, opened):
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic_arn, Message="hello")
    assert first_message(aws, open_url)["Message"] == "hello"
    assert heard(aws, closed_url) == []


@pytest.mark.fidelity(
    "SNS",
    "Who publishes to a topic, or sends to a queue, under a customer's key needs kms:GenerateDataKey and kms:Decrypt on"
    " it, who receives kms:Decrypt.",
    "SNS developer guide, 'Key management', Grant a user permission to publish; SQS developer guide, 'Key management'",
)
def test_callers_need_the_key_of_what_is_encrypted(aws: Any) -> None:
    key = key_with(aws)
    topic_arn, (url, _arn) = topic(aws, KmsMasterKeyId=key), queue(aws, None, KmsMasterKeyId=key)
    role = make_role(aws, ACCOUNT, allow("sns:*", "sqs:*"), name=unique("messenger"))
    sns, sqs = (aws.client(service, assumed(aws, role)) for service in ("sns", "sqs"))
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        sns.publish(TopicArn=topic_arn, Message="hello")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        sqs.send_message(QueueUrl=url, MessageBody="hello")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        sqs.receive_message(QueueUrl=url)
    via = {"StringLike": {"kms:ViaService": ["sns.*.amazonaws.com", "sqs.*.amazonaws.com"]}}
    statement = {**allow("kms:Decrypt", "kms:GenerateDataKey"), "Condition": via}
    aws.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2], PolicyName="key", PolicyDocument=policy(statement)
    )
    sns.publish(TopicArn=topic_arn, Message="hello")
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["hello"]


@pytest.mark.fidelity(
    "Lambda",
    "A topic invokes a function only where the function's own policy lets sns.amazonaws.com.",
    "Lambda developer guide, 'Invoking Lambda functions with Amazon SNS notifications'",
)
def test_a_topic_invokes_only_a_function_that_lets_it(aws: Any) -> None:
    told_url, told = queue(aws, None)
    code = (
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    body = event['Records'][0]['Sns']['Message']\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['TOLD'], MessageBody=body)\n"
    )
    role = make_role(aws, "lambda.amazonaws.com", allow("sqs:SendMessage", resource=told))
    name = unique("listener")
    function = make_function(aws, name, code, role, Environment={"Variables": {"TOLD": told_url}})
    sns, topic_arn = aws.client("sns"), topic(aws)
    sns.subscribe(TopicArn=topic_arn, Protocol="lambda", Endpoint=function)
    sns.publish(TopicArn=topic_arn, Message="unheard")
    aws.client("lambda").add_permission(
        FunctionName=name,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic_arn,
    )
    sns.publish(TopicArn=topic_arn, Message="heard")
    assert until(lambda: heard(aws, told_url), "the function")[0]["Body"] == "heard"
    assert heard(aws, told_url) == []


@pytest.mark.fidelity(
    "S3",
    "PutBucketNotificationConfiguration refuses a queue, topic or function whose policy doesn't let s3.amazonaws.com in"
    " for the bucket; where the policy closes later, nothing is delivered.",
    "S3 user guide, 'Granting permissions to publish event notification messages to a destination';"
    " PutBucketNotificationConfiguration, API reference ('Unable to validate the following destination')",
)
def test_a_bucket_tells_only_what_lets_it(aws: Any) -> None:
    s3, sqs, bucket = aws.client("s3"), aws.client("sqs"), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    url, arn = queue(aws, None)
    function = make_function(aws, unique("f"), "def handler(e, c): pass", make_role(aws, "lambda.amazonaws.com"))
    created = {"Events": ["s3:ObjectCreated:*"]}
    to_queue = {"QueueConfigurations": [{"QueueArn": arn, **created}]}
    closed = (
        to_queue,
        {"TopicConfigurations": [{"TopicArn": topic(aws), **created}]},
        {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": function, **created}]},
    )
    for configuration in closed:
        with pytest.raises(ClientError, match="Unable to validate the following destination configurations: arn:aws:"):
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    of_the_bucket = {"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}, **OF_THE_ACCOUNT}}
    statement = {**allow("sqs:SendMessage"), "Principal": {"Service": "s3.amazonaws.com"}, **of_the_bucket}
    other_url, other = queue(aws, "s3.amazonaws.com")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
    # S3 takes no two rules that one event fits: the objects are apart, the test event goes to both.
    filters = [
        {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": each}]}}} for each in ("closed/", "open/")
    ]
    rules = [{"QueueArn": each, **created, **only} for each, only in zip((arn, other), filters, strict=True)]
    both = {"QueueConfigurations": rules}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=both)
    assert first_message(aws, url)["Event"] == first_message(aws, other_url)["Event"] == "s3:TestEvent"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    for key in ("closed/k", "open/k"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    told = until(lambda: [m for m in heard(aws, other_url) if "TestEvent" not in m["Body"]], "the bucket's event")
    assert json.loads(told[0]["Body"])["Records"][0]["eventName"] == "ObjectCreated:Put"
    assert [m for m in heard(aws, url) if "TestEvent" not in m["Body"]] == []
