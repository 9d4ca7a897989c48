"""What is authorized is what is done: requests that say things twice, or of another operation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.ministack_adapter.one_operation import known_members, object_arn, said_twice

FORM = {"content-type": "application/x-www-form-urlencoded"}
TARGET = {"x-amz-target": "DynamoDB_20120810.PutItem"}


@pytest.mark.parametrize(
    ("service", "headers", "body", "query", "told"),
    [
        ("iam", FORM, b"Action=GetRole&RoleName=r", {}, ""),
        ("iam", {}, b"", {"Action": ["GetRole"], "RoleName": ["r"]}, ""),
        ("iam", FORM, b"Action=CreateUser", {"Action": ["GetRole"]}, "a body and the query string's Action"),
        ("iam", {}, b"Action=CreateUser", {"RoleName": ["r"]}, "a body and the query string's RoleName"),
        ("iam", FORM, b"Action=GetRole&Action=CreateUser", {}, "Action, twice"),
        ("iam", FORM, b"Action=GetRole&RoleName=&RoleName=r", {}, "RoleName, twice"),
        ("iam", {}, b"", {"Action": ["GetRole", "CreateUser"]}, "Action, twice"),
        ("sts", TARGET, b"{}", {}, "X-Amz-Target, which this service's protocol doesn't have"),
        ("dynamodb", TARGET, b"{}", {}, ""),
        ("dynamodb", TARGET, b"{}", {"X-Amz-Security-Token": ["t"]}, ""),
        ("dynamodb", TARGET, b"{}", {"Action": ["GetItem"]}, "X-Amz-Target and the query string's Action"),
        ("sqs", FORM, b"Action=SendMessage&MessageAttribute.1.Name=a&MessageAttribute.1.Value=b", {}, ""),
    ],
)
def test_what_is_said_twice(service: str, headers: dict[str, str], body: bytes, query: Any, told: str) -> None:
    assert said_twice(service, headers, body, query) == told


def test_members_of_another_operation_say_nothing_of_the_resource() -> None:
    members = frozenset({"UserName", "Path"})
    body = json.dumps({"UserName": "admin", "RoleName": "mine"}).encode()
    assert json.loads(known_members(body, members)) == {"UserName": "admin"}
    assert known_members(b'{"UserName": "admin"}', members) == b'{"UserName": "admin"}'
    assert known_members(b"{no json", members) == b"{}"
    assert known_members(b"Action=x", members) == b"Action=x"


@pytest.mark.parametrize(
    ("path", "arn"),
    [
        ("/b/a/x", "arn:aws:s3:::b/a/x"),
        ("/b//a/x", "arn:aws:s3:::b//a/x"),
        ("/b/a//x/", "arn:aws:s3:::b/a//x/"),
        ("/b/", ""),
        ("/b", ""),
        ("/", ""),
    ],
)
def test_an_objects_arn_has_every_slash_of_its_key(path: str, arn: str) -> None:
    assert object_arn(path) == arn
