"""How the evaluation job begins: its code unpacked by Python itself, which then runs it; its requirements installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from contract.code_archive import program
from infra.workflow.steps.evaluate import SCRIPT

ROOT = Path(__file__).parents[2]
SAYS = "import os, sys\nprint(__name__, sys.argv, __file__, os.getcwd())\nsys.exit(3)\n"


def started(tmp_path: Path, code: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the job's command on a machine whose /opt/ml is a folder of the test's."""
    given, own = tmp_path / "ml" / "processing" / "input" / "code", tmp_path / "tmp"
    for folder in (given, own):
        folder.mkdir(parents=True)
    with tarfile.open(given / "sourcedir.tar.gz", "w:gz") as archive:
        archive.add(code, arcname=".")
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"), "TMPDIR": str(own), **variables}
    command = [sys.executable, "-c", program(f"toolkit/{SCRIPT}"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)


def test_the_code_is_unpacked_and_run_as_the_program(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "toolkit").mkdir(parents=True)
    (code / "toolkit" / "evaluate.py").write_text(SAYS)
    done = started(tmp_path, code, "--metric", "f1_macro")
    (folder,) = (tmp_path / "tmp").iterdir()
    program = "toolkit/evaluate.py"
    assert done.stdout.split(" ", 1)[1] == f"{[program, '--metric', 'f1_macro']} {program} {folder}\n", done.stderr
    assert (done.returncode, done.stdout.split()[0]) == (3, "__main__")


def wheel(path: Path) -> None:
    """A wheel of the module `thing`."""
    metadata = "Metadata-Version: 2.1\nName: thing\nVersion: 1\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing.py", "VALUE = 1\n")
        archive.writestr("thing-1.dist-info/METADATA", metadata)
        archive.writestr("thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.dist-info/RECORD", "")


@pytest.mark.parametrize("requirements", ["# none\n", "./thing-1-py3-none-any.whl\n"])
def test_with_its_requirements_it_begins_anew_once(tmp_path: Path, requirements: str) -> None:
    """A Python that runs may have imported other versions of what is installed."""
    code = tmp_path / "code"
    shutil.copytree(ROOT / "training_code" / "toolkit", code / "toolkit")
    shutil.copytree(ROOT / "contract", code / "contract")
    (code / "requirements.txt").write_text(requirements)
    wheel(code / "thing-1-py3-none-any.whl")
    done = started(tmp_path, code, "--metric", "f1_macro", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert "no model to judge" in (tmp_path / "ml/output/message").read_text(), done.stderr
    assert done.returncode == 1
    assert bool(list((tmp_path / "tmp").glob("*/.packages/thing.py"))) is requirements.startswith("./")
