"""Pipelines with an asynchronous and with a serverless endpoint, deployed by the real cdk command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from deployed import Pipeline, Scripted
from waiting import until

QUEUE = {"input": "queued/requests/", "output": "queued/answers/", "concurrency": 2}
PIPELINES = {
    "queued": Scripted({"deploy": {"kind": "async", "instance": "ml.m5.large", "queue": QUEUE}}),
    "on-demand": Scripted({"deploy": {"kind": "serverless", "serverless": {"memory": "1GiB", "concurrency": 2}}}),
}


def promoted(pipeline: Pipeline, accuracy: float) -> dict[str, Any]:
    pipeline.order(accuracy=accuracy)
    record = pipeline.run()
    assert (record["outcome"], record["verification"]["verified"]) == ("Promoted", True), record
    return record


def described(pipeline: Pipeline) -> dict[str, Any]:
    return dict(pipeline.aws.client("sagemaker").describe_endpoint(EndpointName=pipeline.own["EndpointName"]))


def test_a_model_whose_answers_are_fetched_is_verified_and_replaced(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("queued")
    promoted(pipeline, 0.8)
    bucket, s3 = pipeline.shared["DataBucketName"], pipeline.aws.client("s3")
    output = described(pipeline)["AsyncInferenceConfig"]["OutputConfig"]
    assert output["S3OutputPath"] == f"s3://{bucket}/queued/answers/"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="queued/answers/"), "Verify takes its own away"
    key = f"{pipeline.own['QueueInput']}row.csv"
    s3.put_object(Bucket=bucket, Key=key, Body=b"7")
    accepted = pipeline.aws.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=pipeline.own["EndpointName"], InputLocation=f"s3://{bucket}/{key}", ContentType="text/csv"
    )
    assert promoted(pipeline, 1.0)["verification"]["asked"] > 0

    def answer() -> str:
        try:
            found = s3.get_object(Bucket=bucket, Key=accepted["OutputLocation"].removeprefix(f"s3://{bucket}/"))
        except ClientError:
            return ""
        return str(found["Body"].read().decode())

    assert until(answer, "the answer is there").strip() in {"0", "1"}


def test_a_model_without_instances_is_verified_and_replaced(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("on-demand")
    promoted(pipeline, 0.8)
    assert promoted(pipeline, 1.0)["verification"]["named"], "the answers say whose they are"
    variant = described(pipeline)["ProductionVariants"][0]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
