"""Change sets that import what is there already, as `cdk deploy --import-existing-resources` asks: which they can."""

from __future__ import annotations

import json
from typing import Any

import pytest
from resources import unique
from stacks import Stack
from waiting import until

KEPT = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}


def deploy(aws: Any, resource: dict[str, Any]) -> tuple[str, Stack, str]:
    """What the change set does to the one resource, and the stack that it makes, with its status."""
    cloudformation, stack = aws.client("cloudformation"), Stack(aws.client("cloudformation"), unique("stack"))
    named = {"StackName": stack.name, "ChangeSetName": "as-cdk-does"}
    cloudformation.create_change_set(
        **named,
        ChangeSetType="CREATE",
        ImportExistingResources=True,
        TemplateBody=json.dumps({"Resources": {"Kept": {**KEPT, **resource}}}),
    )
    described = until(lambda: _ready(cloudformation.describe_change_set(**named)), "the change set")
    cloudformation.execute_change_set(**named)
    return described["Changes"][0]["ResourceChange"]["Action"], stack, stack.settled()


def _ready(described: dict[str, Any]) -> dict[str, Any] | None:
    return described if described["Status"] == "CREATE_COMPLETE" else None


@pytest.mark.fidelity(
    "CloudFormation",
    "ImportExistingResources takes up a retained resource that is named in the template by its primary identifier.",
    "CloudFormation User Guide, 'Import AWS resources into a CloudFormation stack automatically': primary IDs with read"
    " only properties aren't supported; AWS::SageMaker::ModelPackageGroup's resource schema: primaryIdentifier is"
    " ModelPackageGroupArn, a read-only property",
)
def test_a_bucket_is_taken_up_with_what_is_in_it(aws: Any) -> None:
    s3, bucket = aws.client("s3"), unique("kept")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="data.csv", Body=b"1")
    action, stack, status = deploy(aws, {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}})
    assert (action, status) == ("Import", "CREATE_COMPLETE")
    assert stack.physical_id("Kept") == bucket
    assert s3.get_object(Bucket=bucket, Key="data.csv")["Body"].read() == b"1"


def test_a_table_is_taken_up_with_what_is_in_it(aws: Any) -> None:
    dynamodb, table = aws.client("dynamodb"), unique("kept")
    described = {
        "TableName": table,
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    dynamodb.create_table(**described)
    dynamodb.put_item(TableName=table, Item={"k": {"S": "kept"}})
    action, stack, status = deploy(aws, {"Type": "AWS::DynamoDB::Table", "Properties": described})
    assert (action, status) == ("Import", "CREATE_COMPLETE")
    assert stack.physical_id("Kept") == table
    assert dynamodb.scan(TableName=table)["Count"] == 1


@pytest.mark.fidelity(
    "CloudFormation",
    "ImportExistingResources can't take up a model package group, whose primary identifier is its ARN: the creation"
    " fails on the name that is taken.",
    "CloudFormation User Guide, 'Import AWS resources into a CloudFormation stack automatically': primary IDs with read"
    " only properties aren't supported; AWS::SageMaker::ModelPackageGroup's resource schema: primaryIdentifier is"
    " ModelPackageGroupArn, a read-only property",
)
def test_a_model_package_group_is_not(aws: Any) -> None:
    sagemaker, group = aws.client("sagemaker"), unique("kept")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    resource = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": group}}
    action, stack, status = deploy(aws, resource)
    assert (action, status) == ("Add", "ROLLBACK_COMPLETE")
    assert "already exist" in stack.reason("Kept")
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupStatus"] == "Completed"
