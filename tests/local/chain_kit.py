"""A kit for the tests of models of several containers: stages that say who they are and how they were asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hosting_kit import Hosting
from image_uris import SKLEARN, SKLEARN_1_4, XGBOOST

from bench.harness import archive

# Appends its name and its image's framework to each row; raises where a row tells it to.
STAGE = """
import os

NAME, FRAMEWORK = os.environ["NAME"], os.environ["SAGEMAKER_SERVING_MODULE"].split("_")[1]

class Answer:
    status_code, content_type = 200, "text/csv"
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "answered by " + NAME}
    def __init__(self, text):
        self.text = text
    def get_data(self):
        return self.text.encode()
    def __call__(self, environment, start):
        start("200 OK", [("Content-Type", self.content_type), *self.headers.items()])
        return [self.get_data()]

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    rows = (body if isinstance(body, str) else body.decode()).splitlines()
    print(NAME, "is asked", len(rows), "of", content_type, "for", accept, flush=True)
    if any("fail in " + NAME in row for row in rows):
        raise ValueError(NAME + " has no luck")
    return Answer("\\n".join(f"{row}>{NAME}:{FRAMEWORK}" for row in rows))
"""
IMAGES = {"prepare": SKLEARN, "predict": XGBOOST, "label": SKLEARN_1_4}
DONE = ">prepare:sklearn>predict:xgboost>label:sklearn"


class Chains(Hosting):
    """Models of several containers."""

    def container(self, name: str, **more: Any) -> dict[str, Any]:
        key = "chains/model.tar.gz"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=archive({"code/serve.py": STAGE}))
        environment = {"SAGEMAKER_PROGRAM": "serve.py", "NAME": name}
        return {
            "Image": IMAGES.get(name, SKLEARN_1_4),
            "ModelDataUrl": f"s3://{self.bucket}/{key}",
            "Environment": {**environment, "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": f"text/{name}"},
            **more,
        }

    def three(self) -> list[dict[str, Any]]:
        return [self.container(name, ContainerHostname=name) for name in IMAGES]

    def chain(self, part: str, containers: list[dict[str, Any]], **more: Any) -> str:
        request = {"ModelName": self.name(part), "ExecutionRoleArn": self.role, "Containers": containers, **more}
        self.sagemaker.create_model(**request)
        return self.name(part)

    def serve(self, part: str, model: str) -> str:
        """An endpoint in service with a model; its name."""
        config = self.config(part, {"ModelName": model})
        self.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
        settled = self.settled(config)
        assert settled["EndpointStatus"] == "InService", settled
        return config

    def answer(self, endpoint: str, body: str = "1", **more: Any) -> tuple[str, str]:
        """The answer, and its CustomAttributes."""
        asked = {"ContentType": "text/plain", "Accept": "text/mine", "CustomAttributes": "asked by me", **more}
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **asked)
        return answer["Body"].read().decode(), answer["CustomAttributes"]

    def latency(self, endpoint: str, container: str = "") -> float:
        """The sum of what a container took, or the whole model, in microseconds."""
        named = {"EndpointName": endpoint, "VariantName": "AllTraffic"} | (
            {"ContainerName": container} if container else {}
        )
        now = datetime.now(UTC)
        points = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="ContainerLatency" if container else "ModelLatency",
            Dimensions=[{"Name": name, "Value": value} for name, value in named.items()],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    def streams(self, endpoint: str) -> set[str]:
        """The names of the endpoint's log streams, without the instance's."""
        found = self.aws.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
        parts = [stream["logStreamName"].split("/") for stream in found["logStreams"]]
        return {"/".join([variant, *container]) for variant, _, *container in parts}
