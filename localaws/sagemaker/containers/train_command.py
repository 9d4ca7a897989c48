"""The command `train` that a framework image has: what it is to do, and its making on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localaws.confinement import train_program

NAME = "train"
_ANY, _LONGEST = "#!/usr/bin/env python3", 127


@dataclass(frozen=True)
class Install:
    """pip, as `train` runs it.

    error: the toolkit's error when it fails.
    """

    command: Sequence[str]
    error: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that `train` does, as its program reads it.

    command: the script's, run in the directory `cwd` with `variables` besides the container's own.
    told: the command in the reason of a failure.
    reason_file: where the toolkit leaves that reason.
    install: what it installs before, in the same directory; None for nothing.
    failure: why there is no script to run, None where there is one.
    """

    command: Sequence[str] = ()
    told: str = ""
    reason_file: str = ""
    cwd: str = "/"
    variables: Mapping[str, str] = field(default_factory=dict)
    install: Install | None = None
    failure: str | None = None


def install(directory: Path, plan: Plan, python: Path) -> None:
    """Make `train` in a directory that will be in the container's PATH, run by `python`, the image's."""
    directory.mkdir(parents=True)
    (directory / f"{NAME}.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
    program = directory / NAME
    source = Path(train_program.__file__).read_text(encoding="utf-8")
    # Without its environment's packages Python starts twice as fast. A longer first line isn't read (execve(2)).
    line = f"#!{python} -IS"
    program.write_text(f"{line if len(line) < _LONGEST else _ANY}\n{source}", encoding="utf-8")
    program.chmod(0o755)
