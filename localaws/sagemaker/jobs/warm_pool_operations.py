"""Warm pools in the store: taken by a new job, settled when a job ends, updated by UpdateTrainingJob."""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.quotas import Quotas
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.core.store import Store
from localaws.sagemaker.core.unsupported import Refusal, always, refuse
from localaws.sagemaker.jobs import warm_pools
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.retention import Retention
from localaws.sagemaker.jobs.warm_pools import Pool

# In the store, by a job's name: since when the instances run that it has left or taken, and from which job.
_POOL = "warm-pool"
_REFUSED: dict[str, Refusal] = {
    "ProfilerConfig": always,
    "ProfilerRuleConfigurations": always,
    "RemoteDebugConfig": always,
}


def update(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """Keep an Available pool for another time, or end it."""
    refuse(request, _REFUSED)
    if "ResourceConfig" not in request:
        raise errors.validation("UpdateTrainingJob needs ResourceConfig: there is nothing else here to update.")
    context, name = engine.context, request[kind.name]
    seconds, now = warm_pools.period(request), context.clock.now()
    warm_pools.check_period(seconds)
    after = context.store.update(kind.resource_type, name, lambda before: warm_pools.updated(before, seconds, now))
    if after is None:
        raise errors.resource_not_found(kind.not_found)
    return {kind.arn: after[kind.arn]}


def taken_from(store: Store, name: str) -> str | None:
    """The job whose instances a job has taken."""
    pool = store.get(_POOL, name)
    return None if pool is None else pool["From"]


def all_taken_from(store: Store) -> set[str]:
    """The jobs whose instances others have taken that may still run."""
    return {pool["From"] for pool in store.list(_POOL) if pool["From"]}


def _claim(store: Store, document: Document, now: float) -> Document:
    pool = warm_pools.fitting(_pools(store), document, now)
    if pool is None:
        return document
    before, by = pool.document["TrainingJobName"], document["TrainingJobName"]
    store.update(warm_pools.TRAINING, before, lambda found: warm_pools.reused(found, by, now))
    store.delete(_POOL, before)
    _keep(store, by, pool.since, before)
    return warm_pools.in_use(document)


def _settle(store: Store, quotas: Quotas, document: Document) -> Document:
    if not warm_pools.period(document) and warm_pools.status(document) is None:
        return document
    after, name = warm_pools.ended(document, _pools(store), quotas), document["TrainingJobName"]
    taken = store.get(_POOL, name) if warm_pools.status(document) else None
    store.delete(_POOL, name)
    if warm_pools.status(after) == "Available":
        _keep(store, name, document["TrainingStartTime"] if taken is None else taken["Since"])
    return after


def _kept(store: Store, asking: Document, now: float) -> list[Document]:
    pools = _pools(store)
    taken = warm_pools.fitting(pools, asking, now)
    return [each.document for each in pools if warm_pools.is_available(each.document, now) and each is not taken]


def _pools(store: Store) -> list[Pool]:
    found = [(store.get(warm_pools.TRAINING, each["TrainingJobName"]), each["Since"]) for each in store.list(_POOL)]
    return [Pool(document, since) for document, since in found if document is not None]


def _keep(store: Store, name: str, since: float, before: str | None = None) -> None:
    store.delete(_POOL, name)
    store.create(_POOL, name, {"TrainingJobName": name, "Since": since, "From": before})


WARM_POOLS = Retention(claim=_claim, settle=_settle, seen=warm_pools.seen, kept=_kept)
