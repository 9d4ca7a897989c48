"""A model's code, made ready before it is served, as the framework's container does it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .errors import StartError
from .model import Settings

REQUIREMENTS = "requirements.txt"
# What makes more of a folder than a copy of its modules, where there is no setup.py and the container writes one.
BUILT_BY = ("setup.py", "pyproject.toml", "setup.cfg", REQUIREMENTS)
# As sagemaker_containers writes it for a folder that has none: all its modules and files are installed.
_SETUP = """\
from setuptools import setup

setup(name={name!r}, version="1.0.0", packages=[""], include_package_data=True)
"""
_MANIFEST = """\
recursive-include . *
recursive-exclude . __pycache__*
recursive-exclude . *.pyc
recursive-exclude . *.pyo
"""
_WITHOUT_ISOLATION = ("0", "false", "no", "off")


def install_as_package(settings: Settings, isolation: str | None) -> Settings:
    """The way of `sagemaker_containers` (`_modules.py`): the code goes to /opt/ml/code, and `pip install .` runs there.

    A folder of nothing but modules isn't built here: what pip would install is a copy of it. `isolation` is the
    container's PIP_NO_BUILD_ISOLATION. StartError when pip fails, or the code isn't there.
    """
    code = settings.model_dir.parent / "code"
    if settings.code_dir.is_dir() and settings.code_dir != code:
        shutil.copytree(settings.code_dir, code, dirs_exist_ok=True)
    if any((code / name).exists() for name in BUILT_BY):
        prepare(code, settings.program.removesuffix(".py"))
        requirements = ["-r", REQUIREMENTS] if (code / REQUIREMENTS).exists() else []
        pip_install([".", *requirements], code)
    elif (isolation or "").lower() not in _WITHOUT_ISOLATION:
        _say(
            "AWS's image runs `pip install .` on this code first, which downloads setuptools from PyPI at every start "
            "unless the model's Environment has PIP_NO_BUILD_ISOLATION=0."
        )
    return settings._replace(code_dir=code)


def install_requirements(settings: Settings, _isolation: str | None) -> Settings:
    """The way of the inference toolkit (`model_server.py`): a requirements.txt beside the program is installed.

    The program is in the model's archive; SAGEMAKER_SUBMIT_DIRECTORY says nothing to this toolkit.
    """
    placed = in_the_model(settings)
    if (placed.code_dir / REQUIREMENTS).exists():
        pip_install(["-r", REQUIREMENTS], placed.code_dir)
    return placed


def in_the_model(settings: Settings) -> Settings:
    """Where the inference toolkit reads the code from."""
    code = settings.model_dir / "code"
    if settings.code_dir != code:
        _say(f"PyTorch's image reads its program from {code} alone, not from SAGEMAKER_SUBMIT_DIRECTORY.")
    return settings._replace(code_dir=code)


def prepare(code: Path, name: str) -> None:
    """Make a folder one that can be installed: with a setup.py, unless it has its own."""
    if not (code / "setup.py").exists():
        (code / "setup.py").write_text(_SETUP.format(name=name), encoding="utf-8")
        (code / "setup.cfg").write_text("[wheel]\nuniversal = 1\n", encoding="utf-8")
        (code / "MANIFEST.in").write_text(_MANIFEST, encoding="utf-8")


def pip_install(what: list[str], directory: Path) -> None:
    """Run `pip install` with the container's own pip; its lines are the container's. StartError."""
    command = [sys.executable, "-m", "pip", "install", *what]
    _say(f"Installing module with the following command:\n{' '.join(command)}")
    status = subprocess.run(command, cwd=directory, check=False).returncode
    if status != 0:
        raise StartError(f"`pip install {' '.join(what)}` in {directory} ended with exit code {status}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a container's log
