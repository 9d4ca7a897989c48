"""The phrases by which AWS says that something isn't there, or is there already, where it has no modelled error.

SageMaker answers ValidationException to both ("Could not find endpoint …", "Cannot create already existing model …"),
CloudFormation to a missing stack. They are looked for whatever their case.

ResourceLimitExceeded says both that a quota is too small for the request, and that others use it up for now.
"""

from __future__ import annotations

import re

MISSING = ("could not find", "does not exist", "not found")
EXISTING = "already exist"
# An endpoint that is being created, updated or deleted takes no other change.
IN_PROGRESS = "in-progress endpoint"
# One whose status allows no update at all.
NOT_UPDATABLE = "cannot update"
THROTTLED = ("Throttling", "Rate exceeded")
# Nobody uses the quota, and the request doesn't fit: no wait makes it fit.
QUOTA_TOO_SMALL = ("is 0 Instances", "with current utilization of 0 Instances")

# FailureReason of a job, and of an endpoint, for which there were no instances, whatever the quota says.
NO_CAPACITY, NO_CAPACITY_FOR_ENDPOINT = "CapacityError", "InsufficientInstanceCapacity"

_QUOTA = re.compile(r"service limit '([^']+)' is (\d+) Instances?, with current utilization of 0 Instances")


def says_missing(message: object) -> bool:
    """Whether an error's message says that the thing isn't there."""
    text = str(message).lower()
    return any(phrase in text for phrase in MISSING)


def too_small_a_quota(message: object) -> str | None:
    """A sentence about the quota that a request will never fit in; None for everything else, a busy one among it."""
    found = _QUOTA.search(str(message))
    if found is None:
        return None
    return (
        f"this account's quota '{found[1]}' is {found[2]}, and waiting doesn't raise it: request an increase in "
        "Service Quotas (Amazon SageMaker), or name an instance type in pipeline.yaml that has one (docs/account.md)"
    )
