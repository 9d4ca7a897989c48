"""A kit for the tests of endpoints: small models with a serve.py, and one-line ways to deploy them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from image_uris import SKLEARN
from running_aws import Aws
from waiting import until

from bench.harness import archive
from bench.load import requests_of

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# A model that answers with its own name and what it was asked, without importing anything.
ECHO = """
import json, pathlib

def model_fn(model_dir):
    return pathlib.Path(model_dir, "name.txt").read_text()

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return {"model": model, "data": data}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def echo_archive(name: str, serve: str = ECHO, **more: str) -> bytes:
    """An echo model that calls itself `name`."""
    return archive({"name.txt": name, "code/serve.py": serve, **more})


@dataclass
class Hosting:
    """A bucket and an execution role of a test's own, and what it deploys with them."""

    aws: Aws
    suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.s3, self.sagemaker = self.aws.client("s3"), self.aws.client("sagemaker")
        self.runtime = self.aws.client("sagemaker-runtime")
        self.bucket = f"hosting-{self.suffix}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.role = self.make_role("host", ["s3:GetObject", "logs:CreateLog*", "logs:PutLogEvents"])

    def make_role(self, name: str, actions: list[str], trust: dict[str, Any] | None = None) -> str:
        iam = self.aws.client("iam")
        full = f"{name}-{self.suffix}"
        arn = iam.create_role(RoleName=full, AssumeRolePolicyDocument=json.dumps(trust or TRUST))["Role"]["Arn"]
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=full, PolicyName="all", PolicyDocument=policy)
        return str(arn)

    def name(self, part: str) -> str:
        return f"{part}-{self.suffix}"

    def model(
        self, part: str, data: bytes, environment: dict[str, str] | None = None, image: str = SKLEARN, **more: Any
    ) -> str:
        key = f"{part}/model.tar.gz"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        container = {
            "Image": image,
            "ModelDataUrl": f"s3://{self.bucket}/{key}",
            "Environment": {"SAGEMAKER_PROGRAM": "serve.py", **(environment or {})},
        }
        self.sagemaker.create_model(
            ModelName=self.name(part), PrimaryContainer=container, **{"ExecutionRoleArn": self.role, **more}
        )
        return self.name(part)

    def loads_when_told(self, key: str) -> str:
        """A serve.py whose model is not loaded before `tell_to_load` has been called for the key."""
        told = (
            "import boto3, time\n"
            "    from botocore.exceptions import ClientError\n"
            "    while True:\n"
            "        try:\n"
            f"            boto3.client('s3').head_object(Bucket={self.bucket!r}, Key={key!r})\n"
            "            break\n"
            "        except ClientError:\n"
            "            time.sleep(0.05)\n"
            "    return pathlib"
        )
        return ECHO.replace("return pathlib", told)

    def tell_to_load(self, key: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"")

    def config(self, part: str, *variants: dict[str, Any]) -> str:
        defaults = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=self.name(part), ProductionVariants=[{**defaults, **variant} for variant in variants]
        )
        return self.name(part)

    def deploy(self, part: str, data: bytes, environment: dict[str, str] | None = None, image: str = SKLEARN) -> str:
        """An endpoint in service with one model; its name."""
        config = self.config(part, {"ModelName": self.model(part, data, environment, image)})
        self.sagemaker.create_endpoint(EndpointName=self.name(part), EndpointConfigName=config)
        settled = self.settled(self.name(part))
        assert settled["EndpointStatus"] == "InService", (settled.get("FailureReason"), self.log_lines(self.name(part)))
        return self.name(part)

    def describe(self, endpoint: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_endpoint(EndpointName=endpoint))

    def log_lines(self, endpoint: str) -> str:
        """All that the endpoint's containers have logged."""
        logs = self.aws.client("logs")
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        try:
            return "\n".join(event["message"] for event in logs.filter_log_events(logGroupName=group)["events"])
        except logs.exceptions.ResourceNotFoundException:
            return ""

    def settled(self, endpoint: str) -> dict[str, Any]:
        """The endpoint's description once nothing is in progress."""
        finished = {"InService", "Failed"}
        return dict(until(
            lambda: found if (found := self.describe(endpoint))["EndpointStatus"] in finished else None,
            f"{endpoint} is settled",
        ))  # fmt: skip

    def ask(self, endpoint: str, body: str | bytes = "1,2", **more: Any) -> dict[str, Any]:
        """The answer's JSON document, of a model that answers with one."""
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, **{"ContentType": "text/csv", "Accept": "application/json", **more}
        )
        return {"variant": answer["InvokedProductionVariant"], "body": json.loads(answer["Body"].read())}


def invocations(aws: Aws, endpoint: str) -> Callable[[], bytes]:
    """InvokeEndpoint, sent as often as it is called, by any thread. Any other answer than 200 raises."""
    send = requests_of(aws.server, endpoint)

    def invoke() -> bytes:
        status, body = send()
        assert status == 200, body
        return body

    return invoke
