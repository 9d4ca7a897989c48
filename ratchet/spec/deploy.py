"""`deploy` of pipeline.yaml: the endpoint that serves the champion, and how a new one takes the old one's place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from contract.batches import BATCH_KIND
from ratchet.spec import units
from ratchet.spec.data import Prefix
from ratchet.spec.deploy_batch import check_batch
from ratchet.spec.deploy_rollback import RollbackOn
from ratchet.spec.deploy_shift import SHORTEST_BAKING, WAYS, Shift, check_shift
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import Instances
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


def _all(value: object) -> object:
    """`all` is to shift nothing by steps."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"is {value!r}; write one of {WAYS}")
    return None if value == "all" else value


def _with_all(schema: dict[str, Any]) -> None:
    """The schema of `shift`, in which `all` is a word."""
    schema.update(anyOf=[{"const": "all"}, schema["anyOf"][0]], default="all")


class Deploy(Model):
    """The endpoint, or the batch's instances. Times are in seconds."""

    kind: Annotated[
        Literal["endpoint", "batch"],
        Field(description="What the champion does: it answers requests, or each run ends with a batch of its own"),
    ] = "endpoint"
    input: Annotated[
        Prefix | None, Field(description="Of kind batch: where in the data bucket the rows lie that are to be answered")
    ] = None
    instance: Annotated[Instances, Example("instance: ml.t2.medium")]
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    timeout: DeploymentSeconds = 1800
    shift: Annotated[
        Shift | None,
        BeforeValidator(checked(_all)),
        Field(
            description="How traffic goes over to a new champion: all at once, or in steps that are watched",
            json_schema_extra=_with_all,
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

    @property
    def is_batch(self) -> bool:
        """Whether there is no endpoint: a run ends with its champion's answers to a batch."""
        return self.kind == BATCH_KIND

    @property
    def is_guarded(self) -> bool:
        """Whether SageMaker is told how to deploy."""
        return bool(self.shift or self.rollback_on or self.keep_old or self.max_time)

    @property
    def provisioning(self) -> int:
        """Seconds for which SageMaker tries to get instances of several types."""
        return min(LONGEST_PROVISIONING, max(SHORTEST_PROVISIONING, self.timeout))

    @property
    def waits(self) -> int:
        """Seconds that a deployment spends on watching."""
        return self.keep_old + (self.shift.steps(self.instance_count) * self.shift.wait if self.shift else 0)

    @property
    def longest(self) -> int:
        """Seconds after which SageMaker gives up a guarded deployment."""
        return self.max_time or min(LONGEST_TIME, max(SHORTEST_TIME, self.waits + self.timeout))

    @model_validator(mode="after")
    def _possible(self) -> Deploy:
        check_batch(self.kind, self.input, self.instance, said=self.model_fields_set)
        if self.shift:
            check_shift(self.shift, instance=self.instance, instances=self.instance_count)
        _check_watched(self)
        _check_times(self)
        return self


def _check_watched(deploy: Deploy) -> None:
    """Alarms and baking need each other ("Auto-Rollback Configuration and Monitoring")."""
    shift, alarms = deploy.shift, deploy.rollback_on
    if shift and not alarms:
        message = (
            f"is {shift.kind}, but there is no alarm to roll back on: SageMaker watches nothing while it bakes without "
            "one; write rollback_on: {errors: 1%}"
        )
        raise refusal(message, "shift")
    if alarms and not shift and deploy.keep_old < SHORTEST_BAKING:
        message = (
            "is said, but all traffic goes over at once and the old fleet with it: there is no time in which "
            "SageMaker watches an alarm; write shift: {canary: 10%}, or keep_old: 5m"
        )
        raise refusal(message, "rollback_on")
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
        raise refusal(message, "shift")
    if deploy.max_time is not None and deploy.max_time <= deploy.waits:
        message = (
            f"is {duration_text(deploy.max_time)}, but the waits alone are {waits}; SageMaker wants it larger than "
            "those, and the new instances have to start, too"
        )
        raise refusal(message, "max_time")
