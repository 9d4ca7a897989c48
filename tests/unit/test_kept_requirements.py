"""Requirements that pip doesn't get installed in the time that a container has to start."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.sagemaker.hosting import kept_requirements
from localaws.sagemaker.hosting.worker import UnhealthyError


class Hangs:
    """A container that says something, and ends only when it is killed."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self.output = os.fdopen(reading, "rb", buffering=0)
        os.write(self._writing, b"Collecting torch\n")
        self.killed = False

    def wait(self, timeout: float | None = None) -> int:
        if not self.killed:
            raise subprocess.TimeoutExpired("pip", timeout or 0)
        return 137

    def kill(self) -> None:
        self.killed = True
        os.close(self._writing)


class Log:
    """What was written into it, in order."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def feed(self, chunk: bytes) -> None:
        self.written.append(chunk.decode())

    def say(self, line: str) -> None:
        self.written.append(line)

    def flush_if_due(self) -> None:
        """Never."""


def test_it_is_ended_and_the_log_says_why_after_what_pip_has_said() -> None:
    container: Any = Hangs()
    prepared: Any = SimpleNamespace(startup_seconds=60.0, log=Log())
    with pytest.raises(UnhealthyError, match="weren't installed within 60 s"):
        kept_requirements._ended(container, prepared)
    assert container.killed
    assert prepared.log.written == ["Collecting torch\n", "its requirements weren't installed within 60 s"]
