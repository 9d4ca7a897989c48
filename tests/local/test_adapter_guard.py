"""The embedded AWS answers this machine's programs only: no web page, no other name, no key but its own."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.ministack_adapter.guard import is_loopback


def get(aws: Any, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", aws.server.port, timeout=5)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:4566", "localhost:1", "LOCALHOST", "[::1]:80", "bucket.s3.localhost:4566"]
)
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4566", "10.0.0.1", "notlocalhost"]
)
def test_names_that_are_not(host: str) -> None:
    assert not is_loopback(host)


def test_a_foreign_host_is_refused_by_name(aws: Any) -> None:
    status, body = get(aws, Host="evil.example")
    assert status == 403
    assert "the Host header names 'evil.example'" in json.loads(body)["message"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_foreign_origin_is_refused_by_name(aws: Any, origin: str) -> None:
    status, body = get(aws, Host="localhost", Origin=origin)
    assert status == 403
    assert f"the Origin header names '{origin}'" in json.loads(body)["message"]


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_ministack/sqs/messages"])
def test_administration_without_credentials_is_closed(aws: Any, path: str) -> None:
    status, body = get(aws, path, method="POST")
    assert status == 403
    assert "administration path" in json.loads(body)["message"]


def test_health_is_open(aws: Any) -> None:
    assert get(aws, "/_ministack/health")[0] == 200


@pytest.mark.parametrize(
    "key",
    [
        {"AccessKeyId": "test", "SecretAccessKey": "test"},
        {"AccessKeyId": "000000000000", "SecretAccessKey": "test"},
        {"AccessKeyId": "ASIA0123456789ABCDEF", "SecretAccessKey": "x", "SessionToken": "y"},
    ],
)
def test_no_other_key_is_taken(aws: Any, key: dict[str, str]) -> None:
    with pytest.raises(ClientError) as caught:
        aws.client("dynamodb", key).list_tables()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_our_key_with_a_wrong_secret_is_refused(aws: Any) -> None:
    key = {"AccessKeyId": aws.server.access_key_id, "SecretAccessKey": "wrong"}
    with pytest.raises(ClientError, match="signature"):
        aws.client("iam", key).list_roles()


def test_a_bucket_that_denies_plain_http_is_reached_over_loopback(aws: Any) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="tls-only")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    s3.put_object(Bucket="tls-only", Key="key", Body=b"body")
    assert s3.get_object(Bucket="tls-only", Key="key")["Body"].read() == b"body"
