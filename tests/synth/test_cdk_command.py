"""The real cdk command reads cdk.json and runs the app, in a shell where nothing is activated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthesis import ENVIRONMENTS, ROOT

UNPACKED = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"  # saves time, nothing else
CDK = ROOT / "node_modules" / ".bin" / "cdk"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_it_lists_the_stacks_of_an_environment(tmp_path: Path, environment: str) -> None:
    only_node = tmp_path / "bin"
    only_node.mkdir()
    (only_node / "node").symlink_to(Path(sys.executable).parent / "node")
    done = subprocess.run(
        [str(CDK), "ls", "--context", f"environment={environment}", "--output", str(tmp_path / "out")],
        cwd=ROOT,
        env={"PATH": f"{only_node}:/usr/bin:/bin", "HOME": str(tmp_path), UNPACKED: os.environ[UNPACKED]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stacks = done.stdout.split()
    assert stacks[0] == f"ratchet-{environment}-shared"
    assert {f"ratchet-{environment}-digits-forest", f"ratchet-{environment}-iris-tree"} <= set(stacks)
