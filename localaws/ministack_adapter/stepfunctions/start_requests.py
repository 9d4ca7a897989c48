"""StartExecution's request: its checks, and whether it asks for an execution that runs already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localaws.states.dataflow import MAX_PAYLOAD_BYTES

_FORBIDDEN_IN_NAMES = frozenset(' \t\r\n<>{}[]?*"#%\\^|~`$&,;:/')
_MAX_NAME = 80


class RefusedStartError(Exception):
    """StartExecution is refused: AWS's error code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(data: Mapping[str, Any]) -> None:
    """Raise RefusedStartError for an input or a name that AWS would refuse."""
    _check_input(data.get("input", "{}"))
    name = data.get("name")
    if name is not None and not is_name(name):
        raise RefusedStartError("InvalidName", f"Invalid Name: '{name}'")


def is_name(name: Any) -> bool:
    """Whether a machine or an execution may have this name: 1 to 80 characters, no spaces, brackets and the like."""
    return isinstance(name, str) and 1 <= len(name) <= _MAX_NAME and not set(name) & _FORBIDDEN_IN_NAMES


def execution_arn(data: Mapping[str, Any]) -> str:
    """The ARN of the execution that a request would start under its name."""
    machine_arn = str(data.get("stateMachineArn", ""))
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{data.get('name')}"


def is_answered_by(data: Mapping[str, Any], execution: Mapping[str, Any] | None) -> bool:
    """Whether this execution, of the request's name, is what the request asks for.

    API reference, StartExecution: the same name and input while it runs answers as the first call did.
    """
    if execution is None or execution["status"] != "RUNNING":
        return False
    return bool(json.loads(execution["input"]) == json.loads(data.get("input", "{}")))


def _check_input(text: Any) -> None:
    if not isinstance(text, str):
        raise RefusedStartError("SerializationException", "The input must be a string.")
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise RefusedStartError(
            "ValidationException",
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_PAYLOAD_BYTES}",
        )
    try:
        json.loads(text)
    except ValueError as exc:
        raise RefusedStartError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{exc}'") from exc
