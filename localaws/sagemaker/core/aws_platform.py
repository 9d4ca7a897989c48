"""The AWS around SageMaker. An adapter implements `Platform`; nothing here knows which AWS it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from socket import socket
from typing import Protocol

from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.core.request import Caller, Document


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of a role, as AWS STS returns them. `expiration` is timezone-aware."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: datetime


class Telemetry(Protocol):
    """CloudWatch, as a job or the service itself writes to it."""

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        """Append (milliseconds since the epoch, line) pairs to a CloudWatch log stream; makes group and stream."""

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        """Write CloudWatch metrics; `data` is PutMetricData's MetricData (Timestamp: epoch seconds or datetime)."""


class Platform(Telemetry, Protocol):
    """The AWS around SageMaker. Every method may be called from any thread.

    account, region: of every resource that SageMaker makes.
    endpoint_url: where jobs and model servers reach this AWS, for example ``http://127.0.0.1:4566``.
    state_dir: where SageMaker keeps its store and its jobs' files; survives restarts.
    image_dir: where image environments are cached; may be shared by several servers at once.
    clock_scale: how many seconds of a deployment's waits and of an alarm's period pass in one second; see
    `localaws.settings`.
    private_dirs: directories that jobs and models mustn't see: state and credentials of this AWS and of its user.
    """

    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def endpoint_url(self) -> str: ...

    @property
    def state_dir(self) -> Path: ...

    @property
    def image_dir(self) -> Path: ...

    @property
    def clock_scale(self) -> float: ...

    @property
    def private_dirs(self) -> Sequence[Path]: ...

    def answer_on(self, listener: socket) -> Callable[[], None]:
        """Answer what comes to a listening socket as what comes to `endpoint_url`; what ends that, and the socket."""

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        """Put an event of source ``aws.sagemaker`` on the default event bus."""

    def telemetry_of(self, role_arn: str) -> Telemetry:
        """Logs and metrics as a role may write them; what it may not write is lost, as in AWS."""

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        """Credentials of an execution role, assumed for one of the account's resources: a job, a model, an endpoint.

        Raises errors.SageMakerError when the role doesn't exist or doesn't trust sagemaker.amazonaws.com for that.
        """

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:
        """An image of the account's own registry, pulled as an execution role.

        Raises `registry_images`' ImageNotInRegistryError, for every other registry's too, ImageAccessDeniedError or
        UnusableImageError.
        """

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:
        """The states of CloudWatch alarms as a role may see them, by name; of those that there are.

        One that has been in ALARM at any time since `since` (epoch seconds) is told as ALARM. Raises
        errors.SageMakerError (AccessDeniedException) where the role may not describe them.
        """

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:
        """Publish a message to an SNS topic as a role.

        Raises errors.SageMakerError where the role may not, or there is no such topic.
        """

    def scalable_variants(self, endpoint: str) -> Sequence[str]:
        """The names of an endpoint's variants that Application Auto Scaling scales."""

    def deregister_variants(self, caller: Caller, endpoint: str) -> None:
        """Let none of an endpoint's variants be scaled any more.

        Raises errors.SageMakerError (AccessDeniedException) where the caller may not deregister one.
        """

    def authorize(self, caller: Caller, action: str, resource: str) -> None:
        """Check an action of the caller's that a request implies, such as iam:PassRole on an execution role.

        Raises errors.SageMakerError (AccessDeniedException) that names action, role and resource.
        """
