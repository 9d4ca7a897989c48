"""Serverless endpoints on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hosting_kit import ECHO, Hosting, echo_archive
from refusals import refusal
from running_aws import Aws, AwsFactory
from test_endpoint_recovery import processes_with
from waiting import until

# A model that has a name of its own wherever it is loaded, and is slow where it is told to be.
ITSELF = ECHO.replace("import json, pathlib", "import json, pathlib, time, uuid\nNAME = uuid.uuid4().hex").replace(
    'return {"model": model', 'time.sleep(1.0 if "slow" in data else 0.0)\n    return {"model": NAME'
)
# The same; what it starts is there for as long as its container.
MARKED = ITSELF.replace("import json", "import subprocess; subprocess.Popen(['sleep', '86378']); import json")
TAKES_MEMORY = ECHO.replace("return pathlib", "bytearray(1200 << 20)\n    return pathlib")
CONFIG = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}


def variant(model: str, **config: int) -> dict[str, Any]:
    return {"VariantName": "A", "ModelName": model, "ServerlessConfig": {**CONFIG, **config}}


def made(hosting: Hosting, part: str, model: str, **config: int) -> str:
    name = hosting.name(part)
    hosting.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(model, **config)])
    return name


def deploy(hosting: Hosting, part: str, data: bytes, **config: int) -> str:
    name = made(hosting, part, hosting.model(part, data, {"MARK": hosting.name(part)}), **config)
    hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return name


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


@pytest.fixture(scope="module")
def endpoint(hosting: Hosting) -> str:
    name = deploy(hosting, "itself", echo_archive("itself", ITSELF))
    shown = hosting.settled(name)
    assert shown["EndpointStatus"] == "InService", (shown, hosting.log_lines(name))
    return name


@pytest.mark.fidelity(
    "Endpoints",
    "DescribeEndpoint shows a serverless variant's CurrentServerlessConfig and DesiredServerlessConfig, no instances.",
    "SageMaker API, ProductionVariantSummary",
)
@pytest.mark.fidelity(
    "CloudWatch",
    "A cold start is in ModelSetupTime, of the requests that have waited for one.",
    "SageMaker DG, Monitor a serverless endpoint",
)
def test_a_request_starts_what_answers_it_and_the_next_one_finds_it(hosting: Hosting, endpoint: str) -> None:
    shown = hosting.describe(endpoint)["ProductionVariants"][0]
    assert shown["CurrentServerlessConfig"] == shown["DesiredServerlessConfig"] == CONFIG
    assert not {"CurrentInstanceCount", "DesiredInstanceCount"} & shown.keys()
    first, second = hosting.ask(endpoint), hosting.ask(endpoint)
    assert first["body"]["model"] == second["body"]["model"]
    cloudwatch = hosting.aws.client("cloudwatch")
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "A"}]

    def names() -> set[str]:
        found = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)["Metrics"]
        return {metric["MetricName"] for metric in found}

    until(lambda: {"ModelSetupTime", "Invocations", "OverheadLatency"} <= names(), "the metrics")


@pytest.mark.fidelity(
    "Endpoints",
    "Invocations of a serverless endpoint beyond MaxConcurrency are throttled: ThrottlingException, its message null.",
    "SageMaker DG, Serverless Inference: Concurrent invocations; opensearch-project/ml-commons#2429",
)
def test_requests_beyond_the_concurrency_are_throttled(hosting: Hosting, endpoint: str) -> None:
    hosting.ask(endpoint)

    def ask(_number: int) -> str:
        try:
            return str(hosting.ask(endpoint, "slow")["body"]["model"])
        except ClientError as error:
            assert "Message" not in error.response["Error"] or error.response["Error"]["Message"] is None
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(3)))
    assert answers.count("ThrottlingException") == 1
    assert len(set(answers)) == 3, "each of the others has an instance of its own"


@pytest.mark.fidelity(
    "Endpoints",
    "A serverless endpoint takes 4 MB: Request … has oversize body.",
    "aws/sagemaker-python-sdk#4271; Amazon SageMaker AI endpoints and quotas",
)
def test_a_body_may_have_4_megabytes(hosting: Hosting, endpoint: str) -> None:
    code, message = refusal(hosting.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"x" * (4 << 20) + b"x")
    assert code == "ValidationError"
    assert message.startswith("Request ")
    assert message.endswith(" has oversize body.")


@pytest.mark.fidelity(
    "Endpoints",
    "A serverless endpoint has the memory of MemorySizeInMB, and one whose model needs more fails.",
    "SageMaker DG, Serverless Inference: Memory size",
)
def test_memory_is_what_the_config_says(hosting: Hosting) -> None:
    small = deploy(hosting, "small", echo_archive("small", TAKES_MEMORY))
    large = deploy(hosting, "large", echo_archive("large", TAKES_MEMORY), MemorySizeInMB=2048)
    assert "did not pass the ping health check" in hosting.settled(small)["FailureReason"]
    assert hosting.settled(large)["EndpointStatus"] == "InService"
    until(
        lambda: "It may use 1.0 GiB, which its instance type or MemorySizeInMB" in hosting.log_lines(small), "the log"
    )


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint with instances can't become serverless: ValidationException. The other way round it can.",
    "SageMaker DG, Serverless Inference: Feature exclusions",
)
def test_only_the_way_to_instances_is_open(hosting: Hosting) -> None:
    model = hosting.model("both", echo_archive("both"))
    config = made(hosting, "serverless", model)
    instances = hosting.config("instances", {"ModelName": model, "VariantName": "A"})
    hosting.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    assert hosting.settled(config)["EndpointStatus"] == "InService"
    again = made(hosting, "again", model, MaxConcurrency=1)
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    hosting.sagemaker.update_endpoint(EndpointName=config, EndpointConfigName=again, DeploymentConfig=policy)
    shown = hosting.settled(config)
    assert shown["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"] == 1
    hosting.sagemaker.update_endpoint(EndpointName=config, EndpointConfigName=instances)
    assert hosting.settled(config)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    code, message = refusal(hosting.sagemaker.update_endpoint, EndpointName=config, EndpointConfigName=again)
    assert code == "ValidationException"
    assert message.startswith("You cannot convert your instance-based, real-time endpoint to a serverless endpoint")
    assert hosting.ask(config)["body"]["model"] == "both"


@pytest.mark.fidelity(
    "Endpoints",
    "Serverless Inference has no data capture, no several variants, no GPU images; MemorySizeInMB goes by gigabytes, "
    "ProvisionedConcurrency is at most MaxConcurrency.",
    "SageMaker DG, Serverless Inference: Feature exclusions; SageMaker API, ProductionVariantServerlessConfig",
)
def test_what_serverless_has_not_is_refused(hosting: Hosting) -> None:
    model = hosting.model("refused", echo_archive("refused"))
    gpu = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-gpu-py312-cu124-ubuntu22.04-sagemaker"
    hosting.sagemaker.create_model(
        ModelName=hosting.name("gpu"), PrimaryContainer={"Image": gpu}, ExecutionRoleArn=hosting.role
    )
    one, capture = variant(model), {"CaptureMode": "Input"}
    cases: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
        ([one | {"InstanceType": "ml.m5.large"}], {}, "InstanceType can't be given together with ServerlessConfig"),
        ([one | {"InitialInstanceCount": 1}], {}, "InitialInstanceCount can't be given together with ServerlessConfig"),
        ([one, one | {"VariantName": "B"}], {}, "Serverless Inference doesn't support multiple production variants"),
        ([variant(model, MemorySizeInMB=1500)], {}, "MemorySizeInMB of production variant A is 1500; valid values are"),
        ([variant(model, MaxConcurrency=201)], {}, "1 validation error detected: Value '201' at"),
        ([variant(model, ProvisionedConcurrency=3)], {}, "ProvisionedConcurrency of production variant A is 3; it"),
        ([variant(hosting.name("gpu"))], {}, "Serverless Inference doesn't support GPUs; model"),
        (
            [one],
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/k"}}},
            "One or more endpoint featur",
        ),
    ]
    for variants, more, message in cases:
        request = {"EndpointConfigName": hosting.name("bad"), "ProductionVariants": variants, **more}
        code, text = refusal(hosting.sagemaker.create_endpoint_config, **request)
        assert (code, text[: len(message)]) == ("ValidationException", message)
    captured = {"InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://b", "CaptureOptions": [capture]}
    request = {"EndpointConfigName": hosting.name("bad"), "ProductionVariants": [one], "DataCaptureConfig": captured}
    assert refusal(hosting.sagemaker.create_endpoint_config, **request)[0] == "ValidationException"


def test_what_idles_ends_and_a_restart_begins_with_nothing(fresh_aws: AwsFactory) -> None:
    fresh_aws.state.mkdir(parents=True, exist_ok=True)
    (fresh_aws.state / "settings.json").write_text(json.dumps({"clock_scale": 300}))
    hosting = Hosting(fresh_aws.start())
    name = deploy(hosting, "idle", echo_archive("idle", MARKED), MaxConcurrency=1)
    hosting.settled(name)
    first = hosting.ask(name)["body"]["model"]
    assert processes_with(name)
    until(lambda: not processes_with(name), "the instance has idled and ended")
    second = hosting.ask(name)["body"]["model"]
    assert second != first
    fresh_aws.stop()
    again = fresh_aws.start()
    hosting.sagemaker, hosting.runtime = again.client("sagemaker"), again.client("sagemaker-runtime")
    assert hosting.ask(name)["body"]["model"] not in {first, second}
