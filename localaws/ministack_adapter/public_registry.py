"""ECR Public's GetAuthorizationToken, which MiniStack lacks: what `docker login public.ecr.aws` needs.

The token is one of the embedded registry's; images of public.ecr.aws themselves are pulled from there, without one.
AWS asks for two permissions ("Registry authentication in Amazon ECR public").
"""

from __future__ import annotations

import json
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import operation_of

SERVICE = "ecr-public"
_BEARER = ("sts:GetServiceBearerToken", {"sts:AWSServiceName": "ecr-public.amazonaws.com"})


def install(aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["SpencerFrontendService."],
        "host_patterns": [r"ecr-public\."],
        "credential_scope": SERVICE,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    app.SERVICE_HANDLERS[SERVICE] = _handler(aws)


def _handler(aws: EmbeddedAws) -> Any:
    async def handle(
        _method: str, _path: str, headers: dict[str, str], _body: bytes, _query: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        from ministack.core.iam_evaluator import caller_arn

        from localaws.registry.tokens import Owner

        operation, caller = operation_of(headers), caller_arn()
        if operation != "GetAuthorizationToken":
            return _error("UnsupportedCommandException", f"not implemented here: {operation} of ECR Public")
        try:
            authorization.authorize(caller, _BEARER[0], "*", _BEARER[1])
        except authorization.AccessDeniedError as denied:
            return _error(denied.code, denied.message)
        owner = Owner(caller, authorization.access_key())
        answered = aws.registry.answer(operation, {}, owner) or {}
        [data] = answered["authorizationData"]
        del data["proxyEndpoint"]
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps({"authorizationData": data}).encode()

    return handle


def _error(code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return 400, headers, json.dumps({"__type": code, "message": message}).encode()
