"""A custom resource fails as soon as its function does.

CloudFormation waits up to an hour for the answer of a custom resource's function, even when the function has ended with
an error and no answer can come. Here the function's error is the answer.
"""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]

_RESPONSE_PATH = "/_ministack/cfn-response/"


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_with_config_scope

    def _execute_function_with_config_scope(func: Document, event: Any) -> Any:
        result = execute(func, event)
        token = response_token(event)
        if token and isinstance(result, dict) and result.get("error"):
            from ministack.services.cloudformation.custom_resource import deliver_response

            deliver_response(token, {"Status": "FAILED", "Reason": failure(func, result.get("body"))})
        return result

    lambda_svc._execute_function_with_config_scope = _execute_function_with_config_scope


def response_token(event: Any) -> str:
    """The token of the answer that a custom resource's request asks for; empty for any other event. Pure."""
    if not isinstance(event, dict) or "RequestType" not in event:
        return ""
    return str(event.get("ResponseURL", "")).partition(_RESPONSE_PATH)[2]


def failure(func: Document, error: Any) -> str:
    """The reason that the stack's events show. Pure."""
    name = (func.get("config") or func).get("FunctionName", "")
    document = error if isinstance(error, dict) else {}
    return f"Function {name} failed: {document.get('errorType', 'Error')}: {document.get('errorMessage', error)}"
