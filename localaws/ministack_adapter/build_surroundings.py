"""The AWS around builds, as MiniStack and our registry have it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

from localaws.builds.docker_command import Registry
from localaws.builds.surroundings import CouldNotAssumeError, Document
from localaws.ministack_adapter import authorization, ministack_platform
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.ministack_platform import MiniStackPlatform
from localaws.ministack_adapter.role_telemetry import RoleTelemetry
from localaws.registry.refusals import RegistryError
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.core.aws_platform import Credentials, Telemetry

CODEBUILD = "codebuild.amazonaws.com"
# As long as the longest build, 36 hours.
_SESSION_SECONDS = 36 * 3600
# Version 1, since it is on PyPI; commands that builds use are the same in both.
_AWS_COMMAND = ("aws-cli", ("awscli==1.46.3",))


class BuildSurroundings:
    """The `Surroundings` of builds. Every method may be called from any thread."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._platform = MiniStackPlatform(aws)
        self.account, self.region, self.endpoint_url = aws.account, aws.region, aws.endpoint_url
        self.folder: Path = aws.state_dir / "builds"
        self.image_dir: Path = aws.image_dir
        self.private_dirs: Sequence[Path] = self._platform.private_dirs
        self.registry = Registry(aws.registry.host, aws.endpoint_url.partition("://")[2])

    def is_token(self, user: str, password: str) -> bool:
        header = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        try:
            return self._aws.registry.tokens.owner(header, time.time()) is not None
        except RegistryError:
            return False

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        if not authorization.role_trusts(role_arn, CODEBUILD, source_arn):
            raise CouldNotAssumeError(role_arn)
        return ministack_platform.assume_role(role_arn, session_name, _SESSION_SECONDS)

    def telemetry_of(self, role_arn: str, session_name: str) -> Telemetry:
        return RoleTelemetry(self._platform, role_arn, session_name)

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        ministack_platform.put_event(self._aws, "aws.codebuild", detail_type, detail, resources)

    def make_aws(self, progress: Callable[[str], None]) -> Path:
        name, packages = _AWS_COMMAND
        return Images(self.image_dir).tool(name, packages, progress)
