"""Which task resources are supported here, and who serves each (Developer Guide, "Integrating services")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.stepfunctions import sagemaker_tasks, wire_tasks
from localaws.ministack_adapter.stepfunctions.roles import RoleCredentials
from localaws.ministack_adapter.stepfunctions.sagemaker_tasks import SageMakerTasks
from localaws.ministack_adapter.stepfunctions.wire_tasks import WireTasks
from localaws.settings import Settings
from localaws.states.runtime import TaskCall

_PREFIX = "arn:aws:states:::"
_FUNCTION = re.compile(r"^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:.+$")
_PATTERNS = (".sync:2", ".sync", ".waitForTaskToken")
# The optimized integrations that are here, with the patterns that each supports beside request-response, but for
# SageMaker's: `sagemaker_tasks.optimized_actions`.
_OPTIMIZED = {
    "lambda": {"invoke": {".waitForTaskToken"}},
    "sqs": {"sendMessage": {".waitForTaskToken"}},
    "sns": {"publish": {".waitForTaskToken"}},
    "events": {"putEvents": {".waitForTaskToken"}},
    "states": {"startExecution": {".waitForTaskToken"}},
    "dynamodb": {action: set[str]() for action in ("getItem", "putItem", "updateItem", "deleteItem")},
}


@dataclass(frozen=True)
class Resource:
    """A task's resource ARN, taken apart: kind is "function", "sdk" or "optimized"; `pattern` has its dot."""

    kind: str
    service: str
    action: str
    pattern: str


def parse_resource(arn: str) -> Resource | None:
    if _FUNCTION.match(arn):
        return Resource("function", "lambda", "invoke", "")
    if not arn.startswith(_PREFIX):
        return None
    pattern = next((pattern for pattern in _PATTERNS if arn.endswith(pattern)), "")
    parts = arn.removeprefix(_PREFIX).removesuffix(pattern).split(":")
    if len(parts) == 3 and parts[0] == "aws-sdk" and all(parts):
        return Resource("sdk", parts[1].lower(), parts[2], pattern)
    return Resource("optimized", parts[0], parts[1], pattern) if len(parts) == 2 and all(parts) else None


class Integrations:
    """Runs tasks as the state machine's role."""

    def __init__(self, aws: EmbeddedAws, settings: Settings) -> None:
        self.aws = aws
        self.sagemaker = SageMakerTasks(aws, settings)
        self._wire = WireTasks(aws.endpoint_url, aws.region, RoleCredentials())

    def problem(self, arn: str) -> str | None:
        """Why a task with this resource can't run here, or None."""
        resource = parse_resource(arn)
        if resource is None:
            if ":activity:" in arn:
                return "activities are not supported here; use a Lambda function or .waitForTaskToken"
            return "the resource provided is not a task resource"
        if resource.kind == "function":
            return None
        if resource.kind == "sdk":
            return self._sdk_problem(resource)
        return _optimized_problem(resource)

    def run(self, role_arn: str, call: TaskCall) -> Any:
        """The task's output. Raises StatesError."""
        resource = parse_resource(call.resource)
        assert resource is not None  # noqa: S101 - checked when the machine was made
        if resource.kind == "function":
            request = {"FunctionName": call.resource, "Payload": call.arguments}
            return self._wire.invoke_function(role_arn, request)["Payload"]
        if resource.service == "sagemaker":
            if resource.kind == "sdk":
                return self.sagemaker.sdk(role_arn, resource.action, call.arguments)
            return self.sagemaker.optimized(role_arn, resource.action, call)
        if resource.kind == "sdk":
            return self._wire.sdk(role_arn, resource.service, resource.action, call.arguments)
        if resource.service == "lambda":
            return self._wire.invoke_function(role_arn, call.arguments)
        return self._wire.optimized(role_arn, resource.service, resource.action, call.arguments)

    def _sdk_problem(self, resource: Resource) -> str | None:
        operation = resource.action[0].upper() + resource.action[1:]
        if resource.pattern.startswith(".sync"):
            return f"aws-sdk integrations don't support {resource.pattern}"
        if resource.service == "sagemaker":
            known = operation in self.aws.sagemaker.operations
        elif resource.service in wire_tasks.SDK_SERVICES:
            known = self._wire.has_operation(wire_tasks.sdk_service(resource.service)[0], operation)
        else:
            return f"the aws-sdk service '{resource.service}' is not supported here"
        return None if known else f"the aws-sdk operation '{resource.service}:{resource.action}' is not supported here"


def _optimized_problem(resource: Resource) -> str | None:
    name = f"{resource.service}:{resource.action}{resource.pattern}"
    is_sagemaker = resource.service == "sagemaker"
    actions = sagemaker_tasks.optimized_actions() if is_sagemaker else _OPTIMIZED.get(resource.service, {})
    patterns = actions.get(resource.action)
    if patterns is None:
        return f"the integration '{name}' is not supported here"
    if resource.pattern and resource.pattern not in patterns:
        return f"the integration '{name}' is not supported here: it has no {resource.pattern}"
    return None
