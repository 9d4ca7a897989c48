"""The endpoint, and whether it is what the run table says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from common.refusals import is_missing
from common.state import State

Document = dict[str, Any]

# In these it serves, or will, with the configs that its description names.
_SERVES = ("InService", "Creating", "Updating", "SystemUpdating", "RollingBack")
# It serves with a mix of two configs, after an update and its rollback have both failed.
MIXED = "UpdateRollbackFailed"


def described(client: Any, name: str) -> Document | None:
    """DescribeEndpoint's answer; None where there is no such endpoint. `client` is a boto3 SageMaker client."""
    try:
        found: Document = client.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def configs_of(endpoint: Mapping[str, Any]) -> set[str]:
    """The configs that an endpoint is on, or on its way to."""
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return {name for name in (endpoint.get("EndpointConfigName"), pending.get("EndpointConfigName")) if name}


def drift(state: State, endpoint: Mapping[str, Any] | None) -> str | None:
    """What is wrong with the endpoint, as a sentence; None where it is what the run table says."""
    status = endpoint["EndpointStatus"] if endpoint else None
    if state.champion is None:
        leaves = status in (None, "Deleting")
        return None if leaves else f"the endpoint was {status}, though no model is champion"
    champion = f"the champion, the model of run {state.champion['run_id']}"
    if endpoint is None:
        return f"there was no endpoint, though there is {champion}"
    if status not in _SERVES:
        why = f" ({endpoint['FailureReason']})" if endpoint.get("FailureReason") else ""
        served = "served more than" if status == MIXED else "didn't serve"
        return f"the endpoint was {status}{why}, and {served} {champion}"
    strange = sorted(configs_of(endpoint) - {state.champion.get("endpoint_config_name")})
    return f"the endpoint was {status} with {' and '.join(strange)}, which isn't {champion}" if strange else None
