"""`deploy` of pipeline.yaml: the endpoint that serves the champion, and how a new one takes the old one's place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contract.batches import BATCH_KIND
from contract.endpoint_kinds import SERVERLESS_KIND
from ratchet.spec import units
from ratchet.spec.data import Prefix
from ratchet.spec.deploy_autoscale import Autoscale, check_autoscale
from ratchet.spec.deploy_batch import check_batch
from ratchet.spec.deploy_chain import Container, check_chain
from ratchet.spec.deploy_compile import Compile
from ratchet.spec.deploy_micro_batches import MicroBatches, check_kind
from ratchet.spec.deploy_queue import Queue, check_queue
from ratchet.spec.deploy_rollback import RollbackOn, check_latencies
from ratchet.spec.deploy_serverless import Serverless, check_serverless
from ratchet.spec.deploy_shadow import check_shadow
from ratchet.spec.deploy_shift import SHORTEST_BAKING, Shift, all_or, check_shift, with_all
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import INF1, Instances, InstanceTypes
from ratchet.spec.model import Example, Model
from ratchet.spec.units import duration_text

# BlueGreenUpdatePolicy and RollingUpdatePolicy, API reference.
LONGEST_KEPT = 3600
SHORTEST_TIME, LONGEST_TIME = 600, 28_800
# ProductionVariant.VariantInstanceProvisionTimeoutInSeconds, API reference.
SHORTEST_PROVISIONING, LONGEST_PROVISIONING = 300, 3600
# How many champions' models and endpoint configs stay, unless said.
KEPT_CHAMPIONS = 3

DeploymentSeconds = Annotated[int, *duration(units.SECONDS["m"], 4 * units.SECONDS["h"], what="a deployment")]
KeptSeconds = Annotated[int, *duration(0, LONGEST_KEPT, what="SageMaker's TerminationWaitInSeconds")]
MaxSeconds = Annotated[int, *duration(SHORTEST_TIME, LONGEST_TIME, what="SageMaker's MaximumExecutionTimeoutInSeconds")]


class Deploy(Model):
    """The endpoint, or the batch's instances. Times are in seconds."""

    kind: Annotated[
        Literal["endpoint", "batch", "async", "serverless"],
        Field(
            description="What the champion does: it answers requests, at once or later (async), on its own instances "
            "or on none (serverless), or each run ends with a batch of its own"
        ),
    ] = "endpoint"
    input: Annotated[
        Prefix | None, Field(description="Of kind batch: where in the data bucket the rows lie that are to be answered")
    ] = None
    instance: Annotated[
        Instances,
        Field(description="Required, but where kind is serverless", default_factory=lambda: InstanceTypes("")),
        Example("instance: ml.t2.medium"),
    ]
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    chain: Annotated[
        Sequence[Container],
        Field(description="Containers that answer one after the other, 2 to 15, instead of serve.py's one"),
    ] = ()
    compile: Annotated[
        Compile | None, Field(description="The trained model becomes one in ONNX, which is judged and serves")
    ] = None
    autoscale: Annotated[
        Autoscale | None, Field(description="Instances come and go with the requests, and by the clock")
    ] = None
    queue: Annotated[
        Queue | None, Field(description="Of kind async: where requests and answers lie, and who is told")
    ] = None
    serverless: Annotated[
        Serverless | None, Field(description="Of kind serverless: the size of an instance, and how many there may be")
    ] = None
    timeout: DeploymentSeconds = 1800
    shift: Annotated[
        Shift | None,
        BeforeValidator(checked(all_or)),
        Field(
            description="How traffic goes over to a new champion: all at once, or in steps that are watched",
            json_schema_extra=with_all,
        ),
    ] = None
    rollback_on: Annotated[
        RollbackOn | None, Field(description="What of the new fleet brings the old one back meanwhile")
    ] = None
    keep_old: Annotated[
        KeptSeconds,
        Field(description="How long the old fleet stays, and the new one is watched, with all traffic over"),
    ] = 0
    max_time: Annotated[
        MaxSeconds | None,
        Field(description="After that SageMaker goes back by itself; the waits and `timeout` unless said"),
    ] = None
    keep_champions: Annotated[
        int, Field(ge=1, le=100, description="Of so many champions the model stays ready to be deployed")
    ] = KEPT_CHAMPIONS

    batch: Annotated[
        MicroBatches | None, Field(description="Requests that come to the endpoint together are predicted together")
    ] = None

    @property
    def is_batch(self) -> bool:
        """Whether there is no endpoint: a run ends with its champion's answers to a batch."""
        return self.kind == BATCH_KIND

    @property
    def prefixes(self) -> dict[str, str]:
        """Where in the data bucket what the model is asked lies, and where its answers go, by the fields."""
        queue = self.queue
        asked = {"deploy.queue.input": queue.input, "deploy.queue.output": queue.output} if queue else {}
        return {**({"deploy.input": self.input} if self.input else {}), **asked}

    @property
    def first_count(self) -> int:
        """How many instances an endpoint config says: a first endpoint begins with so many, scaled or not."""
        is_said = "instance_count" in self.model_fields_set
        return self.autoscale.min if self.autoscale and not is_said else self.instance_count

    @property
    def is_serverless(self) -> bool:
        """Whether the endpoint has no instances of its own."""
        return self.kind == SERVERLESS_KIND

    @property
    def is_guarded(self) -> bool:
        """Whether SageMaker is told how to deploy."""
        return bool(self.steps or self.rollback_on or self.keep_old or self.max_time)

    @property
    def has_shadow(self) -> bool:
        """Whether a challenger sees a copy of the traffic first."""
        return self.shift is not None and self.shift.shadow is not None

    @property
    def steps(self) -> Shift | None:
        """How traffic goes over, after the shadow if there is one; None: all at once."""
        return self.shift.then if self.shift and self.has_shadow else self.shift

    @property
    def provisioning(self) -> int:
        """Seconds for which SageMaker tries to get instances of several types."""
        return min(LONGEST_PROVISIONING, max(SHORTEST_PROVISIONING, self.timeout))

    @property
    def waits(self) -> int:
        """Seconds that a deployment spends on watching."""
        return self.keep_old + (self.steps.steps(self.first_count) * self.steps.wait if self.steps else 0)

    @property
    def longest(self) -> int:
        """Seconds after which SageMaker gives up a guarded deployment."""
        return self.max_time or min(LONGEST_TIME, max(SHORTEST_TIME, self.waits + self.timeout))

    @model_validator(mode="after")
    def _possible(self) -> Deploy:
        check_serverless(self.kind, self.serverless, said=self.model_fields_set)
        check_queue(self.kind, self.queue)
        check_batch(self.kind, self.input, self.instance, said=self.model_fields_set)
        if "chain" in self.model_fields_set:
            check_chain(self.chain)
        check_kind(self.batch, self.kind)
        if self.autoscale:
            count = self.instance_count if "instance_count" in self.model_fields_set else None
            check_autoscale(self.autoscale, kind=self.kind, instance=self.instance, count=count)
        if self.has_shadow:
            check_shadow(self)
        _check_guardrails(self)
        check_latencies(self.rollback_on, self.kind)
        if self.steps:
            is_scaled = self.autoscale is not None
            check_shift(self.steps, instances=self.first_count, is_scaled=is_scaled, at=_at_steps(self))
        _check_watched(self)
        _check_times(self)
        return self


def _at_steps(deploy: Deploy) -> list[str]:
    return ["shift", "then"] if deploy.has_shadow else ["shift"]


def _check_guardrails(deploy: Deploy) -> None:
    """What says how SageMaker deploys is said of endpoints that have its guardrails.

    Sources: developer guide, "Deployment guardrails for updating models in production" (its note), "Exclusions".
    """
    others = [name for name in ("rollback_on", "keep_old", "max_time") if getattr(deploy, name)]
    said = _at_steps(deploy) if deploy.steps else others[:1]
    if not said:
        return
    if deploy.is_serverless:
        message = (
            "is said, but kind is serverless, and SageMaker's deployment guardrails are of real-time and asynchronous "
            "endpoints alone (developer guide, Deployment guardrails); leave it out"
        )
        raise refusal(message, *said)
    if inf1 := deploy.instance.of(INF1):
        message = (
            f"is said, but the instance is {inf1}: SageMaker updates Inf1 endpoints all at once, without a word "
            "(developer guide, Deployment guardrails, Exclusions); leave it out"
        )
        raise refusal(message, *said)


def _check_watched(deploy: Deploy) -> None:
    """Alarms and baking need each other ("Auto-Rollback Configuration and Monitoring")."""
    shift, alarms = deploy.steps, deploy.rollback_on
    if shift and not alarms:
        message = (
            f"is {shift.kind}, but there is no alarm to roll back on: SageMaker watches nothing while it bakes without "
            "one; write rollback_on: {errors: 1%}"
        )
        raise refusal(message, *_at_steps(deploy))
    if alarms and not shift and not deploy.has_shadow and deploy.keep_old < SHORTEST_BAKING:
        message = (
            "is said, but all traffic goes over at once and the old fleet with it: there is no time in which "
            "SageMaker watches an alarm; write shift: {canary: 10%}, or keep_old: 5m"
        )
        raise refusal(message, "rollback_on")
    if alarms and alarms.alarms and not shift and deploy.keep_old < SHORTEST_BAKING:
        message = (
            "are said, but no alarm judges a shadow, and after it all traffic goes over at once: there is no time in "
            "which SageMaker watches them; write then: {canary: 10%}, or keep_old: 5m"
        )
        raise refusal(message, "rollback_on", "alarms")
    if shift and shift.kind == "rolling" and deploy.keep_old:
        message = (
            "is said, but a rolling shift replaces the old instances as it goes; SageMaker's RollingUpdatePolicy has "
            "no TerminationWaitInSeconds: leave it out"
        )
        raise refusal(message, "keep_old")


def _check_times(deploy: Deploy) -> None:
    """SageMaker's time for a deployment "should be larger than the total waiting time" (BlueGreenUpdatePolicy)."""
    waits = duration_text(deploy.waits)
    if deploy.waits >= LONGEST_TIME:
        message = (
            f"waits {waits} in all, and SageMaker ends a deployment after {duration_text(LONGEST_TIME)} at the latest: "
            "write larger steps or shorter waits"
        )
        raise refusal(message, *_at_steps(deploy))
    if deploy.max_time is not None and deploy.max_time <= deploy.waits:
        message = (
            f"is {duration_text(deploy.max_time)}, but the waits alone are {waits}; SageMaker wants it larger than "
            "those, and the new instances have to start, too"
        )
        raise refusal(message, "max_time")
