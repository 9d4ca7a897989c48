"""An AWS around SageMaker in which nothing happens, for tests of its parts."""

# The platform's methods take what they must take, used or not.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

from localaws.sagemaker.core.aws_platform import Credentials, Telemetry
from localaws.sagemaker.core.registry_images import ImageNotInRegistryError, RegistryImage
from localaws.sagemaker.core.request import Caller, Document


class QuietPlatform:
    """A `Platform` that remembers the events that it was told and lets everybody do everything."""

    clock_scale = 1.0
    account, region, endpoint_url = "000000000000", "us-east-1", "http://127.0.0.1:1"

    def __init__(self, root: Path) -> None:
        self.state_dir, self.image_dir = root / "state", root / "images"
        self.private_dirs: list[Path] = []
        self.events: list[tuple[str, Document]] = []

    def answer_on(self, listener: socket) -> Callable[[], None]:
        return listener.close

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        self.events.append((detail_type, detail))

    def telemetry_of(self, role_arn: str) -> Telemetry:
        return self

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        """Nobody reads."""

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        """Nobody looks."""

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        return Credentials("id", "secret", "token", datetime.now(UTC))

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:
        return dict.fromkeys(names, "OK")

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:
        raise ImageNotInRegistryError(uri)

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:
        """Nobody subscribes."""

    def scalable_variants(self, endpoint: str) -> Sequence[str]:
        return ()

    def deregister_variants(self, caller: Caller, endpoint: str) -> None:
        """Nothing is scaled."""

    def authorize(self, caller: Caller, action: str, resource: str) -> None:
        """Everybody may do everything."""
