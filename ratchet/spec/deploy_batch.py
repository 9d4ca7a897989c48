"""`deploy` of kind batch: what it needs, and what of an endpoint's it can't have."""

from __future__ import annotations

from collections.abc import Collection

from contract.batches import BATCH_KIND
from ratchet.spec.errors import refusal
from ratchet.spec.instances import InstanceTypes, check_one, is_of_transform_jobs

# Of an endpoint alone: traffic goes over, a fleet stays.
_OF_ENDPOINTS = ("autoscale", "shift", "rollback_on", "keep_old", "max_time", "batch")


def check_batch(kind: str, prefix: str | None, instance: InstanceTypes, *, said: Collection[str]) -> None:
    """Raises a refusal for what one kind needs and hasn't, or has and can't."""
    if kind != BATCH_KIND:
        if prefix is not None:
            raise refusal(f"is the rows of a batch, but kind is {kind}: write kind: batch, or leave it out", "input")
        return
    if prefix is None:
        raise refusal("is required where kind is batch: the prefix in the data bucket of the rows to answer", "input")
    for name in _OF_ENDPOINTS:
        if name in said:
            raise refusal("is an endpoint's, and kind is batch, which has none: leave it out", name)
    check_one(instance, "kind is batch, whose transform job can't be deleted and made anew")
    if not is_of_transform_jobs(instance):
        raise refusal(f"is {instance!r}, which SageMaker has for no transform job; write ml.m5.large", "instance")
