"""Checks of the roles that requests hand to services: `iam:PassRole`, and that the role trusts the service."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localaws.ministack_adapter.authorization import AccessDeniedError, authorize, role_trusts
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.server_file import ACCOUNT, REGION

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
ServiceHandler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


@dataclass(frozen=True)
class PassedRole:
    """A role that a request hands to a service."""

    role_arn: str
    service: str
    # For which of the account's resources the service is to assume it.
    source_arn: str = ""


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    """Put the checks in front of the services that take roles."""
    from ministack import app

    for service, passed_roles in _PASSED_ROLES.items():
        app.SERVICE_HANDLERS[service] = _checking(app.SERVICE_HANDLERS[service], service, passed_roles)


def authorize_pass_role(principal_arn: str, passed: PassedRole) -> None:
    """Check `iam:PassRole` with the key `iam:PassedToService` (IAM User Guide, "Pass a role to an AWS service")."""
    authorize(principal_arn, "iam:PassRole", passed.role_arn, {"iam:PassedToService": passed.service})


def _checking(
    inner: ServiceHandler, service: str, passed_roles: Callable[[str, str, Document], Iterable[PassedRole]]
) -> ServiceHandler:
    async def handler(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        for passed in passed_roles(f"{method} {path}", operation, _json(body)):
            refused = _refused(service, passed)
            if refused is not None:
                return refused
        return await inner(method, path, headers, body, query_params)

    return handler


def _refused(service: str, passed: PassedRole) -> Response | None:
    from ministack.core.iam_evaluator import caller_arn

    try:
        authorize_pass_role(caller_arn(), passed)
    except AccessDeniedError as denied:
        return _error(403 if service == "lambda" else 400, "AccessDeniedException", denied.message)
    if role_trusts(passed.role_arn, passed.service, passed.source_arn):
        return None
    code, message = _UNTRUSTED[service]
    return _error(400, code, message.format(role=passed.role_arn, service=passed.service))


# What each service answers about a role that doesn't trust it, as its API reference and console word it.
_UNTRUSTED = {
    "lambda": ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."),
    "states": (
        "AccessDeniedException",
        "Neither the global service principal {service}, nor the regional one is authorized to assume the provided "
        "role: {role}.",
    ),
    "codebuild": (
        "InvalidInputException",
        "CodeBuild is not authorized to perform: sts:AssumeRole on service role. Please verify that: 1) The provided "
        "service role exists, 2) The role name is case-sensitive and matches exactly, and 3) The role has the "
        "necessary trust policy configured.",
    ),
    "events": (
        "ValidationException",
        "Provided role '{role}' cannot be assumed by principal '{service}'.",
    ),
    "scheduler": (
        "ValidationException",
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role: {role}.",
    ),
}


def _error(status: int, code: str, message: str) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def _json(body: bytes) -> Document:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _roles_of_states(_request: str, operation: str, document: Document) -> list[PassedRole]:
    named = operation in ("CreateStateMachine", "UpdateStateMachine") and document.get("roleArn")
    made = _arn("states", f"stateMachine:{document.get('name', '')}")
    machine = str(document.get("stateMachineArn") or made)
    return [PassedRole(document["roleArn"], "states.amazonaws.com", machine)] if named else []


def _roles_of_lambda(request: str, _operation: str, document: Document) -> list[PassedRole]:
    creates = request.startswith("POST ") and request.rstrip("/").endswith("/functions")
    updates = request.startswith("PUT ") and request.endswith("/configuration")
    named = (creates or updates) and isinstance(document.get("Role"), str)
    name = request.split("/")[-2] if updates else str(document.get("FunctionName", ""))
    return [PassedRole(document["Role"], "lambda.amazonaws.com", function_arn(name))] if named else []


def _roles_of_events(_request: str, operation: str, document: Document) -> list[PassedRole]:
    bus = str(document.get("EventBusName") or "default").rpartition("/")[2]
    name = document.get("Name") or document.get("Rule", "")
    rule = _arn("events", f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}")
    if operation == "PutRule" and document.get("RoleArn"):
        return [PassedRole(document["RoleArn"], "events.amazonaws.com", rule)]
    targets = document.get("Targets", []) if operation == "PutTargets" else []
    return [PassedRole(target["RoleArn"], "events.amazonaws.com", rule) for target in targets if target.get("RoleArn")]


def _roles_of_scheduler(request: str, _operation: str, document: Document) -> list[PassedRole]:
    """Its source is the schedule's group ("Set up cross-service confused deputy prevention", EventBridge Scheduler)."""
    role = (document.get("Target") or {}).get("RoleArn")
    writes = request.startswith(("POST ", "PUT ")) and "/schedules/" in request
    group = _arn("scheduler", f"schedule-group/{document.get('GroupName') or 'default'}")
    return [PassedRole(role, "scheduler.amazonaws.com", group)] if writes and role else []


def _roles_of_builds(_request: str, operation: str, document: Document) -> list[PassedRole]:
    named = operation in ("CreateProject", "UpdateProject") and document.get("serviceRole")
    project = _arn("codebuild", f"project/{document.get('name', '')}")
    return [PassedRole(str(document["serviceRole"]), "codebuild.amazonaws.com", project)] if named else []


def function_arn(name: str) -> str:
    """The ARN of a function that is named by its name or, already, by its ARN. Pure."""
    return name if name.startswith("arn:") else _arn("lambda", f"function:{name}")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


_PASSED_ROLES: dict[str, Callable[[str, str, Document], Iterable[PassedRole]]] = {
    "states": _roles_of_states,
    "lambda": _roles_of_lambda,
    "events": _roles_of_events,
    "scheduler": _roles_of_scheduler,
    "codebuild": _roles_of_builds,
}
