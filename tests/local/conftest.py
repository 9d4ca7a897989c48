"""A running embedded AWS for tests: own state and port, shared image cache, nothing left at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from localaws import supervisor
from localaws.sagemaker.containers.images import Images
from localaws.server_file import Server

IMAGES = Path(__file__).parents[2] / ".ratchet" / "images"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
EVALUATOR = Path(__file__).parents[2] / "training_code" / "toolkit" / "rule_evaluator.py"
ANY_FREE_PORT = 0


@dataclass(frozen=True)
class Aws:
    """A running embedded AWS and clients of it."""

    server: Server
    state: Path

    def client(self, service: str, credentials: dict[str, Any] | None = None, **options: Any) -> Any:
        """A boto3 client: of the root user, or of `credentials` as STS answers them."""
        key = credentials or {
            "AccessKeyId": self.server.access_key_id,
            "SecretAccessKey": self.server.secret_access_key,
        }
        return boto3.session.Session().client(
            service,
            endpoint_url=self.server.endpoint_url,
            region_name=self.server.region,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"),
            config=Config(retries={"max_attempts": 1}, max_pool_connections=64, **options),
        )

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with what the aws, cdk and ratchet commands need to reach this AWS."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.server.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key,
            "AWS_REGION": self.server.region,
            "AWS_DEFAULT_REGION": self.server.region,
        }


@dataclass(frozen=True)
class AwsFactory:
    """Starts an embedded AWS on a state folder, again and again: for tests of restarts."""

    state: Path
    rule_evaluator: Path | None = EVALUATOR if EVALUATOR.is_file() else None

    def start(self) -> Aws:
        server = supervisor.start(self.state, port=ANY_FREE_PORT, images=IMAGES, rule_evaluator=self.rule_evaluator)
        return Aws(server, self.state)

    def stop(self) -> None:
        supervisor.stop(self.state)


@pytest.fixture(scope="session")
def images() -> Path:
    """The image cache, with what tests run jobs in: made here, so that no test's deadline is spent on it."""
    Images(IMAGES).environment(SKLEARN, print)
    return IMAGES


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Aws]:
    """One embedded AWS for a whole test process. Tests that share it must use names of their own."""
    factory = AwsFactory(tmp_path_factory.mktemp("aws"))
    yield factory.start()
    factory.stop()


@pytest.fixture
def fresh_aws(tmp_path: Path, images: Path) -> Iterator[AwsFactory]:
    """An embedded AWS of the test's own, to be started, killed and restarted."""
    factory = AwsFactory(tmp_path / "aws")
    yield factory
    factory.stop()
