"""Roles and functions, for tests on the embedded AWS."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from waiting import until


def make_role(aws: Any, name: str, service: str, statements: list[dict[str, Any]]) -> str:
    """A role that `service` (or, for an account id, that account) may assume, with these statements; its ARN."""
    principal = {"AWS": service} if service.isdigit() else {"Service": service}
    trust = {"Version": "2012-10-17", "Statement": [_allow("sts:AssumeRole", Principal=principal)]}
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        policy = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps(policy))
    return str(arn)


def allow(action: str | list[str], resource: str | list[str] = "*") -> dict[str, Any]:
    return _allow(action, Resource=resource)


def _allow(action: str | list[str], **members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, **members}


def make_function(aws: Any, name: str, code: str, role: str, **options: Any) -> str:
    """A Lambda function whose module `index` is `code`; its ARN."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", code)
    created = aws.client("lambda").create_function(
        FunctionName=name,
        Role=role,
        Code={"ZipFile": package.getvalue()},
        **{"Runtime": "python3.13", "Handler": "index.handler", "Timeout": 60, **options},
    )
    return str(created["FunctionArn"])


def invoke(aws: Any, name: str, event: Any = None) -> tuple[Any, str | None]:
    """A function's answer and the kind of its error, if any."""
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def assumed(aws: Any, role: str) -> dict[str, Any]:
    """Credentials of a role that the account may assume."""
    return dict(aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"])


def first_message(aws: Any, url: str) -> Any:
    """The body of a queue's first message, once there is one."""

    def look() -> Any:
        return aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")

    return json.loads(until(look, f"a message in {url}")[0]["Body"])
