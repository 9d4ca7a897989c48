"""Clients of users' own: their environments, what points them here, and a proxy that sees whatever would leave."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from running_aws import ROOT, Aws

HERE = Path(__file__).parent
MODEL = HERE / "model"
SDK3, SDK2 = ROOT / ".venvs" / "sdk" / "bin", ROOT / ".venvs" / "sdk2" / "bin"
AWS1, AWS2 = SDK3 / "aws", ROOT / ".venvs" / "aws2" / "aws"


def needs(program: Path) -> pytest.MarkDecorator:
    """Skips where a client isn't there."""
    return pytest.mark.skipif(
        not program.exists(), reason=f"no {program.relative_to(ROOT)}; make test-clients makes it"
    )


class Outside:
    """A proxy for HTTPS that refuses every connection; `hosts` are those that were asked for, in order."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Outside:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.hosts.append(connection.recv(4096).decode(errors="replace").split()[1].partition(":")[0])
                connection.sendall(b"HTTP/1.1 502 Nothing leaves this machine\r\nContent-Length: 0\r\n\r\n")


@dataclass(frozen=True)
class Client:
    """Runs programs as a user's shell does after eval "$(ratchet env)", with a proxy for the world outside."""

    aws: Aws
    outside: Outside
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        around = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
        around |= {"RATCHET_HOME": str(self.aws.state.parent), "HTTPS_PROXY": self.outside.url, **self.changes}
        command = shlex.join([sys.executable, "-m", "ratchet", "env"])
        shown = f'eval "$({command})" && exec env -0'
        printed = subprocess.run(
            ["sh", "-ec", shown], env=around, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        return dict(line.split("=", 1) for line in printed.split("\0") if line)

    def run(self, *command: str | Path) -> str:
        """A command's output; the test fails where the command does."""
        done = self.attempt(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        return subprocess.run(words, env=self.environment, cwd=HERE, capture_output=True, text=True, check=False)

    def script(self, python: Path, name: str, *arguments: str) -> dict[str, Any]:
        """The JSON object that one of the scripts here prints as its last line."""
        printed = self.run(python / "python", HERE / "scripts" / name, *arguments)
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found
