"""Fleets with those who see their exchanges: the mirror of a shadow variant, and the captures of all variants."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.data_capture import FLUSH_SECONDS, SHORTEST_FLUSH_SECONDS, Capture, is_on, writer
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import Start, VariantPlan
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.mirror import Mirror
from localaws.sagemaker.hosting.snapshots import CAPTURE, copied_share, plans_of
from localaws.sagemaker.hosting.witnesses import Witness

# Credentials of a role last for an hour (AssumeRole).
_ROLE_SECONDS = 1800.0


@dataclass(frozen=True)
class Watching:
    """Makes an endpoint's fleets of their snapshots."""

    context: Context
    metrics: InvocationMetrics

    def fleet(self, endpoint: str, snapshot: Document, start: Start) -> Deployment:
        """The fleet of a snapshot, which isn't started yet."""
        plans = plans_of(snapshot)
        captures = {plan.name: self._captures(endpoint, snapshot.get(CAPTURE), plan) for plan in plans}
        mirrors = [
            Mirror(plan.name, copied_share(snapshot), self.metrics, captures[plan.name])
            for plan in plans
            if plan.is_shadow
        ]
        watched = [
            plan if plan.is_shadow else replace(plan, witnesses=[*captures[plan.name], *mirrors]) for plan in plans
        ]
        deployment = Deployment(watched, start)
        for mirror in mirrors:
            mirror.of(deployment)
        return deployment

    def _captures(self, endpoint: str, config: Document | None, plan: VariantPlan) -> Sequence[Witness]:
        if config is None or not is_on(config):
            return []
        objects = _OfRole(self.context, plan.source["RoleArn"], self.context.arn("endpoint", endpoint))
        flush = max(FLUSH_SECONDS / self.context.platform.clock_scale, SHORTEST_FLUSH_SECONDS)
        return [Capture(config, writer(objects, config), flush)]


class _OfRole:
    """S3 through a model's execution role, which is assumed anew from time to time. Used by one thread."""

    def __init__(self, context: Context, role_arn: str, source_arn: str) -> None:
        self._context, self._role_arn, self._source_arn = context, role_arn, source_arn
        self._objects: Objects | None = None
        self._until = 0.0

    def __call__(self) -> Objects:
        if self._objects is None or time.monotonic() > self._until:
            credentials = self._context.platform.assume_role(self._role_arn, "SageMaker", self._source_arn)
            self._objects = Objects(self._context.wire.s3(credentials), self._role_arn)
            self._until = time.monotonic() + _ROLE_SECONDS
        return self._objects


def copy_as_said(fleet: Deployment, snapshot: Document) -> None:
    """Give the mirror of a fleet, if it has one, the share that a snapshot of it says."""
    for witness in fleet.witnesses():
        if isinstance(witness, Mirror):
            witness.set_share(copied_share(snapshot))
