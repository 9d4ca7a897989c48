"""A checkout of a test's own, and its commands as a person calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COPIED = ("app.py", "cdk.json", "infra", "lambdas", "training_code/toolkit")
LINKED = (".venv", "node_modules")


@dataclass
class Ran:
    """What a call of the command gave."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        assert self.output, self.errors
        return json.loads(self.output)


@dataclass
class Shell:
    """A checkout of the test's own, with a home of its own, and the command `ratchet` in it."""

    root: Path
    home: Path
    credentials: dict[str, str] = field(default_factory=dict)
    told: dict[str, Ran] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """This process's, without what would lead to another AWS or another checkout's state."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RATCHET_"))},
            "RATCHET_HOME": str(self.home),
            "RATCHET_IMAGES": str(ROOT / ".ratchet" / "images"),
            **self.credentials,
        }

    def __call__(self, *arguments: str, given: str = "") -> Ran:
        return self.ran([sys.executable, "-m", "ratchet", *arguments], given)

    def bash(self, script: str) -> Ran:
        """A script, each of whose lines must succeed."""
        return self.ran(["bash", "-euo", "pipefail", "-c", script])

    def ran(self, command: list[str], given: str = "") -> Ran:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, input=given, capture_output=True, text=True, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def keep(self, name: str, *arguments: str, given: str = "") -> Ran:
        self.told[name] = self(*arguments, given=given)
        return self.told[name]


def checkout(root: Path) -> Path:
    (root / "training_code").mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    return root
