"""Environments for what no image holds: more packages in front of an image's, made once, by one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import venv
from pathlib import Path

from bench import harness
from localaws.sagemaker.containers.images import PACKAGES

HOME = harness.ROOT / ".venvs"


def with_more(python: Path, requirements: Path, *options: str) -> Path:
    """The Python of an environment in front of that of `python`, with the packages of a requirements file.

    Args:
        options: of `pip install`.

    Raises:
        subprocess.CalledProcessError: pip couldn't install them.
    """
    image = python.parents[1]
    # What requirements ask for: several models' differ in what they say of it alone.
    wanted = sorted(filter(None, (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())))
    root = HOME / f"{image.name}+{hashlib.sha256(json.dumps([wanted, options]).encode()).hexdigest()[:12]}"
    complete = root / ".complete"
    HOME.mkdir(exist_ok=True)
    with (HOME / f".{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            venv.create(root, clear=True)
            (root / PACKAGES / "image.pth").write_text(f"{image / PACKAGES}\n")
            pip = [python, "-m", "pip", "--python", root / "bin" / "python", "--disable-pip-version-check"]
            install = [*pip, "install", "--quiet", "--no-compile", *options, "--requirement", requirements]
            subprocess.run(install, check=True)
            complete.touch()
    return root / "bin" / "python"
