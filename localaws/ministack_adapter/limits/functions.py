"""Lambda: names, configuration and variables of functions, and their event source mappings. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Check, Constraint, Document, Refusal, first

_VARIABLES_BYTES = 4096
_RESERVED = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}  # fmt: skip
_UNABLE = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)
_CONFIGURATION = (
    Constraint("MemorySize", least=128, most=10240),
    Constraint("Timeout", least=1, most=900),
    Constraint("Description", most=256),
    Constraint("Handler", pattern=r"[^\s]+", most=128),
)
_NAME_CHARACTERS = 64


def of_configuration(request: Document) -> Refusal | None:
    """Of CreateFunction and UpdateFunctionConfiguration."""
    variables = (request.get("Environment") or {}).get("Variables") or {}
    return first(request, _CONFIGURATION) or _of_variables(variables)


def _of_variables(variables: Mapping[str, str]) -> Refusal | None:
    for name in variables:
        if not re.fullmatch("[a-zA-Z][a-zA-Z0-9_]+", name) and name not in _RESERVED:
            told = f"Value '{name}' at 'environment.variables' failed to satisfy constraint: Map keys must satisfy "
            return Refusal("ValidationException", f"1 validation error detected: {told}[a-zA-Z]([a-zA-Z0-9_])+")
    if reserved := [name for name in variables if name in _RESERVED]:
        told = "contains reserved keys that are currently not supported for modification. Reserved keys used in this"
        return Refusal("InvalidParameterValueException", f"{_UNABLE}{told} request: {', '.join(reserved)}")
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > _VARIABLES_BYTES:
        return Refusal(
            "InvalidParameterValueException", f"{_UNABLE}exceeded the 4KB limit. String measured: {measured}"
        )
    return None


def _of_creation(request: Document) -> Refusal | None:
    name = str(request.get("FunctionName", "")).rpartition(":")[2]
    named = {"FunctionName": name} if name else {}
    constraint = Constraint("FunctionName", pattern="[a-zA-Z0-9-_]+", most=_NAME_CHARACTERS)
    return constraint.refusal(named) or of_configuration(request)


def _of_mapping(request: Document) -> Refusal | None:
    size, window = request.get("BatchSize"), request.get("MaximumBatchingWindowInSeconds") or 0
    is_queue = ":sqs:" in str(request.get("EventSourceArn", ""))
    if is_queue and size and int(size) > 10 and not window:
        told = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        return Refusal("InvalidParameterValueException", told)
    return Constraint("BatchSize", least=1, most=10000).refusal(request)


CHECKS: Mapping[str, Check] = {"_create_function": _of_creation, "_create_esm": _of_mapping}
