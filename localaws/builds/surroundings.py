"""The AWS around builds. An adapter implements `Surroundings`; nothing here knows which AWS it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from localaws.builds.docker_command import Registry
from localaws.sagemaker.core.aws_platform import Credentials, Telemetry

Document = dict[str, Any]


class CouldNotAssumeError(Exception):
    """A project's role isn't there, or doesn't trust CodeBuild; the text says so."""


class Surroundings(Protocol):
    """Every method may be called from any thread.

    folder: where builds have their files and their images; survives restarts. image_dir: where tools' environments are
    kept. private_dirs: what no build may see.
    """

    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def endpoint_url(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def image_dir(self) -> Path: ...

    @property
    def private_dirs(self) -> Sequence[Path]: ...

    @property
    def registry(self) -> Registry:
        """The account's registry, as docker names it and as it is reached here."""

    def is_token(self, user: str, password: str) -> bool:
        """Whether this is a user and password that the registry takes."""

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        """Credentials of a project's role. Raises CouldNotAssumeError."""

    def telemetry_of(self, role_arn: str, session_name: str) -> Telemetry:
        """CloudWatch Logs, as far as a role may write to it."""

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        """Put an event of CodeBuild's on the default bus."""

    def make_aws(self, progress: Callable[[str], None]) -> Path:
        """The interpreter of the environment of the aws command, made at first use. Raises ImageBuildError."""
