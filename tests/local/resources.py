"""Roles and functions, for tests on the embedded AWS."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from typing import Any

from waiting import until


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def make_role(aws: Any, service: str, *statements: dict[str, Any], name: str = "") -> str:
    """A role that `service` (or, for an account id, that account) may assume, with these statements; its ARN."""
    principal = {"AWS": service} if service.isdigit() else {"Service": service}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam, role = aws.client("iam"), name or unique("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=role, PolicyName="policy", PolicyDocument=_policy(*statements))
    return str(arn)


def allow(*actions: str, resource: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_function(
    aws: Any, name: str, code: str, role: str, files: Mapping[str, str] | None = None, **options: Any
) -> str:
    """A Lambda function whose module `index` is `code`, with other files beside it; its ARN."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for path, text in {"index.py": code, **(files or {})}.items():
            archive.writestr(path, text)
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


def open_queue(aws: Any, service: str) -> tuple[str, str]:
    """URL and ARN of a queue that a service may send to."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return url, arn


def first_message(aws: Any, url: str) -> Any:
    """The body of a queue's first message, once there is one."""

    def look() -> Any:
        return aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")

    return json.loads(until(look, f"a message in {url}")[0]["Body"])
