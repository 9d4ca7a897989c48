"""One build from its start to its end, whose container is one of the test's: what ends it, and what is left of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.builds import machine, records
from localaws.builds.docker_command import Registry
from localaws.builds.run import Run
from localaws.sagemaker.core.aws_platform import Credentials

PROJECT = {
    "name": "p",
    "serviceRole": "role",
    "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [a]}}"},
    "environment": {"image": "aws/codebuild/standard:7.0"},
    "logsConfig": {"cloudWatchLogs": {"status": "DISABLED"}},
}
ARN = "arn:aws:codebuild:us-east-1:000000000000:build/p:uuid"


class FakeContainer:
    """A container whose output stays open until it is killed."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self.output = os.fdopen(reading, "rb", 0)
        self.killed = False

    def kill(self) -> None:
        if not self.killed:
            os.close(self._writing)
        self.killed = True

    def wait(self, _timeout: float | None = None) -> int:
        return 0


class World:
    """A run, and its container, which tells `events` when it is started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, project: dict[str, Any] = PROJECT) -> None:
        self.container = FakeContainer()
        self.tell: Callable[[], Sequence[bytes]] = tuple
        self.told: list[str] = []
        monkeypatch.setattr(machine, "missing", lambda **_: None)
        monkeypatch.setattr(machine, "start_shell", self._start)
        aws: Any = SimpleNamespace(
            account="000000000000",
            region="us-east-1",
            endpoint_url="http://127.0.0.1:1",
            folder=folder,
            private_dirs=(),
            registry=Registry("host", "127.0.0.1:1"),
            assume_role=lambda *_: Credentials("key", "secret", "token", datetime.now(UTC)),
            telemetry_of=lambda *_: None,
            put_event=lambda _type, detail, _resources: self.told.append(detail["build-status"]),
            make_aws=lambda _progress: Path("/usr/bin/python3"),
        )
        self.run = Run(aws, project, records.begun(project, ARN, 1, 0.0, "me"), lambda: None)

    def _start(self, _folder: Path, _aws: Path, _hidden: object, _environment: object, events: int) -> FakeContainer:
        for event in self.tell():
            os.write(events, event + b"\n")
        return self.container

    @property
    def status(self) -> str:
        self.run.run()
        return str(self.run.build["buildStatus"])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    made.container.kill()
    made.container.output.close()


def test_a_build_that_is_stopped_as_a_phase_begins_has_no_container_left(world: World) -> None:
    def stopped() -> Sequence[bytes]:
        world.run.ending = records.STOPPED
        return [b'{"phase": "BUILD", "state": "IN_PROGRESS"}']

    world.tell = stopped
    assert world.status == records.STOPPED
    assert world.container.killed
    assert world.told == [records.IN_PROGRESS, records.STOPPED]
    assert not world.run.folder.exists()


def test_a_build_whose_container_tells_nonsense_ends_with_it(world: World) -> None:
    world.tell = lambda: [b"nonsense"]
    assert world.status == records.FAULT
    assert world.container.killed
