"""The toolkit and the contract travel together: what a job says that got one without the other."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLKIT, CONTRACT = ROOT / "training_code" / "toolkit", ROOT / "contract"


def imported(folder: Path) -> subprocess.CompletedProcess[str]:
    """A script that imports the toolkit, in a folder as a job's; without the packages that this Python has."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); import toolkit, contract"
    command = [sys.executable, "-I", "-S", "-c", script, folder]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Two folders deep, as /opt/ml/code is: the checkout's way to the contract leads nowhere."""
    folder = tmp_path / "ml" / "code"
    shutil.copytree(TOOLKIT, folder / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_toolkit_alone_names_what_is_missing(code: Path) -> None:
    told = imported(code)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: toolkit needs the package contract beside it: copy both of a checkout's folders, "
        "contract/ and training_code/toolkit/"
    )


def test_both_are_enough(code: Path) -> None:
    shutil.copytree(CONTRACT, code / "contract", ignore=shutil.ignore_patterns("__pycache__"))
    assert imported(code).returncode == 0
