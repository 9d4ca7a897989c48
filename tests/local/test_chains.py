"""Models of several containers: deployed, asked, logged, updated, and used by a transform job."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from chain_kit import DONE, IMAGES, Chains
from resources import allow, assumed, make_role
from running_aws import Aws
from waiting import until

ACCOUNT = "000000000000"
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 1,
        },
        "TerminationWaitInSeconds": 0,
    }
}


@pytest.fixture(scope="module")
def chains(aws: Aws) -> Chains:
    return Chains(aws)


@pytest.fixture(scope="module")
def endpoint(chains: Chains) -> str:
    return chains.serve("chain", chains.chain("chain", chains.three(), InferenceExecutionConfig={"Mode": "Serial"}))


@pytest.mark.fidelity(
    "Models",
    "An inference pipeline's containers log to streams of their own: <variant>/<instance>/<container's hostname>.",
    "SageMaker DG, Troubleshoot Inference Pipelines; Inference Pipeline Logs and Metrics",
)
def test_a_chain_of_images_answers_as_its_last_container_does(chains: Chains, endpoint: str) -> None:
    described = chains.sagemaker.describe_model(ModelName=endpoint)
    assert (described["Containers"], described["InferenceExecutionConfig"]) == (chains.three(), {"Mode": "Serial"})
    assert chains.answer(endpoint) == (f"1{DONE}", "answered by label")
    [variant] = chains.describe(endpoint)["ProductionVariants"]
    assert [image["SpecifiedImage"] for image in variant["DeployedImages"]] == list(IMAGES.values())
    told = {
        "prepare is asked 1 of text/plain for text/prepare",
        "predict is asked 1 of text/csv for text/predict",
        "label is asked 1 of text/csv for text/mine",
    }
    until(lambda: told <= set(chains.log_lines(endpoint).splitlines()), "each container's own word")
    assert chains.streams(endpoint) == {"AllTraffic/prepare", "AllTraffic/predict", "AllTraffic/label"}


def test_an_error_in_the_middle_names_its_container_and_its_log(chains: Chains, endpoint: str) -> None:
    with pytest.raises(ClientError) as caught:
        chains.answer(endpoint, "fail in predict")
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert answer["Message"].startswith('Received server error (500) from predict with message "<!doctype html>')
    assert answer["OriginalStatusCode"] == 500
    assert re.search(r"/Endpoints/chain-\w+:log-stream:AllTraffic/i-\w{17}/predict$", answer["LogStreamArn"])
    until(lambda: "ValueError: predict has no luck" in chains.log_lines(endpoint), "its traceback")


@pytest.mark.fidelity(
    "CloudWatch",
    "ContainerLatency tells each container of a pipeline, by EndpointName, VariantName and ContainerName; ModelLatency "
    "is the time of all.",
    "SageMaker DG, Inference Pipeline Logs and Metrics",
)
def test_each_container_has_a_latency_and_the_model_their_sum(chains: Chains, endpoint: str) -> None:
    chains.answer(endpoint)
    until(lambda: chains.latency(endpoint, "label"), "the metrics are written")
    each = {name: chains.latency(endpoint, name) for name in IMAGES}
    assert all(0 < taken < 4e6 for taken in each.values()), "microseconds"
    assert sum(each.values()) == pytest.approx(chains.latency(endpoint), rel=0.1)


def test_a_canary_from_a_chain_to_a_package_of_several_containers_loses_no_request(chains: Chains) -> None:
    old = chains.serve("moved", chains.chain("moved", [chains.container("one"), chains.container("two")]))
    inside = [chains.container(name, ContainerHostname=name) for name in ("three", "four")]
    package = chains.sagemaker.create_model_package(
        ModelPackageName=chains.name("package"),
        InferenceSpecification={
            "Containers": inside, "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]
        },
    )["ModelPackageArn"]  # fmt: skip
    chains.sagemaker.create_model(
        ModelName=chains.name("packaged"),
        PrimaryContainer={"ModelPackageName": package, "Environment": {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "x/y"}},
        ExecutionRoleArn=chains.role,
    )
    config, answers, over = chains.config("packaged", {"ModelName": chains.name("packaged")}), [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(chains.answer(old)[0])

    asking = threading.Thread(target=ask)
    asking.start()
    chains.sagemaker.update_endpoint(EndpointName=old, EndpointConfigName=config, DeploymentConfig=CANARY)
    after = chains.settled(old)
    over.set()
    asking.join()
    assert (after["EndpointConfigName"], "FailureReason" in after) == (config, False)
    assert set(answers) == {"1>one:sklearn>two:sklearn", "1>three:sklearn>four:sklearn"}
    assert chains.answer(old) == ("1>three:sklearn>four:sklearn", "answered by four")
    until(lambda: "four is asked 1 of text/csv for text/mine" in chains.log_lines(old), "the new chain's log")
    assert chains.streams(old) == {f"AllTraffic/{name}" for name in ("container-1", "container-2", "three", "four")}
    assert "three is asked 1 of text/plain for x/y" in chains.log_lines(old), "the model's variables, too"


@pytest.mark.fidelity(
    "IAM",
    "sagemaker:TargetContainerHostname limits InvokeEndpoint to containers of a multi-container endpoint.",
    "SageMaker DG, Security with multi-container endpoints with direct invocation",
)
def test_containers_that_are_asked_by_name(chains: Chains) -> None:
    two = [chains.container(name, ContainerHostname=name) for name in ("left", "right")]
    direct = chains.serve("direct", chains.chain("direct", two, InferenceExecutionConfig={"Mode": "Direct"}))
    assert chains.answer(direct, TargetContainerHostname="right") == ("1>right:sklearn", "answered by right")
    assert chains.answer(direct, TargetContainerHostname="left")[0] == "1>left:sklearn"
    only = {**allow("sagemaker:InvokeEndpoint"), "Condition": {
        "StringLike": {"sagemaker:TargetContainerHostname": ["le*"]}
    }}  # fmt: skip
    limited: Any = chains.aws.client("sagemaker-runtime", assumed(chains.aws, make_role(chains.aws, ACCOUNT, only)))
    limited.invoke_endpoint(EndpointName=direct, Body=b"1", TargetContainerHostname="left")
    with pytest.raises(ClientError, match="AccessDenied"):
        limited.invoke_endpoint(EndpointName=direct, Body=b"1", TargetContainerHostname="right")
    with pytest.raises(ClientError, match=r"ValidationError.*has no container with TargetContainerHostname middle"):
        chains.answer(direct, TargetContainerHostname="middle")
    with pytest.raises(ClientError, match="not supported here: a transform job with a model whose InferenceExecution"):
        chains.sagemaker.create_transform_job(
            TransformJobName=direct,
            ModelName=direct,
            TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://any/in/"}}},
            TransformOutput={"S3OutputPath": "s3://any/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
