"""Names and limits of the services that stacks use: what AWS refuses, in its words, and what it takes."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.ministack_adapter.limits import (
    alarms,
    functions,
    input_paths,
    log_names,
    metrics,
    notifications,
    objects,
    queues,
    rules,
    topics,
)
from localaws.ministack_adapter.limits.refusals import Check, Document

NAME = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


def said(check: Check, **request: Any) -> str:
    """The code and message of a refusal, or nothing."""
    found = check(request)
    return f"{found.code}: {found.message}" if found else ""


@pytest.mark.fidelity(
    "SQS",
    "A queue's name has 1 to 80 alphanumeric characters, hyphens or underscores; a FIFO queue's ends in .fifo.",
    "SQS API, CreateQueue; celery/kombu, SQS transport; getmoto/moto",
)
@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("a b", {}, f"InvalidParameterValue: {NAME}"),
        ("a" * 81, {}, f"InvalidParameterValue: {NAME}"),
        ("a.fifo", {}, f"InvalidParameterValue: {NAME}"),
        ("a" * 76 + ".fifo", {"FifoQueue": "true"}, f"InvalidParameterValue: {NAME}"),
        ("a" * 80, {}, ""),
        ("a-B_1", {"VisibilityTimeout": "1"}, ""),
        ("a" * 75 + ".fifo", {"FifoQueue": "true"}, ""),
        ("a", {"Nope": "1"}, "InvalidAttributeName: Unknown Attribute Nope."),
        ("a", {"Policy": "{"}, "InvalidAttributeValue: Invalid value for the parameter Policy."),
    ],
)
def test_queues(name: str, attributes: Document, expected: str) -> None:
    assert said(queues.CHECKS["CreateQueue"], QueueName=name, Attributes=attributes) == expected


@pytest.mark.fidelity(
    "SQS", "A message waits 15 minutes at most, and a long poll 20 seconds.", "SQS API, SendMessage, ReceiveMessage"
)
def test_times_of_messages() -> None:
    assert "DelaySeconds must be >= 0 and <= 900" in said(queues.CHECKS["SendMessage"], DelaySeconds=901)
    assert "Must be >= 0 and <= 20" in said(queues.CHECKS["ReceiveMessage"], WaitTimeSeconds="21")
    assert said(queues.CHECKS["SendMessage"], DelaySeconds=900) == said(queues.CHECKS["ReceiveMessage"]) == ""


@pytest.mark.fidelity(
    "SNS",
    "Invalid parameter: Topic Name, Empty message, Subject (100 characters, one line), and unknown protocols.",
    "SNS API, CreateTopic, Publish, Subscribe: InvalidParameter",
)
@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("_create_topic", {"Name": "a b"}, "Topic Name"),
        ("_create_topic", {"Name": "a" * 257}, "Topic Name"),
        ("_create_topic", {"Name": "a" * 256}, ""),
        ("_create_topic", {"Name": "a.fifo"}, ""),
        ("_publish", {"Message": ""}, "Empty message"),
        ("_publish", {"Message": "m", "Subject": "s" * 101}, "Subject"),
        ("_publish", {"Message": "m", "Subject": "a\nb"}, "Subject"),
        ("_publish", {"Message": "m", "Subject": ""}, "Subject"),
        ("_publish", {"Message": "m", "Subject": "s" * 100}, ""),
        ("_subscribe", {"Protocol": "pigeon"}, "Amazon SNS does not support this protocol string: pigeon"),
        ("_subscribe", {"Protocol": "sqs"}, ""),
    ],
)
def test_topics(operation: str, request_: Document, expected: str) -> None:
    wanted = f"InvalidParameter: Invalid parameter: {expected}" if expected else ""
    assert said(topics.CHECKS[operation], **request_) == wanted


def notification(*configurations: tuple[str, dict[str, str] | list[tuple[str, str]]], namespace: str = "") -> str:
    """The refusal of a configuration: for each queue the kind of event, and its filter."""
    made = ""
    for event, filters in configurations:
        pairs = filters.items() if isinstance(filters, dict) else filters
        rules = "".join(f"<FilterRule><Name>{n}</Name><Value>{v}</Value></FilterRule>" for n, v in pairs)
        made += f"<QueueConfiguration><Queue>q</Queue><Event>{event}</Event><Filter><S3Key>{rules}</S3Key></Filter>"
        made += "</QueueConfiguration>"
    found = notifications.refusal(f"<NotificationConfiguration{namespace}>{made}</NotificationConfiguration>".encode())
    return f"{found.code}: {found.message}" if found else ""


CREATED, PUT, REMOVED = "s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectRemoved:*"


@pytest.mark.fidelity(
    "S3",
    "Cannot specify more than one prefix rule in a filter., likewise suffixes.",
    "minio/minio, api-errors.go (of S3); aws/aws-cdk, notifications-resource.ts",
)
def test_a_filter_has_one_prefix_and_one_suffix() -> None:
    for name in ("prefix", "suffix"):
        refused = notification((CREATED, [(name, "a"), (name.capitalize(), "b")]))
        assert refused == f"InvalidArgument: Cannot specify more than one {name} rule in a filter."
    assert "must be either prefix or suffix" in notification((CREATED, {"infix": "a"}))
    assert notification((CREATED, {"prefix": "a", "suffix": "b"})) == ""


@pytest.mark.fidelity(
    "S3",
    "Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.",
    "matt-filion/serverless-external-s3-event #53, #84",
)
@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((CREATED, {"prefix": "a"}), (CREATED, {"prefix": "ab"}), True),
        ((CREATED, {}), (PUT, {"suffix": ".csv"}), True),
        ((CREATED, {"suffix": ".tar.gz"}), (CREATED, {"suffix": ".gz"}), True),
        ((CREATED, {"prefix": "a", "suffix": ".csv"}), (CREATED, {"prefix": "ab", "suffix": ".json"}), False),
        ((CREATED, {"prefix": "a/"}), (CREATED, {"prefix": "b/"}), False),
        ((CREATED, {}), (REMOVED, {}), False),
    ],
)
def test_filters_that_overlap(one: Any, other: Any, overlap: bool) -> None:
    assert notification(one, other).startswith("InvalidArgument: Configuration is ambiguously defined.") is overlap
    spaced = notification(one, other, namespace=' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"')
    assert bool(spaced) is overlap


@pytest.mark.fidelity(
    "Lambda",
    "… because the environment variables you have provided exceeded the 4KB limit. String measured: {…}.",
    "aws-samples/aws-genai-llm-chatbot #583; github-aws-runners/terraform-aws-github-runner #3594",
)
@pytest.mark.fidelity(
    "Lambda",
    "Lambda reserves keys: … Reserved keys used in this request: AWS_REGION, ….",
    "Lambda DG, Troubleshoot deployment issues: InvalidParameterValueException",
)
def test_variables_of_a_function() -> None:
    def variables(**values: str) -> str:
        return said(functions.of_configuration, Environment={"Variables": values})

    room = 4096 - len('{"AB":""}')
    assert variables(AB="x" * room) == ""
    assert "exceeded the 4KB limit. String measured: {" in variables(AB="x" * (room + 1))
    assert "exceeded the 4KB limit" in variables(AB="é" * (room // 2 + 1)), "bytes, not characters"
    reserved = variables(AWS_REGION="x", AWS_SESSION_TOKEN="y", MY="z")
    assert reserved.endswith("Reserved keys used in this request: AWS_REGION, AWS_SESSION_TOKEN")
    assert "Map keys must satisfy [a-zA-Z]" in variables(**{"1A": "x"})


@pytest.mark.fidelity(
    "Lambda",
    "A function's name has 64 characters, it runs for 900 seconds and has 128 to 10,240 MB.",
    "Lambda DG, Lambda quotas; API, CreateFunction",
)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"FunctionName": "a b"}, "Value 'a b' at 'functionName' failed"),
        ({"FunctionName": "a" * 65}, "Member must have length less than or equal to 64"),
        ({"MemorySize": 10241}, "Member must have value less than or equal to 10240"),
        (
            {"Timeout": 901},
            "at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
        ),
        ({"Description": "x" * 257}, "Member must have length less than or equal to 256"),
        ({"Handler": "a b"}, r"Member must satisfy regular expression pattern: [^\s]+"),
        ({}, ""),
        ({"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:ok"}, ""),
    ],
)
def test_functions(change: Document, expected: str) -> None:
    request = {"FunctionName": "ok", "MemorySize": 128, "Timeout": 900, "Handler": "index.handler", **change}
    found = said(functions.CHECKS["_create_function"], **request)
    assert (expected in found) if expected else not found


@pytest.mark.fidelity(
    "Lambda",
    "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10.",
    "localstack/localstack, lambda provider (against AWS)",
)
def test_mappings_of_queues() -> None:
    def mapping(**more: Any) -> str:
        return said(functions.CHECKS["_create_esm"], EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q", **more)

    assert "Maximum batch window in seconds must be greater than 0" in mapping(BatchSize=11)
    assert mapping(BatchSize=11, MaximumBatchingWindowInSeconds=1) == mapping(BatchSize=10) == mapping() == ""
    assert "less than or equal to 10000" in mapping(BatchSize=10001, MaximumBatchingWindowInSeconds=1)


@pytest.mark.fidelity(
    "EventBridge",
    "A rule has a name of 64 characters, and a pattern or a schedule: rate(1 minute), rate(5 minutes).",
    "EventBridge API, PutRule; User Guide, Rate expressions; getmoto/moto, events",
)
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"Name": "a b", "EventPattern": "{}"}, r"satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"),
        ({"Name": "a" * 65, "EventPattern": "{}"}, "less than or equal to 64"),
        ({"Name": "a"}, "Parameter(s) EventPattern or ScheduleExpression must be specified."),
        ({"Name": "a", "ScheduleExpression": "rate(1 minutes)"}, "Parameter ScheduleExpression is not valid."),
        ({"Name": "a", "ScheduleExpression": "rate(5 minute)"}, "Parameter ScheduleExpression is not valid."),
        ({"Name": "a", "ScheduleExpression": "rate(0 minutes)"}, "Parameter ScheduleExpression is not valid."),
        ({"Name": "a", "ScheduleExpression": "rate(1 minute)"}, ""),
        ({"Name": "a", "ScheduleExpression": "rate(7 days)"}, ""),
        ({"Name": "a", "ScheduleExpression": "cron(0 1 * * ? *)"}, ""),
    ],
)
def test_rules(request_: Document, expected: str) -> None:
    found = said(rules.CHECKS["_put_rule"], **request_)
    assert (expected in found) if expected else not found


@pytest.mark.fidelity(
    "EventBridge",
    "A rule has five targets, each with one of Input, InputPath and InputTransformer, and a role where it needs one.",
    "EventBridge User Guide, Quotas; getmoto/moto and localstack/localstack, events",
)
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"Input": "{", }, "JSON syntax error in input for target t"),
        ({"Input": "{}", "InputPath": "$.detail"},
         "Only one of Input, InputPath, or InputTransformer must be provided for target t."),
        ({"InputPath": "detail"}, "Invalid InputPath for target t: 'detail' must be a JSONPath"),
        ({"InputTransformer": {"InputPathsMap": {"a": "$.a[0]", "b": "x"}, "InputTemplate": "<a>"}}, "'x' must be"),
        ({"Arn": "arn:aws:states:r:1:stateMachine:m"}, "RoleArn is required for target arn:aws:states"),
        ({"Arn": "arn:aws:states:r:1:stateMachine:m", "RoleArn": "arn:aws:iam::1:role/r"}, ""),
        ({"Input": '"text"'}, ""),
        ({"InputPath": "$"}, ""),
        ({"InputTransformer": {"InputPathsMap": {"a": "$.resources[0]"}, "InputTemplate": "<a>"}}, ""),
    ],
)  # fmt: skip
def test_targets(target: Document, expected: str) -> None:
    found = said(rules.CHECKS["_put_targets"], Rule="r", Targets=[{"Id": "t", "Arn": "arn:q", **target}])
    assert (expected in found) if expected else not found
    six = [{"Id": str(number), "Arn": "arn:q"} for number in range(6)]
    assert said(rules.CHECKS["_put_targets"], Rule="r", Targets=six).startswith("LimitExceededException: ")


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "Names of groups have letters, digits and . - _ / #; names of streams neither colon nor asterisk; 512 characters.",
    "botocore, logs: LogGroupName, LogStreamName",
)
def test_names_of_logs() -> None:
    group, stream = log_names.CHECKS["_create_log_group"], log_names.CHECKS["_create_log_stream"]
    assert said(group, logGroupName="a b").startswith(
        "InvalidParameterException: 1 validation error detected: Value 'a b'"
    )
    assert "less than or equal to 512" in said(group, logGroupName="a" * 513)
    assert "at 'logStreamName' failed" in said(stream, logGroupName="g", logStreamName="a:b")
    assert said(group, logGroupName="/aws/lambda/x") == said(stream, logStreamName="2026/[1]x") == ""


def test_paths_with_indices_and_quoted_names_become_dotted() -> None:
    paths = {"a": "$.resources[0]", "b": "$.detail['x y'][1].z", "c": '$["detail-type"]', "d": "$.detail"}
    dotted = input_paths.dotted({"InputPathsMap": paths, "InputTemplate": "<a>"})
    assert dotted["InputPathsMap"] == {
        "a": "$.resources.0", "b": "$.detail.x y.1.z", "c": "$.detail-type", "d": "$.detail",
    }  # fmt: skip
    event = input_paths.indexed({"resources": ["r"], "detail": {"l": [{"z": [1, 2]}]}})
    assert event["resources"]["0"] == "r"
    assert event["detail"]["l"]["0"]["z"]["1"] == 2
    assert event == {"resources": ["r"], "detail": {"l": [{"z": [1, 2]}]}}


@pytest.mark.fidelity(
    "CloudWatch",
    "An alarm's period is 10, 20, 30 or a multiple of 60 seconds; its window a day or, by the hour, a week.",
    "CloudWatch API, PutMetricAlarm: Period, EvaluationPeriods",
)
@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        ({"Period": 7}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": "90"}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": 60, "EvaluationPeriods": 1441}, "across more than a day"),
        ({"Period": "3600", "EvaluationPeriods": "169"}, "across more than a week"),
        ({"Period": 60, "EvaluationPeriods": 1440}, ""),
        ({"Period": 10}, ""),
        ({"Metrics": []}, ""),
    ],
)
def test_windows_of_alarms(alarm: Document, expected: str) -> None:
    told = said(alarms.refusal, **alarm)
    assert (expected in told) if expected else not told


@pytest.mark.fidelity(
    "CloudWatch",
    "DatapointsToAlarm is at most EvaluationPeriods; TreatMissingData has four values.",
    "CloudWatch API, PutMetricAlarm: DatapointsToAlarm, TreatMissingData, ExtendedStatistic",
)
@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        ({"DatapointsToAlarm": 3, "EvaluationPeriods": 2}, "DatapointsToAlarm must be less than or equal"),
        ({"Statistic": "Sum", "ExtendedStatistic": "p90"}, "can't both be given"),
        ({"TreatMissingData": "nope"}, "Option nope not supported for parameter TreatMissingData"),
        ({"DatapointsToAlarm": 2, "EvaluationPeriods": 2, "TreatMissingData": "ignore"}, ""),
    ],
)
def test_datapoints_of_alarms(alarm: Document, expected: str) -> None:
    told = said(alarms.refusal, **alarm)
    assert (expected in told) if expected else not told


@pytest.mark.fidelity(
    "EventBridge",
    "An event has Source, DetailType and Detail, a JSON object, or its entry fails: InvalidArgument, MalformedDetail.",
    "EventBridge API, PutEventsResultEntry; getmoto/moto, events: put_events",
)
def test_events() -> None:
    event = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    assert rules.failure_of(event) is None
    for field in event:
        told = f"Parameter {field} is not valid. Reason: {field} is a required argument."
        assert rules.failure_of({**event, field: ""}) == {"ErrorCode": "InvalidArgument", "ErrorMessage": told}
    for detail in ("{", "[1]", "1"):
        failed = {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        assert rules.failure_of({**event, "Detail": detail}) == failed


@pytest.mark.fidelity(
    "EventBridge",
    "The entries of a PutEvents have less than 1 MB together.",
    "EventBridge API, PutEvents",
)
def test_the_size_of_events() -> None:
    put, half = rules.CHECKS["_put_events"], {"Source": "s", "DetailType": "t", "Detail": "x" * 524_288}
    assert said(put, Entries=[half, half]) == (
        "ValidationException: Total size of the entries in the request is over the limit."
    )
    assert said(put, Entries=[half]) == ""


@pytest.mark.fidelity(
    "SNS",
    "A subscription by email needs an address, and a filter policy is JSON.",
    "SNS API, Subscribe: InvalidParameter; localstack/localstack, snapshots of SNS",
)
def test_subscriptions() -> None:
    subscribe, change = topics.CHECKS["_subscribe"], topics.CHECKS["_set_subscription_attributes"]
    email = "InvalidParameter: Invalid parameter: Email address"
    assert said(subscribe, Protocol="email", Endpoint="nobody") == email
    assert said(topics.of_subscription_resource, Protocol="email-json", Endpoint="a b@c") == email
    policy = {"Attributes.entry.2.key": "FilterPolicy", "Attributes.entry.2.value": "{"}
    told = "InvalidParameter: Invalid parameter: FilterPolicy: failed to parse JSON."
    assert said(subscribe, Protocol="sqs", Endpoint="arn:aws:sqs:::q", **policy) == told
    assert said(change, AttributeName="FilterPolicy", AttributeValue="nope") == told
    assert said(change, AttributeName="FilterPolicy", AttributeValue='{"a": ["b"]}') == ""
    assert said(subscribe, Protocol="email", Endpoint="a@b.c") == ""


@pytest.mark.fidelity(
    "CloudWatch",
    "PutMetricData takes finite values up to 2^360, one of Value and Values, 30 dimensions, and 1,000 metrics at once.",
    "CloudWatch API, PutMetricData, MetricDatum; getmoto/moto, cloudwatch",
)
@pytest.mark.parametrize(
    ("datum", "expected"),
    [
        ({"Value": float("nan")}, "Value: The value NaN for parameter MetricData.member.2.Value is invalid."),
        ({"Value": float("-inf")}, "The value -inf for parameter MetricData.member.2.Value is invalid."),
        ({"Value": 2.0**361}, "for parameter MetricData.member.2.Value is invalid."),
        ({"Values": [1.0, float("nan")]}, "MetricData.member.2.Values.member.2 is invalid."),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination: The parameters MetricData.member.2.Value and"),
        ({"Value": 1.0, "Dimensions": [{}] * 31}, "member.2.Dimensions must not have a size greater than 30."),
        ({"Values": [1.0] * 151}, "MetricData.member.2.Values must not have a size greater than 150."),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "must be of the same size."),
        ({"Value": 0.0, "Dimensions": [{}] * 30}, ""),
        ({"Value": "NaN"}, "The value NaN for parameter MetricData.member.2.Value is invalid."),
        ({"Value": 1.0, "StatisticValues": {"Sum": 1.0}}, "MetricData.member.2.StatisticValues are mutually exclusive"),
        ({"StatisticValues": {"Sum": 1.0}}, ""),
    ],
)  # fmt: skip
def test_data_of_metrics(datum: Document, expected: str) -> None:
    told = said(metrics.refusal, MetricData=[{"Value": 1.0}, datum])
    assert (expected in told) if expected else not told
    assert "must not have a size greater than 1000" in said(metrics.refusal, MetricData=[datum] * 1001)


@pytest.mark.fidelity(
    "S3",
    "A key has 1,024 bytes, an object's metadata 2 KB, and a DeleteObjects 1,000 keys.",
    "S3 User Guide, Naming objects, Working with object metadata; S3 API, Error responses, DeleteObjects",
)
def test_objects() -> None:
    def code(key: str, **metadata: str) -> str:
        found = objects.refusal(key, {f"x-amz-meta-{name}": value for name, value in metadata.items()})
        return found.code if found else ""

    assert [code("k" * 1024), code("k" * 1025), code("\u00e9" * 513)] == ["", "KeyTooLongError", "KeyTooLongError"]
    assert [code("k", a="x" * 2047), code("k", a="x" * 1000, b="x" * 1047)] == ["", "MetadataTooLarge"]
    body = b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1000
    assert objects.of_deletion(body) is None
    more = objects.of_deletion(body + b"<Object><Key>k</Key></Object>")
    assert more is not None
    assert more.code == "MalformedXML"
