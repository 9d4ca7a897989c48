"""Requests are checked against botocore's model, in AWS's words."""

from typing import Any

import pytest

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.validation import _compiled, check_request, service_model

GOOD: dict[str, Any] = {
    "TrainingJobName": "digits-1",
    "RoleArn": "arn:aws:iam::000000000000:role/training",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "Tags": [{"Key": "team:é", "Value": "a b"}],
}


def refused(operation: str, request: dict[str, Any]) -> SageMakerError:
    with pytest.raises(SageMakerError) as caught:
        check_request(operation, request)
    return caught.value


def test_a_request_that_fits_passes() -> None:
    check_request("CreateTrainingJob", GOOD)


@pytest.mark.fidelity(
    "Clients",
    "Values out of bounds are told by value, path (`inputDataConfig.1.member.channelName`) and constraint.",
    "botocore, sagemaker: constraints of the service model; aws/amazon-sagemaker-examples #4843",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"TrainingJobName": None},
            "Value null at 'trainingJobName' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"TrainingJobName": "under_score"},
            "Value 'under_score' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        ({"TrainingJobName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"TrainingJobName": ""}, "Member must have length greater than or equal to 1"),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "Fil"}},
            "Value 'Fil' at 'algorithmSpecification.trainingInputMode' failed to satisfy constraint: Member must "
            "satisfy enum value set: [Pipe, File, FastFile]",
        ),
        (
            {"InputDataConfig": [{"ChannelName": "a b", "DataSource": {}}]},
            "Value 'a b' at 'inputDataConfig.1.member.channelName' failed",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "Member must have value greater than or equal to 1"),
        ({"HyperParameters": {"k": "v" * 2501}}, "Member must have length less than or equal to 2500"),
        ({"InputDataConfig": []}, "at 'inputDataConfig' failed to satisfy constraint: Member must have length greater"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_constraint(change: dict[str, Any], said: str) -> None:
    error = refused("CreateTrainingJob", {**GOOD, **change})
    assert error.code == "ValidationException"
    assert error.http_status == 400
    assert "validation error" in error.message
    assert said in error.message


@pytest.mark.fidelity(
    "Clients",
    "1 validation error detected: Value … failed to satisfy constraint: ….",
    "Kenza-AI/sagify #57; aws/amazon-sagemaker-examples #4843",
)
def test_one_error_is_told_as_awss_clients_expect_it() -> None:
    error = refused("CreateTrainingJob", {**GOOD, "RoleArn": None})
    told = "Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
    assert error.message == f"1 validation error detected: {told}"


@pytest.mark.fidelity(
    "Clients",
    "Several errors are counted and told at once.",
    "aws-samples/sagemaker-ml-workflow-with-apache-airflow #3",
)
def test_several_errors_are_told_at_once() -> None:
    error = refused("CreateTrainingJob", {"TrainingJobName": "a_b"})
    assert error.message.startswith("3 validation errors detected: ")


def test_an_unknown_member_is_named() -> None:
    error = refused("CreateTrainingJob", {**GOOD, "TrainingJobNam": "x"})
    assert "Unknown parameter: 'TrainingJobNam', must be one of: " in error.message
    nested = refused("CreateTrainingJob", {**GOOD, "OutputDataConfig": {"S3OutputPath": "s3://b/k", "Path": "x"}})
    assert "Unknown parameter in 'outputDataConfig': 'Path'" in nested.message


@pytest.mark.fidelity("Clients", "A value of another JSON type is a SerializationException.", "AWS JSON 1.1 protocol")
@pytest.mark.parametrize("value", [5, ["a"], {"a": 1}, True])
def test_a_wrong_type_is_a_serialization_error(value: object) -> None:
    assert refused("CreateTrainingJob", {**GOOD, "TrainingJobName": value}).code == "SerializationException"


def test_a_boolean_is_no_number() -> None:
    error = refused("CreateTrainingJob", {**GOOD, "StoppingCondition": {"MaxRuntimeInSeconds": True}})
    assert error.code == "SerializationException"


@pytest.mark.fidelity(
    "Clients",
    "Every pattern of SageMaker's model is enforced.",
    "botocore, sagemaker: patterns of the service model",
)
def test_every_pattern_of_the_model_is_understood() -> None:
    model = service_model()
    patterns = [shape.metadata.get("pattern") for shape in map(model.shape_for, model.shape_names)]
    for pattern in filter(None, patterns):
        _compiled(pattern)
