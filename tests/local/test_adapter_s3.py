"""S3 where MiniStack alone differs from AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, make_role
from waiting import until


def deploy(aws: Any, stack: str, resources: dict[str, Any]) -> Any:
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": resources}))
    until(lambda: status(aws, stack) == "CREATE_COMPLETE")
    return cloudformation


def status(aws: Any, stack: str) -> str:
    try:
        return str(aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError:
        return "gone"


@pytest.mark.fidelity(
    "S3",
    "DeleteBucket of a bucket with content is BucketNotEmpty.",
    "S3 API, DeleteBucket; error responses",
)
def test_a_bucket_with_content_is_not_deleted(aws: Any) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="full-bucket")
    s3.put_object(Bucket="full-bucket", Key="k", Body=b"b")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket="full-bucket")
    assert caught.value.response["Error"]["Code"] == "BucketNotEmpty"


@pytest.mark.fidelity(
    "CloudFormation",
    "A stack's bucket with content makes DELETE_FAILED, and stays.",
    "CloudFormation User Guide, AWS::S3::Bucket: only empty buckets are deleted",
)
def test_cloudformation_does_not_delete_a_bucket_with_content(aws: Any) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "stack-bucket"}}
    cloudformation = deploy(aws, "with-bucket", {"Bucket": bucket})
    aws.client("s3").put_object(Bucket="stack-bucket", Key="k", Body=b"b")
    cloudformation.delete_stack(StackName="with-bucket")
    until(lambda: status(aws, "with-bucket") == "DELETE_FAILED")
    assert aws.client("s3").get_object(Bucket="stack-bucket", Key="k")["Body"].read() == b"b"
    aws.client("s3").delete_object(Bucket="stack-bucket", Key="k")
    cloudformation.delete_stack(StackName="with-bucket")
    until(lambda: status(aws, "with-bucket") in ("gone", "DELETE_COMPLETE"))


@pytest.mark.fidelity("S3", "Objects of a bucket with SSE-KMS show the key.", "S3 API, HeadObject")
def test_objects_of_an_encrypted_bucket_show_their_key(aws: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    properties = {"BucketName": "kms-bucket", "BucketEncryption": encryption}
    deploy(aws, "encrypted", {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
    s3 = aws.client("s3")
    s3.put_object(Bucket="kms-bucket", Key="k", Body=b"b")
    head = s3.head_object(Bucket="kms-bucket", Key="k")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


@pytest.mark.fidelity(
    "S3",
    "SSE-KMS needs kms:Decrypt to read and kms:GenerateDataKey to write.",
    "S3 User Guide, Using server-side encryption with AWS KMS keys: permissions",
)
def test_an_encrypted_object_needs_the_key_too(aws: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="sealed-bucket")
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    configuration = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket="sealed-bucket", ServerSideEncryptionConfiguration=configuration)
    s3.put_object(Bucket="sealed-bucket", Key="k", Body=b"b")
    keyless = aws.client("s3", assumed(aws, make_role(aws, aws.server.account, allow("s3:*"), name="keyless")))
    with pytest.raises(ClientError, match=f"keyless/test is not authorized to perform: kms:Decrypt on resource: {key}"):
        keyless.get_object(Bucket="sealed-bucket", Key="k")
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        keyless.put_object(Bucket="sealed-bucket", Key="k2", Body=b"b")
    statements = [allow("s3:*"), allow("kms:Decrypt", "kms:GenerateDataKey", resource=key)]
    with_key = aws.client("s3", assumed(aws, make_role(aws, aws.server.account, *statements, name="with-key")))
    with_key.put_object(Bucket="sealed-bucket", Key="k2", Body=b"c")
    assert with_key.get_object(Bucket="sealed-bucket", Key="k2")["Body"].read() == b"c"
