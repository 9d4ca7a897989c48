"""What requests say of themselves, asked by policies: tables' keys, SageMaker's own keys, tags, missing objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, invoke, make_function, make_role, unique

ACCOUNT = "000000000000"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
DENIED = ("AccessDenied", "AccessDeniedException", "403")


def outcome(call: Any) -> str:
    """ "allowed", "denied", or another error's code."""
    try:
        call()
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        return "denied" if code in DENIED else code
    return "allowed"


def when(statement: dict[str, Any], **condition: Any) -> dict[str, Any]:
    named = {operator.replace("_", ":"): keys for operator, keys in condition.items()}
    return {**statement, "Condition": named}


def session(aws: Any, *statements: dict[str, Any]) -> dict[str, Any]:
    return assumed(aws, make_role(aws, ACCOUNT, *statements))


# --- DynamoDB ---


@pytest.fixture(scope="module")
def table(aws: Any) -> str:
    name = unique("states")
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture(scope="module")
def own_items(aws: Any, table: str) -> Any:
    """DynamoDB as somebody who may everything with the items under "mine"."""
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}"
    keys = {"ForAllValues_StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}
    return aws.client("dynamodb", session(aws, when(allow("dynamodb:*", resource=arn), **keys)))


def written(table: str, key: str) -> dict[str, Any]:
    put = {"Put": {"TableName": table, "Item": {"p": {"S": key}}}}
    insert = {"Statement": f"INSERT INTO \"{table}\" VALUE {{'p': '{key}'}}"}
    delete = {"Statement": f"DELETE FROM \"{table}\" WHERE p='{key}'"}  # noqa: S608
    return {
        "put_item": {"TableName": table, "Item": {"p": {"S": key}}},
        "get_item": {"TableName": table, "Key": {"p": {"S": key}}},
        "update_item": {"TableName": table, "Key": {"p": {"S": key}}},
        "query": {
            "TableName": table,
            "KeyConditionExpression": "p = :p",
            "ExpressionAttributeValues": {":p": {"S": key}},
        },
        "batch_get_item": {"RequestItems": {table: {"Keys": [{"p": {"S": key}}]}}},
        "batch_write_item": {"RequestItems": {table: [{"PutRequest": {"Item": {"p": {"S": key}}}}]}},
        "transact_write_items": {"TransactItems": [put]},
        "delete_item": {"TableName": table, "Key": {"p": {"S": key}}},
        "execute_statement": insert,
        "execute_transaction": {"TransactStatements": [delete]},
    }


@pytest.mark.fidelity(
    "IAM",
    "Who may use only items whose partition key is in dynamodb:LeadingKeys reaches no others by any operation.",
    "DynamoDB DG, Using IAM policy conditions for fine-grained access control",
)
def test_no_operation_reaches_others_items(own_items: Any, table: str) -> None:
    for key, expected in (("mine", "allowed"), ("theirs", "denied")):
        calls = written(table, key)
        got = {name: outcome(lambda n=name, c=calls: getattr(own_items, n)(**c[n])) for name in calls}
        assert got == dict.fromkeys(calls, expected)


def test_a_batch_is_denied_for_one_item_of_others(own_items: Any, table: str) -> None:
    items = [{"PutRequest": {"Item": {"p": {"S": key}}}} for key in ("mine", "theirs")]
    assert outcome(lambda: own_items.batch_write_item(RequestItems={table: items})) == "denied"


# --- SageMaker ---


@pytest.mark.fidelity(
    "IAM",
    "SageMaker's own condition keys tell what a request asks for: instances, keys, the VPC, isolation, the longest"
    " runtime, models of an endpoint's configuration.",
    "Service Authorization Reference, Amazon SageMaker: condition keys; SageMaker DG, Control Creation of SageMaker AI"
    " Resources with Condition Keys",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"ForAllValues_StringLike": {"sagemaker:InstanceTypes": "ml.m5.*"}}, "allowed"),
        ({"ForAllValues_StringLike": {"sagemaker:InstanceTypes": "ml.t3.*"}}, "denied"),
        ({"NumericLessThanEquals": {"sagemaker:MaxRuntimeInSeconds": "60"}}, "allowed"),
        ({"NumericLessThanEquals": {"sagemaker:MaxRuntimeInSeconds": "59"}}, "denied"),
        ({"Null": {"sagemaker:VpcSubnets": "false"}}, "denied"),
        ({"Bool": {"sagemaker:NetworkIsolation": "false"}}, "allowed"),
        ({"ArnLike": {"sagemaker:VolumeKmsKey": "arn:aws:kms:*:*:alias/x"}}, "denied"),
        ({"StringEquals": {"aws:RequestTag/team": "red"}}, "allowed"),
        ({"ForAllValues_StringEquals": {"aws:TagKeys": ["other"]}}, "denied"),
    ],
)
def test_sagemakers_keys(aws: Any, condition: Any, expected: str) -> None:
    statements = [when(allow("sagemaker:CreateTrainingJob"), **condition), allow("sagemaker:AddTags")]
    # PassRole is missing, so that no job is made: its denial says that the job itself was allowed.
    told = refusal_of_job(aws, session(aws, *statements))
    assert ("iam:PassRole" in told) is (expected == "allowed"), told


def refusal_of_job(aws: Any, key: Any) -> str:
    with pytest.raises(ClientError) as refused:
        aws.client("sagemaker", key).create_training_job(
            TrainingJobName=unique("job"),
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["true"],
            },
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/none",
            OutputDataConfig={"S3OutputPath": "s3://none/o"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
            Tags=[{"Key": "team", "Value": "red"}],
        )
    return str(refused.value)


@pytest.mark.fidelity(
    "IAM",
    "A create with tags needs sagemaker:AddTags, with sagemaker:TaggingAction for its condition.",
    "SageMaker DG, Provide permissions for tagging SageMaker AI resources; aws-cdk #32294",
)
def test_creating_with_tags_needs_the_permission(aws: Any) -> None:
    job = allow("sagemaker:CreateTrainingJob")
    assert "sagemaker:AddTags on resource" in refusal_of_job(aws, session(aws, job))
    for action, told in (("CreateTrainingJob", "iam:PassRole"), ("CreateModel", "sagemaker:AddTags")):
        tag = when(allow("sagemaker:AddTags"), StringEquals={"sagemaker:TaggingAction": action})
        assert told in refusal_of_job(aws, session(aws, job, tag))


@pytest.mark.fidelity(
    "IAM",
    "What a request implies is asked of its session, too: session policies limit iam:PassRole and sagemaker:AddTags.",
    "IAM User Guide, Session policies",
)
def test_session_policies_limit_what_a_request_implies(aws: Any) -> None:
    role = make_role(aws, ACCOUNT, allow("*"))
    for limits, told in (((allow("sagemaker:CreateTrainingJob"),), "AddTags"), ((allow("sagemaker:*"),), "PassRole")):
        policy = json.dumps({"Version": "2012-10-17", "Statement": limits})
        given = {"RoleArn": role, "RoleSessionName": "limited", "Policy": policy}
        key = dict(aws.client("sts").assume_role(**given)["Credentials"])
        assert told in refusal_of_job(aws, key)


# --- S3 ---


@pytest.mark.fidelity(
    "S3",
    "Without s3:ListBucket a missing key is AccessDenied, for GetObject, HeadObject and a copy's source; with it, under"
    " the s3:prefix that the key itself is, NoSuchKey.",
    "S3 API reference, GetObject and HeadObject: Permissions; ceph #68577 (s3:prefix is the object's name)",
)
def test_who_may_not_list_learns_no_keys(aws: Any) -> None:
    bucket = unique("listed")
    aws.client("s3").create_bucket(Bucket=bucket)
    listing = when(allow("s3:ListBucket"), StringLike={"s3:prefix": "open/*"})
    s3 = aws.client("s3", session(aws, allow("s3:GetObject", "s3:PutObject"), listing))

    def asked(key: str) -> list[str]:
        return [
            outcome(lambda: s3.get_object(Bucket=bucket, Key=key)),
            outcome(lambda: s3.head_object(Bucket=bucket, Key=key)),
            outcome(lambda: s3.copy_object(Bucket=bucket, Key="x", CopySource=f"{bucket}/{key}")),
        ]

    assert asked("closed/k") == ["denied", "denied", "denied"]
    assert asked("open/k") == ["NoSuchKey", "404", "NoSuchKey"]


# --- keys, logs and metrics ---


@pytest.mark.fidelity(
    "IAM",
    "A table under a customer's key serves only who has kms:Decrypt on it through DynamoDB; its description is open.",
    "DynamoDB DG, DynamoDB encryption at rest: How it works (Decrypt is called as each principal)",
)
def test_a_table_under_a_key_needs_the_key(aws: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    name = unique("sealed")
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    through = {
        "kms:ViaService": "dynamodb.us-east-1.amazonaws.com",
        "kms:EncryptionContext:aws:dynamodb:tableName": name,
    }
    decrypt = when(allow("kms:Decrypt", resource=key), StringEquals=through)
    for statements, expected in (((), "denied"), ((decrypt,), "allowed")):
        client = aws.client("dynamodb", session(aws, allow("dynamodb:*"), *statements))
        item = {"TableName": name, "Key": {"p": {"S": "x"}}}
        assert outcome(lambda c=client, i=item: c.get_item(**i)) == expected
        insert = f"INSERT INTO \"{name}\" VALUE {{'p': '{expected}'}}"
        assert outcome(lambda c=client, s=insert: c.execute_statement(Statement=s)) == expected
        assert outcome(lambda c=client: c.describe_table(TableName=name)) == "allowed"


@pytest.mark.fidelity(
    "S3",
    "A copy of an encrypted object needs kms:Decrypt on its key, an upload in parts kms:GenerateDataKey.",
    "S3 User Guide, Using server-side encryption with AWS KMS keys: permissions",
)
def test_copies_and_parts_need_the_key(aws: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket, owner = unique("sealed"), aws.client("s3")
    owner.create_bucket(Bucket=bucket)
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    owner.put_object(Bucket=bucket, Key="secret", Body=b"1", **sealed)
    s3 = aws.client("s3", session(aws, allow("s3:*")))
    source = {"Bucket": bucket, "Key": "open", "CopySource": f"{bucket}/secret"}
    assert outcome(lambda: s3.copy_object(**source)) == "denied"
    upload = owner.create_multipart_upload(Bucket=bucket, Key="open")["UploadId"]
    assert outcome(lambda: s3.upload_part_copy(**source, UploadId=upload, PartNumber=1)) == "denied"
    assert outcome(lambda: s3.create_multipart_upload(Bucket=bucket, Key="k", **sealed)) == "denied"


@pytest.mark.fidelity(
    "Lambda",
    "A function whose role mayn't write logs runs and has none; it needs logs:CreateLogStream and logs:PutLogEvents,"
    " and logs:CreateLogGroup where there is no group yet.",
    "Lambda DG, Sending Lambda function logs to CloudWatch Logs: required IAM permissions",
)
def test_a_function_logs_as_its_role(aws: Any) -> None:
    logs, code = aws.client("logs"), "def handler(event, context): print('told')"
    writes = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
    for missing in (*writes, ""):
        name = unique("logging")
        granted = [action for action in writes if action != missing]
        own = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/lambda/{name}:*"
        make_function(aws, name, code, make_role(aws, "lambda.amazonaws.com", allow(*granted, resource=own)))
        assert invoke(aws, name) == (None, None)
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
        assert len(groups) == (not missing), missing
