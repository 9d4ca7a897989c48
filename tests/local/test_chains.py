"""Models of several containers: deployed, asked, logged, updated, and used by a transform job."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError
from chain_kit import DONE, IMAGES, Chains
from running_aws import Aws
from waiting import until


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
