"""The program of Debugger's rule image, in the folders that its container sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ratchet.project import Project

ROOT = Path(__file__).parents[2]


def test_it_finds_all_of_this_checkout_that_it_imports(tmp_path: Path) -> None:
    """A checkout below /tmp: the container has a /tmp of its own, in which nothing but these folders is seen."""
    program, *folders = Project(ROOT, tmp_path / "home").rule_evaluator
    for folder in folders:
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT))
    script = f"import runpy; runpy.run_path({str(tmp_path / program.relative_to(ROOT))!r}, run_name='imported')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "training_code")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    # NumPy is the image's.
    assert done.returncode == 0 or done.stderr.endswith("No module named 'numpy'\n"), done.stderr
