"""Whatever was acknowledged is there after `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, invoke, make_function, make_role, unique
from running_aws import AwsFactory
from waiting import until

from localaws.ministack_adapter.request_effects import changed_services


def killed_and_back(factory: Any, aws: Any) -> Any:
    os.kill(aws.server.pid, signal.SIGKILL)
    return factory.start()


def make_table(aws: Any, name: str) -> Any:
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("p", "s")],
        BillingMode="PAY_PER_REQUEST",
    )
    return dynamodb


def key(p: str, s: str = "-") -> dict[str, Any]:
    return {"p": {"S": p}, "s": {"S": s}}


def items(aws: Any, table: str) -> dict[str, Any]:
    found = aws.client("dynamodb").scan(TableName=table)["Items"]
    return {item["p"]["S"]: {k: v for k, v in item.items() if k not in ("p", "s")} for item in found}


# Each writes, and returns what its test must know. What has a moment to hit comes last: then the AWS is killed.


def writes_items(aws: Any) -> None:
    dynamodb = make_table(aws, "runs")
    for name in "abc":
        dynamodb.put_item(TableName="runs", Item={**key(name), "n": {"N": "1"}, "raw": {"B": b"\x00\xff"}})
    dynamodb.update_item(
        TableName="runs", Key=key("a"), UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}}
    )
    dynamodb.delete_item(TableName="runs", Key=key("b"))
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "runs", "Item": key("d")}}])
    make_table(aws, "given-up").put_item(TableName="given-up", Item=key("a"))
    dynamodb.delete_table(TableName="given-up")


def sends_messages(aws: Any) -> str:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    first, second = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    return str(second["Body"])


def puts_objects(aws: Any) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="data", Key="a/b", Body=b"one", Metadata={"colour": "green"})["VersionId"]
    s3.put_object(Bucket="data", Key="a/b", Body=b"two")
    s3.put_object(Bucket="data", Key="gone", Body=b"x")
    s3.delete_object(Bucket="data", Key="gone")
    return str(first)


def makes_roles_functions_and_logs(aws: Any) -> tuple[dict[str, Any], bytes]:
    role = make_role(aws, "lambda.amazonaws.com", name="r")
    make_function(aws, "f", "def handler(event, context): print('said'); return event", role)
    session = assumed(aws, make_role(aws, aws.server.account, allow("s3:ListAllMyBuckets"), name="user"))
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    now = int(time.time() * 1000)
    for start in range(0, 900, 300):
        lines = [{"timestamp": now + start + n, "message": str(start + n)} for n in range(300)]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=lines)
    aws.client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 4.0}])
    secret = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    return session, aws.client("kms").encrypt(KeyId=secret, Plaintext=b"plain")["CiphertextBlob"]


ARRIVED = {f"k{number}" for number in range(200)}


def lets_events_happen(aws: Any) -> None:
    """S3 -> EventBridge -> SQS -> Lambda -> DynamoDB, and an invocation that takes a second."""
    make_table(aws, "seen")
    role = make_role(aws, "lambda.amazonaws.com", allow("dynamodb:PutItem"), allow("sqs:*"), name="seeing")
    code = (
        "import boto3, json, time\n"
        "def seen(name):\n"
        "    boto3.client('dynamodb').put_item(TableName='seen', Item={'p': {'S': name}, 's': {'S': '-'}})\n"
        "def handler(event, context):\n"
        "    for record in event['Records']:\n"
        "        seen(json.loads(record['body'])['detail']['object']['key'])\n"
        "def slow(event, context):\n"
        "    time.sleep(1)\n"
        "    seen(event)\n"
    )
    make_function(aws, "see", code, role, Timeout=30, MemorySize=256)
    make_function(aws, "slow", code, role, Timeout=30, Handler="index.slow")
    arn = f"arn:aws:sqs:us-east-1:{aws.server.account}:arrivals"
    statement = {**allow("sqs:SendMessage"), "Principal": {"Service": "events.amazonaws.com"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("sqs").create_queue(QueueName="arrivals", Attributes={"VisibilityTimeout": "30", "Policy": policy})
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="arrivals")
    s3.put_bucket_notification_configuration(
        Bucket="arrivals", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    events = aws.client("events")
    events.put_rule(Name="arrived", EventPattern=json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"]}))
    events.put_targets(Rule="arrived", Targets=[{"Id": "1", "Arn": arn}])
    aws.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName="see", BatchSize=10)
    aws.client("lambda").invoke(FunctionName="slow", InvocationType="Event", Payload='"later"')
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda name: s3.put_object(Bucket="arrivals", Key=name, Body=b"x"), ARRIVED))


Wrote = tuple[Any, dict[Any, Any]]
WRITTEN = (writes_items, sends_messages, puts_objects, makes_roles_functions_and_logs, lets_events_happen)


@pytest.fixture(scope="module")
def wrote(tmp_path_factory: pytest.TempPathFactory, images: Any) -> Iterator[Wrote]:
    """An AWS that was killed when all had been acknowledged and came back, and what was told when it was written."""
    factory = AwsFactory(tmp_path_factory.mktemp("durable"))
    aws = factory.start()
    known = {writes: writes(aws) for writes in WRITTEN}
    yield killed_and_back(factory, aws), known
    factory.stop()


def test_items_of_a_table(wrote: Wrote) -> None:
    aws, _ = wrote
    raw = {"raw": {"B": b"\x00\xff"}}
    assert items(aws, "runs") == {"a": {"n": {"N": "2"}, **raw}, "c": {"n": {"N": "1"}, **raw}, "d": {}}
    make_table(aws, "given-up")
    assert items(aws, "given-up") == {}


@pytest.mark.fidelity(
    "SQS",
    "A message that isn't deleted is delivered again after its visibility timeout.",
    "SQS DG, Amazon SQS visibility timeout",
)
def test_messages_that_were_not_deleted_are_delivered_again(wrote: Wrote) -> None:
    aws, known = wrote
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert bodies == [known[sends_messages], "2"]


def test_objects_versions_and_what_a_bucket_is(wrote: Wrote) -> None:
    aws, known = wrote
    s3 = aws.client("s3")
    assert s3.get_object(Bucket="data", Key="a/b")["Body"].read() == b"two"
    old = s3.get_object(Bucket="data", Key="a/b", VersionId=known[puts_objects])
    assert (old["Body"].read(), old["Metadata"]) == (b"one", {"colour": "green"})
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="data")["Contents"]] == ["a/b"]
    assert s3.get_bucket_versioning(Bucket="data")["Status"] == "Enabled"


def test_roles_functions_sessions_and_logs(wrote: Wrote) -> None:
    aws, known = wrote
    session, sealed = known[makes_roles_functions_and_logs]
    assert invoke(aws, "f", [1]) == ([1], None)
    assert {"data", "arrivals"} == {bucket["Name"] for bucket in aws.client("s3", session).list_buckets()["Buckets"]}
    with pytest.raises(ClientError, match="not authorized"):
        aws.client("iam", session).list_roles()
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName="g")
    assert [event["message"] for page in pages for event in page["events"]] == [str(n) for n in range(900)]
    assert aws.client("kms").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"plain"
    assert [m["MetricName"] for m in aws.client("cloudwatch").list_metrics(Namespace="N")["Metrics"]] == ["m"]


def test_events_that_were_accepted_are_handled_after_a_kill(wrote: Wrote) -> None:
    """It was killed right after the last object was acknowledged."""
    aws, _ = wrote
    until(lambda: set(items(aws, "seen")) >= ARRIVED)


def test_an_asynchronous_invocation_outlives_a_kill(wrote: Wrote) -> None:
    aws, _ = wrote
    until(lambda: "later" in items(aws, "seen"))


@pytest.mark.fidelity(
    "DynamoDB",
    "Conditional writes are atomic: of many, one succeeds.",
    "DynamoDB DG, Condition expressions",
)
def test_conditional_writes_are_atomic(aws: Any) -> None:
    table = unique("lock")
    dynamodb = make_table(aws, table)

    def take(who: int) -> bool:
        try:
            dynamodb.put_item(TableName=table, Item=key("lock"), ConditionExpression="attribute_not_exists(p)")
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(take, range(64))) == 1


def scope(method: str = "POST", target: str = "", service: str = "dynamodb", path: str = "/") -> dict[str, Any]:
    authorization = f"AWS4-HMAC-SHA256 Credential=AKIA/20261120/us-east-1/{service}/aws4_request, SignedHeaders=host"
    headers = [(b"authorization", authorization.encode()), (b"x-amz-target", target.encode())]
    return {"method": method, "path": path, "query_string": b"", "headers": headers if target else headers[:1]}


@pytest.mark.parametrize(
    ("request_scope", "body", "services"),
    [
        (scope(target="DynamoDB_20120810.PutItem"), b"{}", {"dynamodb"}),
        (scope(target="DynamoDB_20120810.GetItem"), b"{}", set()),
        (scope(target="DynamoDB_20120810.Query"), b"{}", set()),
        (scope(target="AmazonSQS.SendMessage", service="sqs"), b"{}", {"sqs"}),
        (scope(target="AmazonSQS.ReceiveMessage", service="sqs"), b"{}", set()),
        (scope(target="AWSStepFunctions.StartExecution", service="states"), b"{}", {"stepfunctions"}),
        (scope(target="SageMaker.CreateTrainingJob", service="sagemaker"), b"{}", set()),
        (scope("PUT", service="s3", path="/bucket/key"), b"", {"s3", "sqs"}),
        (scope("GET", service="s3", path="/bucket/key"), b"", set()),
        (scope(service="iam"), b"Action=CreateRole&Version=1", {"iam"}),
        (scope(service="iam"), b"Version=1&Action=GetRole", set()),
        (scope(service="lambda", path="/2015-03-31/functions/f/invocations"), b"{}", set()),
        (scope(service="lambda", path="/2015-03-31/functions"), b"{}", {"lambda", "lambda_durable"}),
    ],
)
def test_only_requests_that_change_something_wait_for_the_disk(
    request_scope: dict[str, Any], body: bytes, services: set[str]
) -> None:
    assert changed_services(request_scope, body) == services
