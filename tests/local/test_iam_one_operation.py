"""No session gets one operation authorized and another one done, however the request is written."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from resources import allow, assumed, make_role, unique

ACCOUNT = "000000000000"
FORM, TEXT = "application/x-www-form-urlencoded", "text/plain"
JSON = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Session:
    """Signs requests that no SDK writes."""

    url: str
    credentials: Credentials

    def status(self, service: str, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method=method, url=self.url + path, data=body, headers=named)
        SigV4Auth(self.credentials, service, "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request(method, path, body or None, dict(request.headers))
        return connection.getresponse().status


@pytest.fixture(scope="module")
def reader(aws: Any) -> Session:
    """May read what there is, and nothing else."""
    role = make_role(aws, ACCOUNT, allow("s3:GetObject", "iam:GetRole", "dynamodb:GetItem", "sts:GetCallerIdentity"))
    key = assumed(aws, role)
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    return Session(aws.client("s3").meta.endpoint_url, credentials)


def test_forms_are_authorized_by_what_they_do(aws: Any, reader: Session) -> None:
    name = unique("intruder")
    create = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
    tried = [
        reader.status("iam", "POST", "/", create, Content_Type=FORM),
        reader.status("iam", "POST", "/", create, Content_Type=TEXT),
        reader.status("iam", "POST", "/?Action=GetRole&RoleName=r", create, Content_Type=FORM),
        reader.status("iam", "POST", "/?RoleName=r", create.replace(b"Action=", b"Action=GetRole&Action=")),
        reader.status(
            "iam",
            "POST",
            "/?Action=GetRole",
            json.dumps({"UserName": name}).encode(),
            Content_Type=JSON,
            X_Amz_Target="IAMService.CreateUser",
        ),
    ]
    assert all(status in (400, 403) for status in tried), tried
    assert name not in [user["UserName"] for user in aws.client("iam").list_users()["Users"]]


def test_objects_and_tables_are_authorized_by_what_is_done(aws: Any, reader: Session) -> None:
    s3, bucket = aws.client("s3"), unique("of-readers")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    table = unique("of-readers")
    aws.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    drop = json.dumps({"TableName": table}).encode()
    target = {"Content_Type": JSON, "X_Amz_Target": "DynamoDB_20120810.DeleteTable"}
    tried = [
        reader.status("s3", "PUT", f"/{bucket}/k?Action=GetObject", b"changed"),
        reader.status("s3", "PUT", f"/{bucket}/k", b"changed", X_Amz_Target="x.GetObject"),
        reader.status("s3", "POST", f"/{bucket}/k", b"Action=GetObject", Content_Type=FORM),
        reader.status("dynamodb", "POST", "/?Action=GetItem", drop, **target),
        reader.status("dynamodb", "POST", "/", drop, **{**target, "X_Amz_Target": "DynamoDB_20120810.No"}),
    ]
    assert all(status in (400, 403) for status in tried), tried
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
    assert aws.client("dynamodb").describe_table(TableName=table)


@pytest.mark.fidelity(
    "IAM",
    "A resource is what the operation's own members name: others that are sent along say nothing.",
    "Service Authorization Reference, Actions defined by AWS services: an action's resource types",
)
def test_members_of_other_operations_name_no_resource(aws: Any) -> None:
    own = make_role(aws, ACCOUNT)
    iam_of_own = allow("iam:*", resource=own)
    states = allow("states:*", resource=f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:mine")
    key = assumed(aws, make_role(aws, ACCOUNT, iam_of_own, states))
    session = Session(
        aws.client("s3").meta.endpoint_url,
        Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]),
    )
    name = own.rpartition("/")[2]
    form = f"Action=CreateUser&Version=2010-05-08&UserName={unique('u')}&RoleName={name}".encode()
    assert session.status("iam", "POST", "/", form, Content_Type=FORM) == 403
    stop = {
        "executionArn": f"arn:aws:states:us-east-1:{ACCOUNT}:execution:another:x",
        "stateMachineArn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:mine",
    }
    target = {"Content_Type": "application/x-amz-json-1.0", "X_Amz_Target": "AWSStepFunctions.StopExecution"}
    assert session.status("states", "POST", "/", json.dumps(stop).encode(), **target) == 400
    answer = aws.client("iam", key).get_role(RoleName=name)
    assert answer["Role"]["Arn"] == own
