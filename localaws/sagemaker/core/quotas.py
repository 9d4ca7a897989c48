"""Quotas of instances: how many of a type the account may use at once for a kind of work.

They are named as Service Quotas names them, `ml.m5.large for training job usage`, and a request beyond one is refused
in SageMaker's own words. An account has one for everything; here there are those that `settings.json` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localaws.sagemaker.core import errors

TRAINING, SPOT_TRAINING, WARM_POOL, PROCESSING, TRANSFORM, ENDPOINT = _WORK = (
    "training job",
    "spot training job",
    "training warm pool",
    "processing job",
    "transform job",
    "endpoint",
)
_NAME = re.compile(rf"ml\.[a-z0-9-]+\.[a-z0-9-]+ for (?:{'|'.join(_WORK)}) usage")

Quotas = Mapping[str, int]


@dataclass(frozen=True)
class Use:
    """Instances of a type for a kind of work (one of the names above)."""

    work: str
    instance_type: str
    count: int

    @property
    def quota(self) -> str:
        return f"{self.instance_type} for {self.work} usage"


def check_quotas(quotas: object) -> None:
    """Raises ValueError for what isn't a table of quotas; it says what would be right."""
    if not isinstance(quotas, dict):
        raise ValueError(f"quotas: {quotas!r}; it must be an object, as {{'ml.m5.large for training job usage': 0}}")
    for name, value in quotas.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"quotas: {name!r}; it must be as 'ml.m5.large for training job usage', or …processing job…"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"quotas: {name}: {value!r}; it must be a whole number from 0 on")


def leave_room(quotas: Quotas, wanted: Use, in_use: Iterable[Use]) -> bool:
    """Whether a quota, if there is one, has room for further instances."""
    limit = quotas.get(wanted.quota)
    return limit is None or sum(use.count for use in in_use if use.quota == wanted.quota) + wanted.count <= limit


def require(quotas: Quotas, wanted: Iterable[Use], in_use: Iterable[Use]) -> None:
    """Refuses a request for more instances than a quota leaves. ResourceLimitExceeded."""
    used: dict[str, int] = {}
    for use in in_use:
        used[use.quota] = used.get(use.quota, 0) + use.count
    for use in wanted:
        limit, utilization = quotas.get(use.quota), used.get(use.quota, 0)
        if limit is not None and utilization + use.count > limit:
            raise exceeded(use.quota, limit, utilization, use.count)
        used[use.quota] = utilization + use.count


def exceeded(quota: str, limit: int, utilization: int, delta: int) -> errors.SageMakerError:
    """What a request is refused with that asks for `delta` instances more than a quota leaves."""
    return errors.resource_limit_exceeded(
        f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of {utilization} "
        f"Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to request an increase for "
        "this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
    )
