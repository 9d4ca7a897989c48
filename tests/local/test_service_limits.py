"""Names and limits through the services' own requests and through stacks; what each check says is in the unit tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from refusals import refusal
from resources import first_message, make_role, open_queue, unique
from stacks import resource, stack

from localaws.ministack_adapter.limits import queues


def test_each_service_refuses(aws: Any) -> None:
    sqs, sns, events, logs, functions = (aws.client(name) for name in ("sqs", "sns", "events", "logs", "lambda"))
    assert refusal(sqs.create_queue, QueueName="a b") == ("InvalidParameterValue", queues.NAME_RULE)
    assert refusal(sns.create_topic, Name="a b") == ("InvalidParameter", "Invalid parameter: Topic Name")
    assert refusal(events.put_rule, Name="a b", EventPattern='{"source": ["x"]}')[0] == "ValidationException"
    assert refusal(logs.create_log_group, logGroupName="a b")[0] == "InvalidParameterException"
    role = make_role(aws, "lambda.amazonaws.com")
    variables = {"Variables": {"LONG": "x" * 4097}}
    code, message = refusal(
        functions.create_function, FunctionName="long", Role=role, Runtime="python3.13", Handler="i.h",
        Code={"ZipFile": b"x"}, Environment=variables,
    )  # fmt: skip
    assert (code, "exceeded the 4KB limit" in message) == ("InvalidParameterValueException", True)
    s3, bucket = aws.client("s3"), unique("notified")
    s3.create_bucket(Bucket=bucket)
    assert refusal(s3.put_object, Bucket=bucket, Key="k" * 1025)[0] == "KeyTooLongError"
    assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="k", Metadata={"a": "x" * 2048})[0] == (
        "MetadataTooLarge"
    )
    delete = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    assert refusal(s3.delete_objects, Bucket=bucket, Delete=delete)[0] == "MalformedXML"
    data = [{"MetricName": "m", "Value": float("nan")}]
    assert refusal(aws.client("cloudwatch").put_metric_data, Namespace="n", MetricData=data) == (
        "InvalidParameterValue", "The value NaN for parameter MetricData.member.1.Value is invalid."
    )  # fmt: skip
    _, arn = open_queue(aws, "s3.amazonaws.com")
    rules = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}] * 2
    code, message = refusal(
        s3.put_bucket_notification_configuration,
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": rules},
    )  # fmt: skip
    assert (code, message.startswith("Configuration is ambiguously defined.")) == ("InvalidArgument", True)


def test_a_stack_with_a_wrong_name_fails_with_the_reason(aws: Any) -> None:
    made = stack(aws, {"Q": resource("AWS::SQS::Queue", QueueName="a b"), "T": resource("AWS::SNS::Topic")})
    assert made.settled() == "ROLLBACK_COMPLETE"
    assert "Can only include alphanumeric characters" in made.reason("Q")
    wrong = stack(aws, {"T": resource("AWS::SNS::Topic", TopicName="a b")})
    assert "Invalid parameter: Topic Name" in wrong.reason("T")


@pytest.mark.fidelity(
    "EventBridge",
    "A path of an input transformer may have indices: $.resources[0].",
    "EventBridge User Guide, Input transformation: JSONPath",
)
def test_an_index_in_an_input_path(aws: Any) -> None:
    events, source = aws.client("events"), unique("source")
    url, arn = open_queue(aws, "events.amazonaws.com")
    transformer = {
        "InputPathsMap": {"r": "$.resources[0]", "d": "$.detail.l[1]", "q": "$['detail-type']"},
        "InputTemplate": '{"r": <r>, "d": <d>, "q": <q>}',
    }
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=source, Targets=[{"Id": "q", "Arn": arn, "InputTransformer": transformer}])
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"l": [1, 2]}), "Resources": ["arn:x"]}
    events.put_events(Entries=[entry])
    assert first_message(aws, url) == {"r": "arn:x", "d": 2, "q": "t"}


@pytest.mark.fidelity(
    "EventBridge",
    "PutEvents fails an entry whose detail is no JSON object with MalformedDetail; the others go through.",
    "EventBridge API, PutEventsResultEntry: ErrorCode MalformedDetail",
)
def test_a_malformed_detail_fails_its_entry_alone(aws: Any) -> None:
    entry = {"Source": unique("source"), "DetailType": "t"}
    answer = aws.client("events").put_events(Entries=[{**entry, "Detail": text} for text in ("{}", "{", "[1]", "{}")])
    assert answer["FailedEntryCount"] == 2
    assert [each.get("ErrorCode") for each in answer["Entries"]] == [None, "MalformedDetail", "MalformedDetail", None]
    assert all(answer["Entries"][index]["EventId"] for index in (0, 3))


def test_alarms_are_refused_by_the_api_and_in_stacks(aws: Any) -> None:
    alarm = {
        "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 90, "EvaluationPeriods": 1,
        "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    told = "Period must be 10, 20, 30 or a multiple of 60"
    assert refusal(aws.client("cloudwatch").put_metric_alarm, AlarmName=unique("a"), **alarm) == (
        "ValidationError", told
    )  # fmt: skip
    made = stack(aws, {"A": resource("AWS::CloudWatch::Alarm", **alarm)})
    assert told in made.reason("A")


@pytest.mark.fidelity(
    "Step Functions",
    "A state machine's name has 1 to 80 characters without spaces, brackets and the like: InvalidName.",
    "Step Functions API, CreateStateMachine: name",
)
def test_names_of_state_machines(aws: Any) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    role = make_role(aws, "states.amazonaws.com")
    machines = aws.client("stepfunctions")
    for name in ("a b", "a" * 81, "a:b"):
        call = machines.create_state_machine
        assert refusal(call, name=name, definition=definition, roleArn=role) == (
            "InvalidName",
            f"Invalid Name: '{name}'",
        )
    made = stack(aws, {"M": resource(
        "AWS::StepFunctions::StateMachine", StateMachineName="a b", DefinitionString=definition, RoleArn=role,
    )})  # fmt: skip
    assert "Invalid Name: 'a b'" in made.reason("M")
