"""CreateTransformJob: refusals before anything starts, descriptions, and what a container is told."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.ministack_adapter.sagemaker_keys import request_keys
from localaws.ministack_adapter.sagemaker_requests import checks
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.validation import check_request
from localaws.sagemaker.jobs import transform_request
from localaws.sagemaker.jobs.transform import TRANSFORM
from localaws.sagemaker.jobs.transform_request import Pace

SOURCE = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}
REQUEST: dict[str, Any] = {
    "TransformJobName": "answers-1",
    "ModelName": "digits",
    "TransformInput": {"DataSource": SOURCE, "ContentType": "text/csv", "SplitType": "Line"},
    "TransformOutput": {"S3OutputPath": "s3://b/out/", "Accept": "text/csv", "AssembleWith": "Line"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


def given(member: str, **changes: Any) -> dict[str, Any]:
    return {member: {**REQUEST[member], **changes}}


def refused(changes: dict[str, Any]) -> str:
    with pytest.raises(SageMakerError) as caught:
        check_request("CreateTransformJob", {**REQUEST, **changes})
        transform_request.check({**REQUEST, **changes})
    return caught.value.message


def test_a_plain_job_passes() -> None:
    transform_request.check(REQUEST)
    transform_request.check({**REQUEST, "MaxPayloadInMB": 100, "BatchStrategy": "SingleRecord"})
    transform_request.check({**REQUEST, "MaxConcurrentTransforms": 16})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ExperimentConfig": {"TrialName": "t"}}, "not supported here: ExperimentConfig"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "not supported here: DataCaptureConfig"),
        ({"MaxPayloadInMB": 0}, "not supported here: MaxPayloadInMB = 0"),
        (given("TransformResources", TransformAmiVersion="al2-ami-sagemaker-batch-gpu-535"), "TransformAmiVersion"),
        (given("TransformResources", InstanceCount=101), "TransformResources.InstanceCount is 101; it can be 100"),
        (given("TransformResources", InstanceType="ml.t2.medium"), "'transformResources.instanceType' failed"),
        (given("TransformInput", DataSource={"S3DataSource": {"S3DataType": "AugmentedManifestFile",
                                                            "S3Uri": "s3://b/m"}}),
         "S3DataType = 'AugmentedManifestFile'"),
        (given("TransformInput", CompressionType="Zip"), "'transformInput.compressionType' failed to satisfy"),
        (given("TransformInput", SplitType="None") | {"BatchStrategy": "SingleRecord"},
         "BatchStrategy is SingleRecord and TransformInput.SplitType is None"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 4}}, "less than or equal to 3"),
        ({"ModelClientConfig": {"InvocationsTimeoutInSeconds": 3601}}, "less than or equal to 3600"),
        ({"DataProcessing": {"InputFilter": "$[0:1,3:]"}}, "only single range filters"),
        ({"Environment": {f"V{number}": "x" for number in range(17)}}, "length less than or equal to 16"),
    ],
)  # fmt: skip
def test_what_is_not_here_or_not_right_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    assert says in refused(changes)


@pytest.mark.fidelity(
    "Transform jobs",
    "MaxPayloadInMB can be 100 at most, and so can MaxConcurrentTransforms * MaxPayloadInMB.",
    "SageMaker API, CreateTransformJob: MaxPayloadInMB",
)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB is 101; it can be 100 at most"),
        ({"MaxPayloadInMB": 51, "MaxConcurrentTransforms": 2}, "is 2 * 51 = 102; it can be 100 at most"),
        ({"MaxConcurrentTransforms": 17}, "is 17 * 6 = 102; it can be 100 at most"),
    ],
)
def test_the_payload_has_a_limit(changes: dict[str, Any], says: str) -> None:
    assert says in refused(changes)


def test_the_description_has_the_defaults() -> None:
    described = transform_request.description({**REQUEST, "Tags": []}, "arn:x")
    assert described["TransformInput"]["CompressionType"] == "None"
    assert described["TransformOutput"]["AssembleWith"] == "Line"
    assert described["TransformJobArn"] == "arn:x"
    assert "Tags" not in described


@pytest.mark.fidelity(
    "Transform jobs",
    "A container has SAGEMAKER_BATCH, and of payload, strategy and concurrency what the request says.",
    "SageMaker DG, Use Your Own Inference Code with Batch Transform",
)
def test_a_container_is_told_what_the_request_says() -> None:
    assert transform_request.variables(REQUEST) == {"SAGEMAKER_BATCH": "true"}
    asked = {"MaxPayloadInMB": 3, "MaxConcurrentTransforms": 2, "BatchStrategy": "SingleRecord"}
    assert transform_request.variables({**REQUEST, **asked}) == {
        "SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "3", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    }  # fmt: skip


@pytest.mark.fidelity(
    "Transform jobs",
    "The request's settings come first, then what the container says at /execution-parameters, then 1, 6 MB and "
    "MultiRecord.",
    "SageMaker DG, Use Your Own Inference Code with Batch Transform: How Containers Serve Requests",
)
def test_the_request_comes_before_the_container_before_the_defaults() -> None:
    said = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
    assert transform_request.pace(REQUEST, {}) == Pace(1, 6, "MultiRecord")
    assert transform_request.pace(REQUEST, said) == Pace(8, 2, "SingleRecord")
    asked = {**REQUEST, "MaxConcurrentTransforms": 3, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 5}
    assert transform_request.pace(asked, said) == Pace(3, 5, "MultiRecord")
    assert transform_request.pace({**REQUEST, "MaxConcurrentTransforms": 0}, said).concurrent == 8
    assert str(Pace(1, 6, "MultiRecord")) == "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"


@pytest.mark.parametrize(
    "said", [{"MaxPayloadInMB": 0}, {"MaxPayloadInMB": 101}, {"MaxConcurrentTransforms": "2"}, {"BatchStrategy": "All"}]
)
def test_a_container_can_not_say_everything(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="/execution-parameters said"):
        transform_request.pace(REQUEST, said)
    with pytest.raises(ValueError, match="must be a JSON object"):
        transform_request.said(b"[]")
    with pytest.raises(ValueError, match="/execution-parameters said ''; it must be a JSON object"):
        transform_request.said(b"")


@pytest.mark.fidelity(
    "IAM",
    "CreateTransformJob is asked for on the job alone, with the keys InstanceTypes, ModelArn, OutputKmsKey and "
    "VolumeKmsKey; to pass a role it takes none.",
    "Service Authorization Reference, Amazon SageMaker: CreateTransformJob; aws/aws-cdk, "
    "aws-stepfunctions-tasks/lib/sagemaker/create-transform-job.ts",
)
def test_a_caller_is_asked_for_the_job_alone() -> None:
    request = {
        **REQUEST,
        **given("TransformOutput", KmsKeyId="alias/k"),
        **given("TransformResources", VolumeKmsKeyId="k"),
    }
    (action, resource, keys), *more = checks("r", "1", "CreateTransformJob", request)
    assert (action, resource, more) == (
        "sagemaker:CreateTransformJob",
        "arn:aws:sagemaker:r:1:transform-job/answers-1",
        [],
    )
    assert (
        keys
        == request_keys("CreateTransformJob", request, lambda service, rest: f"arn:aws:{service}:r:1:{rest}")
        == {
            "sagemaker:InstanceTypes": ["ml.m5.large"],
            "sagemaker:VolumeKmsKey": "arn:aws:kms:r:1:key/k",
            "sagemaker:OutputKmsKey": "arn:aws:kms:r:1:alias/k",
            "sagemaker:ModelArn": "arn:aws:sagemaker:r:1:model/digits",
        }
    )


@pytest.mark.fidelity(
    "Transform jobs",
    "SageMaker Transform Job State Change has the description's members and no LastModifiedTime.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge: SageMaker transform job state change",
)
def test_an_event_tells_what_describe_does() -> None:
    document = {**REQUEST, "TransformJobStatus": "InProgress", "CreationTime": 1.0, "LastModifiedTime": 2.0}
    assert TRANSFORM.noun == "Transform Job"
    assert TRANSFORM.detail(document) == {**REQUEST, "TransformJobStatus": "InProgress", "CreationTime": 1.0}
