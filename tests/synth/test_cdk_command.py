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


def cdk(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    only_node = tmp_path / "bin"
    only_node.mkdir()
    (only_node / "node").symlink_to(Path(sys.executable).parent / "node")
    return subprocess.run(
        [str(CDK), *arguments, "--output", str(tmp_path / "out")],
        cwd=ROOT,
        env={"PATH": f"{only_node}:/usr/bin:/bin", "HOME": str(tmp_path), UNPACKED: os.environ[UNPACKED]},
        capture_output=True,
        text=True,
        check=False,
    )


# `local` is deployed by the same command in tests/local, `prod` needs an account.
@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name not in ("local", "prod")])
def test_it_lists_the_stacks_of_an_environment(tmp_path: Path, environment: str) -> None:
    done = cdk(tmp_path, "ls", "--context", f"environment={environment}")
    assert done.returncode == 0, done.stderr
    stacks = done.stdout.split()
    assert stacks[0] == f"ratchet-{environment}-shared"
    assert {f"ratchet-{environment}-digits-forest", f"ratchet-{environment}-iris-tree"} <= set(stacks)


def test_prod_is_refused_until_it_is_pinned_to_an_account(tmp_path: Path) -> None:
    done = cdk(tmp_path, "ls", "--context", "environment=prod")
    assert done.returncode != 0
    assert "cdk.json: environments.prod.account: must be the account's number, since what prod holds" in done.stderr
