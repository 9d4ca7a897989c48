"""A state machine's role at work: its credentials for calls over the wire, renewed before they expire."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.ministack_platform import assume_role
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.states.errors import StatesError

PRINCIPAL = "states.amazonaws.com"
SESSION_NAME = "StepFunctions"
_SESSION_SECONDS = 3600
_RENEW_BEFORE = timedelta(minutes=5)


def check_assumable(role_arn: str, machine_arn: str) -> None:
    """Raise StatesError unless the role exists and trusts Step Functions; its trust may have changed since."""
    if not authorization.role_trusts(role_arn, PRINCIPAL, machine_arn):
        raise StatesError(
            "States.Permissions",
            f"Step Functions can't assume the state machine's role {role_arn}: "
            f"it doesn't exist, or its trust policy doesn't let {PRINCIPAL} assume it for {machine_arn}.",
        )


class RoleCredentials:
    """Credentials by role."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credentials] = {}
        self._lock = threading.Lock()

    def get(self, role_arn: str) -> Credentials:
        with self._lock:
            known = self._credentials.get(role_arn)
            if known is None or known.expiration - datetime.now(UTC) < _RENEW_BEFORE:
                known = self._credentials[role_arn] = assume_role(role_arn, SESSION_NAME, _SESSION_SECONDS)
            return known
