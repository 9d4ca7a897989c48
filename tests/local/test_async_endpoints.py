"""Asynchronous endpoints on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from hosting_kit import ECHO, Hosting, echo_archive
from refusals import refusal
from running_aws import Aws, AwsFactory
from waiting import until

# A model that answers what it is told to: `fail` with an error, `slow` after a while.
AS_TOLD = ECHO.replace(
    'return {"model"',
    """if "fail" in data: raise ValueError("told to fail")
    if "slow" in data: __import__("time").sleep(0.4)
    return {"model\"""",
)
ROLE_MAY = ["s3:GetObject", "s3:PutObject", "sns:Publish", "logs:CreateLog*", "logs:PutLogEvents"]


class Async:
    """An asynchronous endpoint, its topics, and a queue that hears of both."""

    def __init__(self, aws: Aws) -> None:
        self.hosting = Hosting(aws)
        self.hosting.role = self.hosting.make_role("async", ROLE_MAY)
        sns, self.sqs = aws.client("sns"), aws.client("sqs")
        name = self.hosting.name("told")
        self.topic = sns.create_topic(Name=name)["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = self.topic.replace(":sns:", ":sqs:")
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow | {"Resource": queue_arn}]})
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        attributes = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn, Attributes=attributes)

    def config(self, part: str, model: str, **more: Any) -> str:
        base = f"s3://{self.hosting.bucket}/{part}"
        output = {
            "S3OutputPath": f"{base}/answers/",
            "S3FailurePath": f"{base}/failures",
            "NotificationConfig": {
                "SuccessTopic": self.topic,
                "ErrorTopic": self.topic,
                "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
            },
        }
        variant = {"VariantName": "A", "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self.hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=self.hosting.name(part),
            ProductionVariants=[variant],
            **{
                "AsyncInferenceConfig": {
                    "OutputConfig": output,
                    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
                },
                **more,
            },
        )
        return self.hosting.name(part)

    def deploy(self, part: str, data: bytes) -> str:
        name = self.hosting.name(part)
        config = self.config(part, self.hosting.model(part, data))
        self.hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert self.hosting.settled(name)["EndpointStatus"] == "InService"
        return name

    def put(self, key: str, body: bytes) -> str:
        self.hosting.s3.put_object(Bucket=self.hosting.bucket, Key=key, Body=body)
        return f"s3://{self.hosting.bucket}/{key}"

    def ask(self, endpoint: str, **request: Any) -> dict[str, Any]:
        return dict(
            self.hosting.runtime.invoke_endpoint_async(EndpointName=endpoint, ContentType="text/csv", **request)
        )

    def object(self, uri: str) -> dict[str, Any] | None:
        where = urlsplit(uri)
        try:
            found = self.hosting.s3.get_object(Bucket=where.netloc, Key=where.path[1:])
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
            return None
        return {**found, "content": found["Body"].read()}

    def answered(self, uri: str) -> dict[str, Any]:
        return dict(until(lambda: self.object(uri), f"{uri} is there"))

    def messages(self) -> list[dict[str, Any]]:
        """What has been told since the last look, in some order."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def told(self, inference_id: str) -> dict[str, Any]:
        seen: dict[str, dict[str, Any]] = {}

        def look() -> dict[str, Any] | None:
            seen.update({message["inferenceId"]: message for message in self.messages()})
            return seen.get(inference_id)

        return dict(until(look, f"{inference_id} is told"))


@pytest.fixture(scope="module")
def asynchronous(aws: Aws) -> Async:
    return Async(aws)


@pytest.fixture(scope="module")
def endpoint(asynchronous: Async) -> str:
    return asynchronous.deploy("told", echo_archive("first", AS_TOLD))


@pytest.mark.fidelity(
    "Endpoints",
    "InvokeEndpointAsync answers 202 with InferenceId, OutputLocation and FailureLocation; the answer follows in S3.",
    "SageMaker Runtime API, InvokeEndpointAsync",
)
@pytest.mark.fidelity(
    "SNS",
    "An asynchronous inference's notification: invocationStatus, request and response parameters, eventName "
    "InferenceResult, the response in Base 64 where it is asked for.",
    "SageMaker DG, Check prediction results; awslabs/osml-model-runner, async parsing",
)
def test_an_answer_is_written_and_told(asynchronous: Async, endpoint: str) -> None:
    place = asynchronous.put("in/rows.csv", b"1,2")
    accepted = asynchronous.ask(endpoint, InputLocation=place, InferenceId="mine", Accept="application/json")
    assert (accepted["ResponseMetadata"]["HTTPStatusCode"], accepted["InferenceId"]) == (202, "mine")
    base = f"s3://{asynchronous.hosting.bucket}/told"
    assert accepted["OutputLocation"].startswith(f"{base}/answers/")
    assert accepted["FailureLocation"].startswith(f"{base}/failures/")
    answer = asynchronous.answered(accepted["OutputLocation"])
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["content"]) == {"model": "first", "data": "1,2"}
    told = asynchronous.told("mine")
    assert told.pop("eventTime") >= told.pop("receivedTime")
    assert told == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "application/json",
            "contentType": "text/csv",
            "endpointName": endpoint,
            "inputLocation": place,
        },
        "responseParameters": {"contentType": "application/json", "outputLocation": accepted["OutputLocation"]},
        "responseBody": {"content": "eyJtb2RlbCI6ICJmaXJzdCIsICJkYXRhIjogIjEsMiJ9", "encoding": "BASE64"},
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


@pytest.mark.fidelity(
    "SNS",
    "A failed asynchronous inference is told as Failed with its failureReason, and the model's answer is in "
    "S3FailurePath.",
    "awslabs/osml-model-runner, async parsing; SageMaker API, AsyncInferenceOutputConfig",
)
def test_a_failure_is_written_and_told(asynchronous: Async, endpoint: str) -> None:
    accepted = asynchronous.ask(endpoint, InputLocation=asynchronous.put("in/bad.csv", b"fail"))
    assert b"Internal Server Error" in asynchronous.answered(accepted["FailureLocation"])["content"]
    told = asynchronous.told(accepted["InferenceId"])
    assert told["invocationStatus"] == "Failed"
    assert told["failureReason"] == (
        "ClientError: Received server error (500) from model. See the SageMaker Endpoint logs in your account for more "
        "information."
    )
    assert "responseBody" not in told, "asked for on success only"
    assert asynchronous.object(accepted["OutputLocation"]) is None
    lines = until(lambda: asynchronous.hosting.log_lines(endpoint), "the data log")
    assert f"[sagemaker logs] [{accepted['InferenceId']}] ClientError: Received server error (500)" in lines


@pytest.mark.fidelity(
    "IAM",
    "The model's execution role reads an asynchronous request's input, writes its answer and publishes.",
    "SageMaker DG, Complete the prerequisites (asynchronous inference)",
)
def test_what_the_role_may_not_is_told_by_name(asynchronous: Async, endpoint: str) -> None:
    hosting = asynchronous.hosting
    missing = asynchronous.ask(endpoint, InputLocation=f"s3://{hosting.bucket}/in/none")
    told = asynchronous.told(missing["InferenceId"])
    assert told["failureReason"].startswith("ClientError: Failed to download the input: AccessDenied (403)")
    assert "s3:ListBucket" in told["failureReason"], "without it S3 says of no object that it isn't there"
    allowed = hosting.role
    hosting.role = hosting.make_role("reads", ["s3:GetObject", "logs:*"])
    try:
        blind = asynchronous.deploy("reads", echo_archive("reads"))
    finally:
        hosting.role = allowed
    asynchronous.ask(blind, InputLocation=asynchronous.put("in/x.csv", b"1"))
    lines = until(lambda: "Failed to publish" in (found := hosting.log_lines(blind)) and found, "the data log")
    assert "is not authorized to perform: s3:PutObject" in lines
    assert "is not authorized to perform: sns:Publish" in lines


@pytest.mark.fidelity(
    "Endpoints",
    "Each operation is for its own kind of endpoint: … does not support this inference type.",
    "users' code that falls back on this text; SageMaker API, AsyncInferenceConfig",
)
def test_each_operation_is_for_its_own_kind(asynchronous: Async, endpoint: str) -> None:
    hosting = asynchronous.hosting
    direct = hosting.deploy("direct", echo_archive("direct"))
    words = "Endpoint {} of account 000000000000 does not support this inference type."
    invoke, invoke_async = hosting.runtime.invoke_endpoint, hosting.runtime.invoke_endpoint_async
    assert refusal(invoke, EndpointName=endpoint, Body=b"1") == ("ValidationError", words.format(endpoint))
    assert refusal(invoke_async, EndpointName=direct, InputLocation="s3://b/k") == (
        "ValidationError",
        words.format(direct),
    )
    assert refusal(invoke_async, EndpointName="none", InputLocation="s3://b/k") == (
        "ValidationError",
        "Endpoint none of account 000000000000 not found.",
    )


@pytest.mark.fidelity(
    "Endpoints",
    "A body of 128,000 bytes may come with InvokeEndpointAsync itself; S3OutputPathExtension and Filename name the "
    "answer's place.",
    "SageMaker Runtime API, InvokeEndpointAsync; aws-samples/sagemaker-genai-hosting-examples#208",
)
def test_a_small_body_may_come_with_the_request(asynchronous: Async, endpoint: str) -> None:
    places = {"S3OutputPathExtension": "by/day", "Filename": "row.json"}
    accepted = asynchronous.ask(endpoint, Body=b"7", **places)
    assert accepted["OutputLocation"] == f"s3://{asynchronous.hosting.bucket}/told/answers/by/day/row.json"
    assert json.loads(asynchronous.answered(accepted["OutputLocation"])["content"])["data"] == "7"
    assert "inputLocation" not in asynchronous.told(accepted["InferenceId"])["requestParameters"]


def test_a_body_larger_than_an_endpoints_comes_whole(asynchronous: Async, endpoint: str) -> None:
    large = b"7" * (26 << 20)
    accepted = asynchronous.ask(endpoint, InputLocation=asynchronous.put("in/large", large))
    answer = asynchronous.answered(accepted["OutputLocation"])["content"]
    assert answer == b'{"model": "first", "data": "' + large + b'"}'


@pytest.mark.fidelity(
    "CloudWatch",
    "An asynchronous endpoint has ApproximateBacklogSize, …PerInstance, ApproximateAgeOfOldestRequest by EndpointName, "
    "InvocationsProcessed, TimeInBacklog, TotalProcessingTime by variant, and no Invocations or OverheadLatency.",
    "SageMaker DG, Alarms and logs for tracking metrics from asynchronous endpoints",
)
def test_metrics_tell_of_the_queue(asynchronous: Async, endpoint: str) -> None:
    accepted = [asynchronous.ask(endpoint, Body=b"slow") for _ in range(3)]
    for each in accepted:
        asynchronous.answered(each["OutputLocation"])
    cloudwatch = asynchronous.hosting.aws.client("cloudwatch")

    def names() -> set[str]:
        dimension = [{"Name": "EndpointName", "Value": endpoint}]
        found = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimension)["Metrics"]
        return {metric["MetricName"] for metric in found}

    queue = {"ApproximateBacklogSize", "ApproximateBacklogSizePerInstance", "ApproximateAgeOfOldestRequest"}
    done = {"InvocationsProcessed", "TimeInBacklog", "TotalProcessingTime", "ModelLatency", "Invocation5XXErrors"}
    until(lambda: queue | done | {"HasBacklogWithoutCapacity"} <= names(), "the metrics")
    assert not {"Invocations", "OverheadLatency", "InvocationsPerInstance"} & names()
    largest = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="TimeInBacklog",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "A"}],
        StartTime=datetime.now(UTC) - timedelta(minutes=5),
        EndTime=datetime.now(UTC) + timedelta(minutes=5),
        Period=600,
        Statistics=["Maximum"],
    )["Datapoints"][0]["Maximum"]
    assert largest > 0.3e6, "of three requests, two are answered at once; the third waits until one of them is done"


@pytest.mark.fidelity(
    "Endpoints",
    "An asynchronous endpoint may have no instance at all; what is asked meanwhile is answered when there is one.",
    "SageMaker DG, Autoscale an asynchronous endpoint: scale to zero",
)
def test_an_endpoint_without_instances_keeps_what_it_is_asked(asynchronous: Async) -> None:
    hosting = asynchronous.hosting
    name = asynchronous.deploy("zero", echo_archive("zero"))

    def scale(count: int) -> None:
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredInstanceCount": count}]
        )
        assert hosting.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == count

    scale(0)
    accepted = asynchronous.ask(name, Body=b"kept")
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    policy = {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 60}}
    hosting.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=asynchronous.config("from-zero", name),
        DeploymentConfig=policy,
        RetainAllVariantProperties=True,
    )
    shown = hosting.settled(name)
    assert shown["EndpointConfigName"] == hosting.name("from-zero"), shown
    scale(1)
    assert json.loads(asynchronous.answered(accepted["OutputLocation"])["content"])["data"] == "kept"
    config = hosting.describe(name)["AsyncInferenceConfig"]
    assert config["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}


def test_an_update_answers_what_was_asked_before_it(asynchronous: Async) -> None:
    """Blue/green, with a canary: deployment guardrails exclude no asynchronous endpoints."""
    hosting = asynchronous.hosting
    name = asynchronous.deploy("old", echo_archive("old", AS_TOLD))
    before = [asynchronous.ask(name, Body=b"slow") for _ in range(3)]
    config = asynchronous.config("new", hosting.model("new", echo_archive("new")))
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=policy)
    answers = [json.loads(asynchronous.answered(each["OutputLocation"])["content"]) for each in before]
    assert {answer["model"] for answer in answers} <= {"old", "new"}
    assert hosting.settled(name)["EndpointConfigName"] == config
    after = asynchronous.ask(name, Body=b"1")
    assert after["OutputLocation"].startswith(f"s3://{hosting.bucket}/new/answers/")
    assert json.loads(asynchronous.answered(after["OutputLocation"])["content"])["model"] == "new"


def test_an_acknowledged_request_survives_a_kill(fresh_aws: AwsFactory) -> None:
    asynchronous = Async(fresh_aws.start())
    name = asynchronous.deploy("kept", echo_archive("kept", AS_TOLD))
    accepted = [asynchronous.ask(name, Body=f"slow {number}".encode()) for number in range(5)]
    os.kill(asynchronous.hosting.aws.server.pid, signal.SIGKILL)
    asynchronous.hosting.s3 = fresh_aws.start().client("s3")
    answers = [json.loads(asynchronous.answered(each["OutputLocation"])["content"])["data"] for each in accepted]
    assert answers == [f"slow {number}" for number in range(5)]
