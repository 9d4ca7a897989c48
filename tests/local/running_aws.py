"""An embedded AWS that runs, clients of it, and starting it again on its state or on a copy of it."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localaws import supervisor
from localaws.server_file import Server

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / ".ratchet" / "images"
TOOLKIT = ROOT / "training_code" / "toolkit"
EVALUATOR = (TOOLKIT / "rule_evaluator.py", TOOLKIT, ROOT / "contract")
ANY_FREE_PORT = 0
# What a server leaves in its state that tells of itself, not of what its AWS holds.
OF_THE_SERVER = ("server.json", "server.lock", "server.log", "port", "*-shm")


# One for all: it keeps the services' models, which take a tenth of a second each to read. Sessions may not be shared
# between threads, so clients are made one at a time.
SESSION, SESSION_LOCK = boto3.session.Session(), threading.Lock()


class Clients:
    """Clients by what they are of; they may be shared between threads. `retries`: how often they ask again."""

    def __init__(self, retries: int = 1) -> None:
        self._retries = retries
        self._made: dict[Any, Any] = {}

    def client(self, service: str, options: dict[str, Any], **of: Any) -> Any:
        key = (service, tuple(sorted(options.items())), tuple(sorted(of.items())))
        with SESSION_LOCK:
            if key not in self._made:
                settings = Config(retries={"max_attempts": self._retries}, max_pool_connections=64, **options)
                self._made[key] = SESSION.client(service, config=settings, **of)
            return self._made[key]


@dataclass(frozen=True)
class Aws:
    """A running embedded AWS and clients of it."""

    server: Server
    state: Path
    clients: Clients = field(default_factory=Clients, compare=False, repr=False)

    def client(self, service: str, credentials: dict[str, Any] | None = None, **options: Any) -> Any:
        """A boto3 client: of the root user, or of `credentials` as STS answers them."""
        key = credentials or {
            "AccessKeyId": self.server.access_key_id,
            "SecretAccessKey": self.server.secret_access_key,
        }
        return self.clients.client(
            service,
            options,
            endpoint_url=self.server.endpoint_url,
            region_name=self.server.region,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"),
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
    rule_evaluator: tuple[Path, ...] = EVALUATOR

    def start(self) -> Aws:
        server = supervisor.start(self.state, port=ANY_FREE_PORT, images=IMAGES, rule_evaluator=self.rule_evaluator)
        return Aws(server, self.state)

    def stop(self) -> None:
        supervisor.stop(self.state)


def copy_state(stopped: Path, copy: Path) -> None:
    """Make another AWS that holds what a stopped one does. It has a port of its own; a queue's URL that was deployed
    says the old one, which matters to nobody: queues are found by what follows it."""
    left_out = shutil.ignore_patterns(*OF_THE_SERVER)

    def ignored(folder: str, found: list[str]) -> set[str]:
        # What builds begin with, and their layers: large, and there is nothing left to build.
        return set(found) if folder == str(stopped / "builds" / "images") else left_out(folder, found)

    shutil.copytree(stopped, copy, symlinks=True, ignore=ignored)
