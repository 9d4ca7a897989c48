"""`make demo`'s story, told twice on one embedded AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
RATCHET = Path(sys.executable).with_name("ratchet")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose embedded AWS is this test's own."""
    images = os.environ.get("RATCHET_IMAGES", str(CHECKOUT / ".ratchet" / "images"))
    environment = {**os.environ, "RATCHET_HOME": str(tmp_path), "RATCHET_IMAGES": images}
    yield environment
    subprocess.run([RATCHET, "down", "--wipe"], env=environment, check=True, capture_output=True)


def tell(environment: dict[str, str]) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, json.loads(Path(environment["RATCHET_HOME"], "demo.json").read_text())


def test_the_demo_and_the_demo_again(home: dict[str, str]) -> None:
    said, first = tell(home)
    assert "demo: ok" in said
    assert [run["outcome"] for run in first["runs"]] == ["Promoted", "Promoted", "NotBetter"]
    assert first["runs"][1]["scores"]["challenger"] > first["runs"][1]["scores"]["champion"]
    assert first["requests"]["failed"] == 0
    assert first["requests"]["sent"] > 0
    assert len(first["digits"]) == 4
    assert set(first["seconds"]) == {"up", "champion", "challenger", "refused", "ask", "total"}

    _, second = tell(home)
    assert second["turned_degrees"] == 90
    assert [run["outcome"] for run in second["runs"]] == ["Promoted", "Promoted", "NotBetter"]
    # The champion of the first time can't read digits that lie on their side.
    assert second["runs"][0]["scores"]["champion"] < 0.3
