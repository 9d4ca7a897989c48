"""AWS-shaped documents, as AWS's own pages show them, for tests to change a little."""

from __future__ import annotations

import json
from typing import Any

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"


def object_created(key: str = "digits/train/a.csv", **changes: Any) -> dict[str, Any]:
    """Amazon S3 User Guide, "EventBridge event message structure", Object created."""
    detail = {
        "version": "0",
        "bucket": {"name": "amzn-s3-demo-bucket1"},
        "object": {
            "key": key,
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    }
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "ca-central-1",
        "resources": ["arn:aws:s3:::amzn-s3-demo-bucket1"],
        "detail": {**detail, **changes},
    }


def status_change(status: str = "FAILED", run_id: str = "20261120-101112-abcd", **changes: Any) -> dict[str, Any]:
    """Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge"."""
    failed = status == "FAILED"
    detail = {
        "executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}",
        "stateMachineArn": MACHINE,
        "name": run_id,
        "status": status,
        "startDate": 1551225146847,
        "stopDate": 1551225151881,
        "input": "{}",
        "output": None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE" if failed else "NOT_REDRIVABLE",
        "redriveStatusReason": None,
        "inputDetails": {"included": True},
        "outputDetails": None,
        "error": "States.Runtime" if failed else None,
        "cause": "it broke" if failed else None,
    }
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "123456789012",
        "time": "2019-02-26T19:42:21Z",
        "region": "us-east-1",
        "resources": [detail["executionArn"]],
        "detail": {**detail, **changes},
    }


def training_job_change(status: str = "Completed", source: str = "aws.sagemaker", **changes: Any) -> dict[str, Any]:
    """SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge", Training job state
    change: the sample's fields and values, but for the status. It has no DebugRuleEvaluationStatuses."""
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/kmeans-1"
    source_of_data = {
        "S3DataType": "S3DataType",
        "S3Uri": "S3Uri",
        "S3DataDistributionType": "S3DataDistributionType",
    }
    channel = {
        "ChannelName": "Train",
        "DataSource": {"S3DataSource": source_of_data},
        "ContentType": "ContentType",
        "CompressionType": "CompressionType",
        "RecordWrapperType": "RecordWrapperType",
    }
    resources = {
        "InstanceType": "InstanceType",
        "InstanceCount": 3,
        "VolumeSizeInGB": 20,
        "VolumeKmsKeyId": "VolumeKmsKeyId",
    }
    at = "2018-10-06T12:26:13Z"
    detail = {
        "TrainingJobName": "89c96cc8-dded-4739-afcc-6f1dc936701d",
        "TrainingJobArn": arn,
        "TrainingJobStatus": status,
        "SecondaryStatus": status if status != "InProgress" else "Training",
        "HyperParameters": {"Hyper": "Parameters"},
        "AlgorithmSpecification": {"TrainingImage": "TrainingImage", "TrainingInputMode": "TrainingInputMode"},
        "RoleArn": "arn:aws:iam::123456789012:role/SMRole",
        "InputDataConfig": [channel],
        "OutputDataConfig": {"KmsKeyId": "KmsKeyId", "S3OutputPath": "S3OutputPath"},
        "ResourceConfig": resources,
        "VpcConfig": {},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "CreationTime": at,
        "TrainingStartTime": at,
        "TrainingEndTime": at,
        "LastModifiedTime": at,
        "SecondaryStatusTransitions": [],
        "Tags": {},
    }
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Training Job State Change",
        "source": source,
        "account": "123456789012",
        "time": "2018-10-06T12:26:13Z",
        "region": "us-east-1",
        "resources": [arn],
        "detail": {**detail, **changes},
    }


def package_change(arn: str, status: str = "Approved", **changes: Any) -> dict[str, Any]:
    """SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge", Model package state
    change: the members that are asked for here, and those beside them that tell it apart."""
    group, version = arn.rpartition("/")[0].rpartition("/")[2], int(arn.rpartition("/")[2])
    detail = {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": version,
        "ModelPackageArn": arn,
        "CreationTime": "2021-02-24T17:00:14Z",
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": status,
        "ApprovalDescription": "Testing",
        "UpdatedModelPackageFields": ["ModelApprovalStatus", "ApprovalDescription"],
    }
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2021-02-24T17:00:14Z",
        "region": "us-east-2",
        "resources": [arn],
        "detail": {**detail, **changes},
    }


def sqs_record(body: Any, number: int = 0, receive_count: int = 1) -> dict[str, Any]:
    """Lambda Developer Guide, "Using Lambda with Amazon SQS", one record."""
    return {
        "messageId": f"059f36b4-87a3-44ab-83d2-{number:012d}",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": str(receive_count),
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:my-queue",
        "awsRegion": "us-east-1",
    }


def endpoint_change(status: str = "IN_SERVICE", name: str = "local-digits-forest", **changes: Any) -> dict[str, Any]:
    """SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge", Endpoint state change;
    detail_type says which of the two kinds."""
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}"
    detail = {"EndpointName": name, "EndpointArn": arn, "EndpointConfigName": "MyEndpointConfig"}
    return {
        "version": "0",
        "id": "d2921b5a-b0ea-cace-a8e3-0f159d018e06",
        "detail-type": changes.pop("detail_type", "SageMaker Endpoint State Change"),
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2021-10-25T02:31:22Z",
        "region": "us-east-1",
        "resources": [arn],
        "detail": {**detail, "EndpointStatus": status, **changes},
    }
