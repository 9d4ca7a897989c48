"""Warm pools: a training job's instances, kept for a while when it is over, for the next job that is like it. Pure.

"SageMaker AI Managed Warm Pools" (Developer Guide). A pool has no clock of its own: what has become of it follows, at
any time, from its job's document, so that it ends on time whether or not the server was there.

What AWS's text leaves open, chosen here: a job that began cold has no WarmPoolStatus before it ends; of several pools
that fit, the one that has waited longest is taken; KeepAlivePeriodInSeconds, a new one of UpdateTrainingJob too, counts
from the end of the job; subnets and security groups match in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.quotas import WARM_POOL, Quotas, Use, leave_room
from localaws.sagemaker.core.request import Document

TRAINING = "training-job"  # whose instances they are
# "limited to a KeepAlivePeriodInSeconds value of 3600 seconds (60 minutes)" (Considerations); the API's shape takes
# 21,600, of which the guide doesn't know.
LONGEST = 3600
_LONGEST_LIFE = 28 * 86_400  # seconds: "can only continue running for a maximum of 28 days" (Considerations)
_SERVICE_FAULT = "InternalServerError"  # "any other reason that might compromise the health of the cluster"
_STATUS, _PERIOD, _BILLED = "WarmPoolStatus", "KeepAlivePeriodInSeconds", "ResourceRetainedBillableTimeInSeconds"


@dataclass(frozen=True)
class Pool:
    """The instances of a job that is over, launched `since` then, be it for an earlier job."""

    document: Document
    since: float


def check(request: Document) -> None:
    """Raise what is wrong with a request that wants its instances kept."""
    seconds = period(request)
    check_period(seconds)
    if seconds and request.get("EnableManagedSpotTraining"):
        raise errors.validation(
            f"ResourceConfig.{_PERIOD} = {seconds}: managed warm pools cannot be used with spot instances; leave it "
            "out, or set EnableManagedSpotTraining to false."
        )


def check_period(seconds: int) -> None:
    """Raise "not supported here" for what the Developer Guide doesn't allow."""
    if seconds > LONGEST:
        raise errors.not_supported(
            f"ResourceConfig.{_PERIOD} = {seconds}: the Developer Guide limits warm pools to {LONGEST}"
        )


def period(document: Document) -> int:
    """Seconds for which a job's instances are to be kept when it is over; 0: not at all."""
    return int(document.get("ResourceConfig", {}).get(_PERIOD) or 0)


def ended(document: Document, others: Iterable[Pool], quotas: Quotas) -> Document:
    """The document of a job that has just ended, and has a pool or wants to leave one, with what becomes of it.

    Without room in the quota for warm pools they aren't kept, and nobody is refused anything ("Request a warm pool
    quota increase").
    """
    now = document["TrainingEndTime"]
    pools = [_use(each.document) for each in others if is_available(each.document, now)]
    if _can_be_kept(document) and leave_room(quotas, _use(document), pools):
        return {**document, _STATUS: {"Status": "Available"}}
    return _terminated(document, now)


def seen(document: Document, now: float) -> Document:
    """A job's document as it is told: a pool whose time is up is no more, and SageMaker says where instances are."""
    if status(document) == "Reused":
        return _said(document, f"Resource reused by training job: {document[_STATUS]['ReusedByJob']}")
    if is_available(document, now):
        return _said(document, "Resource retained for reuse")
    return _terminated(document, _until(document)) if status(document) == "Available" else document


def status(document: Document) -> str | None:
    """The status that a job's pool had when it last changed; None where there is none."""
    told: str | None = document.get(_STATUS, {}).get("Status")
    return told


def is_available(document: Document, now: float) -> bool:
    """Whether a job's instances wait for another one."""
    return status(document) == "Available" and now < _until(document)


def takes_pools(document: Document) -> bool:
    """Whether a new job may run on instances that another one has left: not on spot capacity, and no tuning job's
    trial, whose instances SageMaker keeps by itself.
    """
    has_others = document.get("EnableManagedSpotTraining") or "TuningJobArn" in document
    return "ResourceConfig" in document and not has_others


def fitting(pools: Iterable[Pool], asking: Document, now: float) -> Pool | None:
    """The pool that a new job takes: the one that has waited longest of those that match it; None where none does."""
    if not takes_pools(asking):
        return None
    wanted = _what_matches(asking)
    found = [
        each for each in pools
        if is_available(each.document, now) and now - each.since < _LONGEST_LIFE
        and _what_matches(each.document) == wanted
    ]  # fmt: skip
    return min(found, key=lambda each: float(each.document["TrainingEndTime"]), default=None)


def reused(document: Document, by: str, now: float) -> Document:
    """The document of a job whose instances another one has taken."""
    told = {"Status": "Reused", _BILLED: _seconds(document, now), "ReusedByJob": by}
    return {**document, _STATUS: told, "LastModifiedTime": now}


def in_use(document: Document) -> Document:
    """The document of a new job that has taken instances which were kept."""
    return {**document, _STATUS: {"Status": "InUse"}}


def updated(document: Document, seconds: int, now: float) -> Document:
    """The document of a job whose pool is to be kept for another time; 0 ends it. Raises SageMakerError."""
    if not is_available(document, now):
        found = status(seen(document, now)) or "not there"
        raise errors.validation(
            f"{_PERIOD} of {document['TrainingJobName']} can't be updated: its warm pool is {found}; it must be "
            "Available."
        )
    resources = {**document["ResourceConfig"], _PERIOD: seconds}
    after = {**document, "ResourceConfig": resources, "LastModifiedTime": now}
    return after if is_available(after, now) else _terminated(after, now)


def _can_be_kept(document: Document) -> bool:
    """A cluster that was launched is kept, also when its job was stopped, or failed by its own or a client's fault."""
    launched = "TrainingStartTime" in document or _STATUS in document
    healthy = not str(document.get("FailureReason", "")).startswith(_SERVICE_FAULT)
    return period(document) > 0 and launched and healthy


def _what_matches(document: Document) -> tuple[Any, ...]:
    """What must be identical ("Matching training jobs")."""
    resources, vpc = document["ResourceConfig"], document.get("VpcConfig") or {}
    return (
        document["RoleArn"],
        resources["InstanceCount"],
        resources["InstanceType"],
        resources["VolumeSizeInGB"],
        resources.get("VolumeKmsKeyId") or "",
        frozenset(vpc.get("SecurityGroupIds") or ()),
        frozenset(vpc.get("Subnets") or ()),
        bool(document.get("EnableInterContainerTrafficEncryption")),
        bool(document.get("EnableNetworkIsolation")),
    )


def _use(document: Document) -> Use:
    resources = document["ResourceConfig"]
    return Use(WARM_POOL, resources["InstanceType"], resources["InstanceCount"])


def _until(document: Document) -> float:
    return float(document["TrainingEndTime"]) + period(document)


def _seconds(document: Document, until: float) -> int:
    return round(until - float(document["TrainingEndTime"]))


def _terminated(document: Document, at: float) -> Document:
    return {**document, _STATUS: {"Status": "Terminated", _BILLED: _seconds(document, at)}}


def _said(document: Document, message: str) -> Document:
    """What SageMaker says of the instances of a job that completed is the message of its last transition."""
    if document["TrainingJobStatus"] != "Completed":
        return document
    *earlier, last = document["SecondaryStatusTransitions"]
    return {**document, "SecondaryStatusTransitions": [*earlier, {**last, "StatusMessage": message}]}
