"""The AWS around Application Auto Scaling. An adapter implements `Surroundings`; nothing here knows which AWS it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from localaws.sagemaker.core.request import Caller, Document

# What is scaled here.
NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"


@dataclass(frozen=True)
class Variant:
    """A production variant of an endpoint. `resource` is its ID here: `endpoint/<name>/variant/<name>`."""

    endpoint: str
    name: str

    @property
    def resource(self) -> str:
        return f"endpoint/{self.endpoint}/variant/{self.name}"


@dataclass(frozen=True)
class Capacity:
    """A variant as SageMaker has it now: its instances, and the status and failure reason of its endpoint."""

    instance_type: str
    desired: int
    status: str
    reason: str = ""


class Surroundings(Protocol):
    """The services that are called here. Every method may be called from any thread.

    clock_scale: how many seconds of alarms' periods and of cooldowns pass in one second.
    """

    account: str
    region: str
    clock_scale: float

    def now(self) -> float:
        """Epoch seconds."""

    def capacity(self, variant: Variant) -> Capacity | None:
        """A variant's instances; None where there is no such endpoint or variant."""

    def set_capacity(self, variant: Variant, count: int) -> None:
        """UpdateEndpointWeightsAndCapacities as the service-linked role. Raises SageMakerError."""

    def put_alarms(self, alarms: Sequence[Document]) -> None:
        """PutMetricAlarm, each."""

    def delete_alarms(self, names: Sequence[str]) -> None:
        """DeleteAlarms."""

    def sounding(self, names: Sequence[str]) -> Mapping[str, float | None]:
        """Of these alarms those that are in ALARM, each with the last value of its metric."""

    def put_metric(self, namespace: str, datum: Document) -> None:
        """PutMetricData."""

    def has_metric(self, alarm: str) -> bool:
        """Whether the metric of an alarm has a value for the last of its periods."""

    def make_role(self, caller: Caller) -> str:
        """The ARN of the service-linked role, made unless it is there. Raises SageMakerError (AccessDeniedException)
        where the caller may not make it (iam:CreateServiceLinkedRole)."""

    def authorize(self, caller: Caller, actions: Sequence[str], resource: str) -> None:
        """Check what a request implies. Raises SageMakerError (AccessDeniedException)."""
