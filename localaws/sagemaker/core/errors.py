"""Errors with AWS's codes and wording. Codes are those of each operation's page in the SageMaker API reference."""

from __future__ import annotations

from typing import Any


class SageMakerError(Exception):
    """A request that is refused: AWS's error code, message, HTTP status and further members."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.members: dict[str, Any] = {}  # what the error has beside its message (ModelError)


def validation(message: str) -> SageMakerError:
    """A request that doesn't make sense, also one for something that doesn't exist (AWS answers so for Describe)."""
    return SageMakerError("ValidationException", message)


def already_exists(noun: str, arn: str) -> SageMakerError:
    """A hosting resource of the name is there already."""
    return validation(f'Cannot create already existing {noun} "{arn}".')


def not_supported(what: str) -> SageMakerError:
    """A field or value that AWS has and this SageMaker doesn't: refused by name, never ignored."""
    return validation(f"not supported here: {what}")


def not_implemented(operation: str) -> SageMakerError:
    """An operation that AWS has, or hasn't, and that isn't here."""
    return SageMakerError("UnknownOperationException", f"not implemented here: {operation}")


def resource_in_use(message: str) -> SageMakerError:
    """The name is taken, or something still needs the resource."""
    return SageMakerError("ResourceInUse", message)


def resource_not_found(message: str) -> SageMakerError:
    """The answer of some operations instead of a ValidationException; see each operation's errors."""
    return SageMakerError("ResourceNotFound", message)


def resource_limit_exceeded(message: str) -> SageMakerError:
    """A quota."""
    return SageMakerError("ResourceLimitExceeded", message)


def conflict(message: str) -> SageMakerError:
    """Two writers at once (model packages)."""
    return SageMakerError("ConflictException", message)


def access_denied(message: str) -> SageMakerError:
    """IAM says no; the message names principal, action and resource."""
    return SageMakerError("AccessDeniedException", message)


def could_not_assume(role_arn: str) -> SageMakerError:
    """The role doesn't exist, or its trust policy doesn't name SageMaker; AWS tells neither from the other."""
    return validation(
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )
