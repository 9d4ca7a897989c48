"""`ratchet watch` on a deployed pipeline: the page while the run trains, its end, Ctrl-C; and the report after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from running_aws import ROOT
from waiting import until

from contract import views as words

MODEL = Path(__file__).parent / "viewed_model"
FILES = {path.name: path.read_text() for path in MODEL.glob("*.py")}
VIEWS = [{"view": "losses", "every": 20}, {"view": "path", "every": 40}, {"view": "raises", "every": 40}]
PIPELINES = {"followed": Scripted({"views": VIEWS}, FILES)}
# Longer than it takes until the first pictures have been copied (ten seconds), so that there is something to watch.
STEPS = 1600


@pytest.fixture(scope="module")
def watched(deployed: Callable[[str], Pipeline]) -> Pipeline:
    return deployed("followed")


@pytest.fixture(scope="module")
def home(watched: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands keep what they make; they work in this checkout."""
    found = tmp_path_factory.mktemp("home")
    (found / "aws").symlink_to(watched.aws.state)
    return found


@pytest.fixture(scope="module")
def run_id(watched: Pipeline) -> str:
    """A run that goes on when a test begins, or has gone on."""
    last = STEPS // 40 * 40 - 40
    watched.order(accuracy=0.9, steps=STEPS, pictures=[f"path/{last}"])
    return str(watched.trigger()["run_id"])


def command(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """The ratchet command, whose browser is nobody."""
    environment = {**os.environ, "RATCHET_HOME": str(home), "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "ratchet", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def watching(home: Path, run_id: str) -> Iterator[subprocess.Popen[str]]:
    process = command(home, "watch", run_id, "--open")
    yield process
    process.kill()
    process.communicate()


def asked(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - of this machine
        found: bytes = answer.read()
    return found


def test_a_page_follows_the_run_and_stays_until_it_is_ended(
    watched: Pipeline, home: Path, run_id: str, watching: subprocess.Popen[str]
) -> None:
    assert watching.stdout
    url = watching.stdout.readline().strip().removeprefix("page  ")
    assert url.startswith("http://127.0.0.1:")
    assert b"vegaEmbed" in asked(url)

    def now() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(asked(f"{url}views.json"))
        return found

    def drawn(name: str) -> list[dict[str, Any]]:
        return [picture for view in now()["views"] if view["name"] == name for picture in view["pictures"]]

    until(lambda: drawn("path") and drawn("losses"), "the first pictures")
    told = now()
    assert not told["ended"], "the training goes on"
    assert asked(f"{url[:-1]}{drawn('path')[-1]['url']}").startswith(b"<svg")
    assert "data" in json.loads(asked(f"{url[:-1]}{drawn('losses')[-1]['url']}"))

    lines = list(iter(watching.stdout.readline, f"run {run_id} has ended: Promoted; the page stays until Ctrl-C\n"))
    folder = home / "views" / run_id
    assert any(line.startswith("path  step ") and str(folder) in line for line in lines), lines
    assert any(line.startswith("raises  ") and "IndexError" in line for line in lines), lines
    told = now()
    assert (told["ended"], told["headline"].partition(".")[0]) == (True, "Promoted")
    assert drawn("path")[-1]["step"] == STEPS - 40
    watching.send_signal(signal.SIGINT)
    assert watching.wait(60) == 130

    step = drawn_last(watched, run_id, "losses")
    assert (folder / "losses" / f"{step:012d}.svg").read_text().startswith("<svg")
    assert json.loads((folder / "losses" / f"{step:012d}.vl.json").read_text())


def drawn_last(watched: Pipeline, run_id: str, name: str) -> int:
    key = f"runs/followed/{run_id}/train/tensors/{words.document(name)}"
    found = watched.aws.client("s3").get_object(Bucket=watched.shared["ArtifactBucketName"], Key=key)["Body"]
    return int(json.load(found)["pictures"][-1]["step"])


def test_afterwards_it_tells_what_there_is_and_the_report_shows_it(watched: Pipeline, home: Path, run_id: str) -> None:
    watched.record(run_id)
    output, _ = command(home, "watch", "followed", "--json").communicate(timeout=120)
    told = json.loads(output)
    assert (told["run_id"], told["outcome"]) == (run_id, "Promoted")
    assert {view["view"]: view["step"] is not None for view in told["views"]} == {
        "losses": True,
        "path": True,
        "raises": False,
    }
    assert Path(told["views"][1]["path"]).read_bytes().startswith(b"<svg")

    output, _ = command(home, "report", run_id).communicate(timeout=120)
    page = Path(output.strip()).read_text()
    assert page.count('<article class="view"') == 3
    assert "IndexError: index 7 is out of bounds" in page
    assert "Content-Security-Policy" in page
