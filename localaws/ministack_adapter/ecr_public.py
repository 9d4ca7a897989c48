"""The one operation of Amazon ECR Public that a build needs: the password of `docker login public.ecr.aws`.

There is no public registry here, and the real one has never heard of this AWS: what this password is good for is that a
build's commands, written for an account, run here too, and lack no permission there. Images are pulled without it.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import operation_of

SERVICE = "ecr-public"
# "Registry authentication in Amazon ECR public": the token is valid for 12 hours.
_SECONDS = 12 * 3600
_JSON = "application/x-amz-json-1.1"

Response = tuple[int, dict[str, str], bytes]


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["SpencerFrontendService."],
        "host_patterns": [r"api\.ecr-public\."],
        "credential_scope": SERVICE,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    app.SERVICE_HANDLERS[SERVICE] = _handle


async def _handle(_method: str, _path: str, headers: dict[str, str], _body: bytes, _params: dict[str, Any]) -> Response:
    from ministack.core.iam_evaluator import caller_arn

    operation = operation_of(headers)
    if operation != "GetAuthorizationToken":
        return _error("UnsupportedCommandException", f"{operation} of Amazon ECR Public is not supported here")
    context = {"sts:AWSServiceName": f"{SERVICE}.amazonaws.com"}
    try:
        authorization.authorize(caller_arn(), "sts:GetServiceBearerToken", "*", context)
    except authorization.AccessDeniedError as denied:
        return _error(denied.code, denied.message)
    token = base64.b64encode(f"AWS:{secrets.token_urlsafe(32)}".encode()).decode()
    data = {"authorizationToken": token, "expiresAt": int(time.time()) + _SECONDS}
    return 200, {"Content-Type": _JSON}, json.dumps({"authorizationData": data}).encode()


def _error(code: str, message: str) -> Response:
    headers = {"Content-Type": _JSON, "x-amzn-errortype": code}
    return 400, headers, json.dumps({"__type": code, "message": message}).encode()
