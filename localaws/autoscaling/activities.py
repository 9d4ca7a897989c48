"""Scaling activities, as pure functions: what Application Auto Scaling says that it does and has done.

Texts: "Scaling activities for Application Auto Scaling" (user guide).
"""

from __future__ import annotations

import uuid

from localaws.sagemaker.core.request import Document

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def of_capacity(target: Document, count: int, cause: str, now: float) -> Document:
    """The instances of a variant are being changed."""
    return {
        **_begun(target, cause, now),
        "Description": f"Setting desired instance count to {count}.",
        "StatusCode": "InProgress",
        "StatusMessage": f"Successfully set desired instance count to {count}. Waiting for change to be fulfilled by "
        "sagemaker.",
    }


def of_limits(target: Document, action: Document, now: float) -> Document:
    """A scheduled action has set a target's limits."""
    limits = action["ScalableTargetAction"]
    parts = [f"{side} capacity to {limits[f'{side.capitalize()}Capacity']}" for side in _sides(limits)]
    return {
        **_begun(target, f"scheduled action name {action['ScheduledActionName']} was triggered", now),
        "Description": f"Setting {' and '.join(parts)}",
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set {' and '.join(parts)}",
        "EndTime": now,
    }


def fulfilled(activity: Document, now: float) -> Document:
    began = activity["StatusMessage"].partition(" Waiting")[0]
    message = f"{began} Change successfully fulfilled by sagemaker."
    return activity | {"StatusCode": "Successful", "StatusMessage": message, "EndTime": now}


def failed(activity: Document, reason: str, now: float) -> Document:
    count = activity["Description"].removeprefix("Setting ").rstrip(".")
    message = f"Failed to set {count}. Reason: {reason}"
    return activity | {"StatusCode": "Failed", "StatusMessage": message, "EndTime": now}


def cause_of_limits(target: Document, count: int) -> str:
    """Why a variant is brought within its target's limits."""
    side = "minimum" if count == target["MinCapacity"] else "maximum"
    return f"{side} capacity was set to {count}"


def cause_of_alarm(alarm: str, policy: str) -> str:
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"


def _begun(target: Document, cause: str, now: float) -> Document:
    identity = {member: target[member] for member in _IDENTITY}
    return {"ActivityId": str(uuid.uuid4()), **identity, "Cause": cause, "StartTime": now}


def _sides(limits: Document) -> list[str]:
    return [side for side in ("min", "max") if f"{side.capitalize()}Capacity" in limits]
