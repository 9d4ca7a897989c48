"""A model's requirements.txt in a processing job: the evaluation's, that of views, or an audit's of labels.

SageMaker's framework containers install it when they train and when they serve (SageMaker Python SDK, "Using
third-party libraries"); a processing job runs in the same image, but not through its toolkit, and installs nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from toolkit.errors import ToolkitError

# What pip compiles beforehand takes longer than all else it does, and a job imports a small part of it, once.
_INSTALL = ("install", "--quiet", "--no-compile")
# Of pip's last words, which may be long.
REASON_LENGTH = 300


def install(file: Path, into: Path, what: str = "the evaluation") -> None:
    """Installs a requirements.txt into a folder, from which this process and its children import from now on.

    A folder of its own, since the image may be read-only. pip takes no notice there of what is installed already, and
    would bring the newest NumPy beside libraries that were compiled for the image's: so the image's versions hold,
    unless the requirements ask for others.

    Args:
        what: for what, as the error says it.

    Raises:
        ToolkitError: pip can't install it; with the reason that it gives.
    """
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder, "constraints.txt")
        installed.write_text(_pip("list", "--format=freeze").stdout)
        wanted = [*_INSTALL, "--target", str(into), "--requirement", str(file)]
        done = _pip(*wanted, "--constraint", str(installed), cwd=file.parent)
        if done.returncode:
            done = _pip(*wanted, cwd=file.parent)
    if done.returncode:
        raise ToolkitError(f"{file.name} can't be installed for {what}: {_reason(done.stderr)}")
    sys.path.insert(1, str(into))  # after the model's own code
    into.mkdir(exist_ok=True)  # pip makes none where it installs nothing
    os.environ["PYTHONPATH"] = str(into)


def install_alone(file: Path, into: Path, what: str) -> None:
    """Installs exactly what a requirements.txt pins, without what that asks for, into a folder; imports nothing of it.

    Raises:
        ToolkitError: pip can't install it; with the reason that it gives.
    """
    done = _pip(*_INSTALL, "--no-deps", "--target", str(into), "--requirement", str(file))
    if done.returncode:
        raise ToolkitError(f"{file.name} can't be installed for {what}: {_reason(done.stderr)}")


def installed_version(package: str, folder: Path) -> str:
    """A package's version: that in a folder, else that of this process's own."""
    paths = [str(folder), *sys.path]
    found = next(iter(metadata.distributions(name=package, path=paths)), None)
    return found.version if found else ""


def begin_anew(script: Path, packages: Path, argv: Sequence[str] | None) -> None:
    """Starts a job's program again, with what has been installed: a Python that runs may have imported other versions.

    Args:
        packages: the folder into which it was installed; the next start sees by it that this is done.
        argv: the program's arguments, unless they are those of this process.
    """
    packages.mkdir(exist_ok=True)
    sys.stdout.flush()
    given = sys.argv[1:] if argv is None else argv
    os.execv(sys.executable, [sys.executable, str(script.resolve()), *given])  # noqa: S606 - itself


def _pip(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def _reason(said: str) -> str:
    """pip's first error: what follows it explains, or repeats."""
    errors = (
        [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines() or ["pip said nothing"]
    )
    return re.sub("^ERROR: ", "", errors[0])[:REASON_LENGTH]
