"""The lifecycle function on the embedded AWS: what it takes down, what it leaves, and that it always answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from image_uris import SKLEARN
from lifecycle import buckets, groups, handler, pipelines
from lifecycle.deadline import Deadline, TooLongError
from resources import allow, make_role
from running_aws import Aws

PASS_STATES = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}})


@pytest.fixture
def name() -> str:
    return f"lifecycle-{uuid4().hex[:8]}"


@pytest.fixture
def bucket(aws: Aws, name: str) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"old", b"new"):
        s3.put_object(Bucket=name, Key="kept/a.csv", Body=content)
    s3.put_object(Bucket=name, Key="deleted.csv", Body=b"gone")
    s3.delete_object(Bucket=name, Key="deleted.csv")
    return name


def test_every_version_and_marker_goes_so_that_the_bucket_can(aws: Aws, bucket: str) -> None:
    s3 = aws.client("s3")
    assert buckets.empty(s3, bucket, Deadline(60)) == 4
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_that_is_gone_is_empty(aws: Aws, name: str) -> None:
    assert buckets.empty(aws.client("s3"), name, Deadline(60)) == 0


def test_time_that_runs_out_is_said_and_what_was_done_stays_done(aws: Aws, bucket: str) -> None:
    s3 = aws.client("s3")
    with pytest.raises(TooLongError, match=f"emptying {bucket} takes longer"):
        buckets.empty(s3, bucket, Deadline(0))
    assert buckets.empty(s3, bucket, Deadline(60)) == 0


def make_run_table(aws: Aws, name: str) -> None:
    keys = (("pipeline", "HASH"), ("item", "RANGE"))
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.mark.parametrize(
    ("wanted", "old", "triggered", "starts"),
    [
        ("yes", "a", True, True),
        ("yes", "b", True, False),
        ("no", "a", True, False),
        ("yes", "a", False, False),
    ],
    ids=["new code", "the same code", "the spec says no", "no data has ever come"],
)
def test_new_code_is_a_trigger_if_the_spec_says_so_and_a_run_was_ever_asked_for(
    aws: Aws, name: str, wanted: str, old: str, triggered: bool, starts: bool
) -> None:
    sqs, dynamodb = aws.client("sqs"), aws.client("dynamodb")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    make_run_table(aws, name)
    if triggered:
        dynamodb.put_item(TableName=name, Item={"pipeline": {"S": "p"}, "item": {"S": "state"}})
    new = {"StartsRuns": wanted, "CodeHash": "b", "QueueUrl": queue, "RunTable": name, "Pipeline": "p"}

    assert pipelines.announce_new_code(sqs, dynamodb, new, {"CodeHash": old}) is starts
    bodies = [json.loads(message["Body"]) for message in sqs.receive_message(QueueUrl=queue).get("Messages", [])]
    assert bodies == [{"kind": "code", "detail": {"code_hash": "b", "previous": "a"}}] * starts


@dataclass
class UsedPipeline:
    """A pipeline's things, as its runs would have made them, and a neighbour's whose name begins alike."""

    aws: Aws
    name: str
    properties: dict[str, str] = field(default_factory=dict)

    def make(self) -> None:
        role = make_role(self.aws, "sagemaker.amazonaws.com", allow("s3:GetObject"), name=self.name)
        states_role = make_role(self.aws, "states.amazonaws.com", name=f"{self.name}-states")
        sagemaker, states = self.aws.client("sagemaker"), self.aws.client("stepfunctions")
        self.aws.client("s3").create_bucket(Bucket=self.name)
        self.aws.client("s3").put_object(Bucket=self.name, Key="model.tar.gz", Body=b"a model")
        container = {"Image": SKLEARN, "ModelDataUrl": f"s3://{self.name}/model.tar.gz"}
        for model in (f"local-{self.name}-0123456789ab", f"local-{self.name}-neighbour-0123456789ab"):
            sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=role)
            variant = {
                "VariantName": "AllTraffic",
                "ModelName": model,
                "InstanceType": "ml.t2.medium",
                "InitialInstanceCount": 1,
            }
            sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant])
        sagemaker.create_model_package_group(ModelPackageGroupName=self.name)
        sagemaker.create_model_package(
            ModelPackageGroupName=self.name,
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
        machine = states.create_state_machine(name=self.name, definition=PASS_STATES, roleArn=states_role)
        self.machine = str(machine["stateMachineArn"])
        self.execution = str(states.start_execution(stateMachineArn=self.machine)["executionArn"])
        self._fill_the_table()
        self.properties = {
            "Environment": "local",
            "Pipeline": self.name,
            "StateMachineArn": self.machine,
            "RunTable": self.name,
            "Endpoint": f"local-{self.name}",
            "ContentPrefix": f"local-{self.name}-",
            "ModelPackageGroup": self.name,
            "ModelPackages": "destroy",
        }

    def _fill_the_table(self) -> None:
        dynamodb = self.aws.client("dynamodb")
        make_run_table(self.aws, self.name)
        for item in ("state", "run#1"):
            dynamodb.put_item(TableName=self.name, Item={"pipeline": {"S": self.name}, "item": {"S": item}})

    def clients(self) -> pipelines.Clients:
        return pipelines.Clients.of(self.aws.client)

    def left(self) -> dict[str, list[str]]:
        """What there still is, by kind."""
        sagemaker, dynamodb = self.aws.client("sagemaker"), self.aws.client("dynamodb")
        models = sagemaker.list_models(NameContains=self.name)["Models"]
        configs = sagemaker.list_endpoint_configs(NameContains=self.name)["EndpointConfigs"]
        groups = sagemaker.list_model_package_groups(NameContains=self.name)["ModelPackageGroupSummaryList"]
        kept = [group["ModelPackageGroupName"] for group in groups]
        pages = [sagemaker.list_model_packages(ModelPackageGroupName=group) for group in kept]
        packages = [found for page in pages for found in page["ModelPackageSummaryList"]]
        return {
            "groups": kept,
            "models": [found["ModelName"] for found in models],
            "configs": [found["EndpointConfigName"] for found in configs],
            "packages": [str(found["ModelPackageVersion"]) for found in packages],
            "items": [found["item"]["S"] for found in dynamodb.scan(TableName=self.name)["Items"]],
        }


@pytest.fixture
def world(aws: Aws, name: str) -> UsedPipeline:
    found = UsedPipeline(aws, name)
    found.make()
    return found


def test_what_runs_have_made_goes_and_nothing_of_the_neighbours(world: UsedPipeline) -> None:
    pipelines.take_down(world.clients(), world.properties, Deadline(60))
    neighbour = [f"local-{world.name}-neighbour-0123456789ab"]
    left = {"groups": [], "models": neighbour, "configs": neighbour, "packages": [], "items": ["run#1"]}
    assert world.left() == left
    execution = world.aws.client("stepfunctions").describe_execution(executionArn=world.execution)
    assert (execution["status"], execution["error"]) == ("ABORTED", "PipelineDestroyed")


def test_model_packages_stay_where_the_environment_retains(world: UsedPipeline) -> None:
    pipelines.take_down(world.clients(), {**world.properties, "ModelPackages": "retain"}, Deadline(60))
    assert world.left()["packages"] == ["1"]
    assert groups.make(world.aws.client("sagemaker"), world.properties) is False, "a redeployment takes it up"
    assert world.left()["packages"] == ["1"]


def test_a_deployment_makes_the_group_if_there_is_none(world: UsedPipeline) -> None:
    pipelines.take_down(world.clients(), world.properties, Deadline(60))
    assert groups.make(world.aws.client("sagemaker"), world.properties) is True
    assert world.left()["groups"] == [world.name]


def test_taking_down_again_changes_nothing(world: UsedPipeline) -> None:
    pipelines.take_down(world.clients(), world.properties, Deadline(60))
    left = world.left()
    pipelines.take_down(world.clients(), world.properties, Deadline(60))
    assert world.left() == left


class Context:
    """Lambda's, with plenty of time."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def answers() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where CloudFormation would wait for an answer, and what has come."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.headers["Content-Type"] == ""
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/answer", received
    server.shutdown()
    thread.join()
    server.server_close()


def request(url: str, kind: str, resource: str, **properties: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResourceType": resource,
        "ResponseURL": url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Resource",
        "ResourceProperties": properties,
    }


@pytest.fixture
def as_the_function(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in aws.environment.items():
        monkeypatch.setenv(variable, value)


@pytest.mark.usefixtures("as_the_function")
def test_success_is_answered(bucket: str, answers: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = answers
    handler.handle(request(url, "Delete", "Custom::EmptiedBucket", Bucket=bucket), Context())
    (answer,) = received
    assert (answer["Status"], answer["PhysicalResourceId"], answer["RequestId"]) == ("SUCCESS", bucket, "request")


@pytest.mark.usefixtures("as_the_function")
def test_failure_is_answered_with_its_reason(name: str, answers: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = answers
    missing = request(url, "Delete", "Custom::Pipeline", Pipeline=name)
    handler.handle(missing, Context())
    (answer,) = received
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "Resource")
    assert answer["Reason"] == "KeyError: 'StateMachineArn'"


@pytest.mark.usefixtures("as_the_function")
def test_a_first_deployment_makes_the_group_and_starts_nothing(
    aws: Aws, name: str, answers: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, received = answers
    monkeypatch.setattr("boto3.client", aws.client)
    known = {"Pipeline": name, "Environment": "local", "ModelPackageGroup": name, "StartsRuns": "yes"}
    handler.handle(request(url, "Create", "Custom::Pipeline", **known), Context())
    assert [answer["Status"] for answer in received] == ["SUCCESS"]
    described = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    tags = aws.client("sagemaker").list_tags(ResourceArn=described["ModelPackageGroupArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"ratchet:environment": "local", "ratchet:pipeline": name}
