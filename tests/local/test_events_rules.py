"""Rules: patterns over S3's events, and what their targets are given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stacks import attribute, ref, resource, stack
from waiting import until


def received(aws: Any, url: str, count: int) -> list[Any]:
    """The bodies of `count` messages, as JSON."""
    bodies: list[Any] = []

    def look() -> bool:
        answer = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        bodies.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return len(bodies) >= count

    until(look, f"{count} messages")
    return bodies


def resources(pattern: dict[str, Any], **target: Any) -> dict[str, Any]:
    """A bucket whose objects' events that match reach a queue."""
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": attribute("Queue", "Arn"),
        "Condition": {"ArnEquals": {"aws:SourceArn": attribute("Rule", "Arn")}},
    }
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    detail = {"bucket": {"name": [ref("Data")]}, **pattern}
    created = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
    notification = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    return {
        "Data": resource("AWS::S3::Bucket", NotificationConfiguration=notification),
        "Queue": resource("AWS::SQS::Queue"),
        "Policy": resource("AWS::SQS::QueuePolicy", PolicyDocument=policy, Queues=[ref("Queue")]),
        "Rule": resource(
            "AWS::Events::Rule",
            EventPattern=created,
            Targets=[{"Id": "q", "Arn": attribute("Queue", "Arn"), **target}],
        ),
    }


@pytest.mark.fidelity(
    "EventBridge",
    "Object Created has bucket, key, size and reason; patterns know prefix, suffix and wildcard.",
    "S3 User Guide, EventBridge event message structure; EventBridge User Guide, Comparison operators",
)
def test_prefixes_and_suffixes_of_keys_choose_the_objects(aws: Any) -> None:
    key = [{"prefix": "train/"}, {"suffix": ".csv"}, {"wildcard": "a/*/b"}]
    made = stack(aws, resources({"object": {"key": key}}))
    s3, bucket = aws.client("s3"), made.physical_id("Data")
    for name in ("train/x", "other/y.csv", "a/1/b", "other/z", "trains"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"12")
    events = received(aws, made.physical_id("Queue"), 3)
    assert {event["detail"]["object"]["key"] for event in events} == {"train/x", "other/y.csv", "a/1/b"}
    event = next(event for event in events if event["detail"]["object"]["key"] == "train/x")
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]
    assert (event["detail"]["object"]["size"], event["detail"]["reason"]) == (2, "PutObject")


@pytest.mark.fidelity(
    "EventBridge",
    "InputTransformer fills <names> from InputPathsMap.",
    "EventBridge User Guide, Input transformation",
)
def test_an_input_transformer_makes_the_message(aws: Any) -> None:
    transformer = {
        "InputPathsMap": {"key": "$.detail.object.key", "size": "$.detail.object.size"},
        "InputTemplate": '{"kind": "data", "key": <key>, "size": <size>}',
    }
    made = stack(aws, resources({}, InputTransformer=transformer))
    aws.client("s3").put_object(Bucket=made.physical_id("Data"), Key="k", Body=b"123")
    assert received(aws, made.physical_id("Queue"), 1) == [{"kind": "data", "key": "k", "size": 3}]


@pytest.mark.fidelity(
    "EventBridge",
    "What a target refuses goes to the target's dead-letter queue.",
    "EventBridge User Guide, Dead-letter queues",
)
def test_what_the_queue_does_not_allow_goes_to_the_dead_letter_queue(aws: Any) -> None:
    def without_policy(**target: Any) -> dict[str, Any]:
        return {name: made for name, made in resources({}, **target).items() if name != "Policy"}

    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    dead = {
        "Dead": resource("AWS::SQS::Queue"),
        "DeadPolicy": resource("AWS::SQS::QueuePolicy", PolicyDocument=policy, Queues=[ref("Dead")]),
    }
    made = stack(aws, {**without_policy(DeadLetterConfig={"Arn": attribute("Dead", "Arn")}), **dead})
    aws.client("s3").put_object(Bucket=made.physical_id("Data"), Key="k", Body=b"123")
    assert received(aws, made.physical_id("Dead"), 1)
    answer = aws.client("sqs").receive_message(QueueUrl=made.physical_id("Queue"))
    assert "Messages" not in answer
