"""CreateTrainingJob and CreateProcessingJob: refusals before anything starts, and descriptions."""

from typing import Any

import pytest
from image_uris import SKLEARN

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs import processing_request, training_request

S3_SOURCE = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train/"}}
TRAINING: dict[str, Any] = {
    "TrainingJobName": "digits-1",
    "RoleArn": "arn:aws:iam::000000000000:role/training",
    "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
    "HyperParameters": {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://b/code.tar.gz"'},
    "InputDataConfig": [{"ChannelName": "train", "DataSource": S3_SOURCE}],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
}


GROUPS = [
    {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "a"},
    {"InstanceType": "ml.c5.large", "InstanceCount": 2, "InstanceGroupName": "b"},
]


def channel(**changes: Any) -> dict[str, Any]:
    return {"InputDataConfig": [{"ChannelName": "train", "DataSource": S3_SOURCE, **changes}]}


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"AlgorithmSpecification": {**TRAINING["AlgorithmSpecification"], **changes}}


def resources(**changes: Any) -> dict[str, Any]:
    return {"ResourceConfig": {**TRAINING["ResourceConfig"], **changes}}


def test_a_plain_script_mode_job_passes() -> None:
    training_request.check(TRAINING)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (resources(InstanceGroups=GROUPS), "ResourceConfig.InstanceGroups"),
        (resources(KeepAlivePeriodInSeconds=7200), "ResourceConfig.KeepAlivePeriodInSeconds = 7200: the Dev"),
        (algorithm(AlgorithmName="x"), "AlgorithmSpecification.AlgorithmName"),
        ({"Environment": {"CA_REPOSITORY_ARN": "arn:x"}}, "Environment.CA_REPOSITORY_ARN: there is no CodeArtifact"),
        (algorithm(ContainerArguments=["x"]), "AlgorithmSpecification.ContainerArguments without ContainerEntrypoint"),
        (channel(CompressionType="Gzip"), "InputDataConfig[0].CompressionType = 'Gzip'"),
        (
            channel(DataSource={"S3DataSource": {"S3DataType": "Converse", "S3Uri": "s3://b/m"}}),
            "InputDataConfig[0].DataSource.S3DataSource.S3DataType = 'Converse'",
        ),
        ({"TensorBoardOutputConfig": {"S3OutputPath": "s3://b/d"}}, "TensorBoardOutputConfig"),
        ({"ExperimentConfig": {"TrialName": "t"}}, "ExperimentConfig"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/data"}}, "CheckpointConfig.LocalPath outside"),
        ({"HyperParameters": {}}, "a training job without the hyperparameter sagemaker_program"),
        (
            {"HyperParameters": {**TRAINING["HyperParameters"], "sagemaker_mpi_enabled": "true"}},
            "hyperparameter sagemaker_mpi_enabled",
        ),
    ],
)  # fmt: skip
def test_what_is_not_here_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(SageMakerError) as caught:
        training_request.check({**TRAINING, **change})
    assert caught.value.message.startswith(f"not supported here: {named}")


def augmented(mode: str = "Pipe", **changes: Any) -> dict[str, Any]:
    """A channel with an augmented manifest."""
    s3 = {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/m", "AttributeNames": ["source-ref"], **changes}
    return channel(InputMode=mode, RecordWrapperType="RecordIO", DataSource={"S3DataSource": s3})


@pytest.mark.fidelity(
    "Training jobs",
    "AugmentedManifestFile goes with Pipe mode alone, and with AttributeNames; RecordIO wraps what is piped alone; "
    "FastFile takes an S3Prefix alone.",
    "SageMaker API, S3DataSource and Channel; SageMaker DG, How Amazon SageMaker AI Provides Training Information",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (augmented("File"), "train: S3DataType AugmentedManifestFile can only be used if the channel's input mode"),
        (augmented("FastFile"), "input mode is Pipe, not FastFile"),
        (
            channel(InputMode="FastFile", DataSource={"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/m"}}),
            "train: a channel in FastFile mode must use a S3DataType of S3Prefix, not ManifestFile",
        ),
        (augmented(AttributeNames=[]), "AttributeNames must be specified for S3DataType AugmentedManifestFile"),
        (augmented(S3DataType="S3Prefix"), "AttributeNames must be specified for S3DataType AugmentedManifestFile"),
        (channel(RecordWrapperType="RecordIO"), "RecordWrapperType is used only in Pipe input mode; in File mode"),
        (
            {"InputDataConfig": [
                *channel(InputMode="Pipe")["InputDataConfig"], *channel(ChannelName="train_1")["InputDataConfig"]
            ]},
            "train_1: it has the name of a pipe of channel train",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_with_an_input_mode_is_refused(change: dict[str, Any], said: str) -> None:
    training_request.check({**TRAINING, **augmented()})
    training_request.check({**TRAINING, **algorithm(TrainingInputMode="Pipe"), **channel(RecordWrapperType="RecordIO")})
    with pytest.raises(SageMakerError) as caught:
        training_request.check({**TRAINING, **change})
    assert caught.value.code == "ValidationException"
    assert said in caught.value.message


@pytest.mark.fidelity(
    "Training jobs",
    "Spot training needs MaxWaitTimeInSeconds, not below MaxRuntimeInSeconds; channel names are unique.",
    "SageMaker API, StoppingCondition and CreateTrainingJob",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, "at 'resourceConfig.volumeSizeInGB'"),
        (
            {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
            "MaxWaitTimeInSeconds is required",
        ),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}}, "MaxWaitTimeInSeconds above"),
        ({"InputDataConfig": TRAINING["InputDataConfig"] * 2}, "Channel names must be unique"),
        (channel(ChannelName=".."), "Invalid channel name"),
        ({"OutputDataConfig": {"S3OutputPath": "https://example.com/x"}}, "OutputDataConfig.S3OutputPath is not an S3"),
        ({"HyperParameters": {"sagemaker_program": '"train.py"'}}, "sagemaker_submit_directory must name"),
        (algorithm(MetricDefinitions=[{"Name": "f1", "Regex": "f1: (["}]), "Invalid metric definition regex for f1"),
        (algorithm(MetricDefinitions=[{"Name": "f1", "Regex": "f1: .*"}]), "has no capture group"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SageMakerError) as caught:
        training_request.check({**TRAINING, **change})
    assert caught.value.code == "ValidationException"
    assert said in caught.value.message


@pytest.mark.fidelity(
    "Training jobs",
    "DescribeTrainingJob answers OutputDataConfig.KmsKeyId as an empty string where none was given, and each channel's "
    "CompressionType and RecordWrapperType as None.",
    "aws/sagemaker-python-sdk, branch master-v2: Estimator.attach reads the key's id; answers shown in published "
    "notebooks",
)
def test_a_description_fills_in_what_the_request_left_out() -> None:
    described = training_request.description(TRAINING, "arn:job")
    assert described["OutputDataConfig"] == {"KmsKeyId": "", "S3OutputPath": "s3://b/out"}
    defaults = {"CompressionType": "None", "RecordWrapperType": "None"}
    assert described["InputDataConfig"] == [{"ChannelName": "train", "DataSource": S3_SOURCE, **defaults}]
    keyed = training_request.description(
        {**TRAINING, "OutputDataConfig": {"S3OutputPath": "s3://b/out", "KmsKeyId": "k"}}, "arn"
    )
    assert keyed["OutputDataConfig"]["KmsKeyId"] == "k"
    assert "InputDataConfig" not in training_request.description(
        {name: value for name, value in TRAINING.items() if name != "InputDataConfig"}, "arn:job"
    )


@pytest.mark.fidelity(
    "Training jobs",
    "MaxRuntimeInSeconds is 86,400 unless given.",
    "SageMaker API, StoppingCondition: default of one day",
)
def test_a_description_holds_the_request_and_awss_defaults_but_no_tags() -> None:
    described = training_request.description({**TRAINING, "Tags": [{"Key": "a", "Value": "b"}]}, "arn:job")
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert described["EnableManagedSpotTraining"] is False
    assert described["HyperParameters"] == TRAINING["HyperParameters"]
    assert "Tags" not in described


def processing_input(name: str = "data", path: str = "/opt/ml/processing/input", **changes: Any) -> dict[str, Any]:
    s3_input = {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix", "S3InputMode": "File", "LocalPath": path, **changes}
    return {"InputName": name, "S3Input": {key: value for key, value in s3_input.items() if value is not None}}


PROCESSING: dict[str, Any] = {
    "ProcessingJobName": "evaluate-1",
    "RoleArn": "arn:aws:iam::000000000000:role/processing",
    "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "x.py"]},
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}},
    "ProcessingInputs": [processing_input()],
}


@pytest.mark.fidelity(
    "Processing jobs",
    "An input that SageMaker manages needs LocalPath and S3InputMode.",
    "aws/sagemaker-python-sdk issue 2578; API reference, ProcessingS3Input",
)
def test_an_input_is_complete_or_refused() -> None:
    for missing in ("LocalPath", "S3InputMode"):
        with pytest.raises(SageMakerError, match="Input data missing one or more required fields") as caught:
            processing_request.check({**PROCESSING, "ProcessingInputs": [processing_input(**{missing: None})]})
        assert caught.value.code == "ValidationException"


@pytest.mark.fidelity(
    "Processing jobs",
    "A processing input's LocalPath begins with /opt/ml/processing/, and names are unique.",
    "SageMaker API, ProcessingS3Input: LocalPath",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AppSpecification": {"ImageUri": SKLEARN}}, "AppSpecification without ContainerEntrypoint"),
        ({"ProcessingInputs": [processing_input(path="/data")]}, "must begin with /opt/ml/processing/, not '/data'"),
        ({"ProcessingInputs": [processing_input(path="/opt/ml/processing/../x")]}, "must begin with"),
        ({"ProcessingInputs": [processing_input(), processing_input()]}, "names must be unique: data"),
        ({"ProcessingInputs": [processing_input(), processing_input("b")]}, "paths must be unique"),
        ({"ProcessingInputs": [processing_input(LocalPath=None)]}, 'for SageMaker-managed S3Input: "LocalPath"'),
        ({"ProcessingInputs": [processing_input(S3InputMode="Pipe")]}, "S3Input.S3InputMode = 'Pipe'"),
        ({"ProcessingInputs": [{**processing_input(), "AppManaged": True}]}, "ProcessingInputs[0].AppManaged"),
        ({"ProcessingResources": {"ClusterConfig": {"InstanceType": "t", "InstanceCount": 21}}}, "delta of 21"),
        (
            {
                "ProcessingOutputConfig": {
                    "Outputs": [{"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o", "S3UploadMode": "EndOfJob"}}]
                }
            },
            "LocalPath of processing output o must begin with",
        ),
    ],
)  # fmt: skip
def test_a_processing_request_is_checked_too(change: dict[str, Any], said: str) -> None:
    processing_request.check(PROCESSING)
    with pytest.raises(SageMakerError) as caught:
        processing_request.check({**PROCESSING, **change})
    assert said in caught.value.message
