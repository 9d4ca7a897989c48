"""The embedded AWS by itself: how soon it is ready, what it weighs, how fast it answers; and cdk synth.

ready_seconds   starting the server on an empty state, until it answers; median of 5
loaded_mb       the server's resident memory once stacks are deployed and two models have been trained and serve
invoke_ms       InvokeEndpoint through boto3 on a decision tree, whose own time hardly counts; median of 1,000
synth_seconds   `cdk synth` of the local environment; median of 3
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This very file must not stand for Python's own module of that name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

from bench import harness
from demo import data
from demo.pipeline import Pipeline
from localaws import supervisor
from ratchet import account, project, tools

STARTS, REQUESTS, SYNTHS = 5, 1000, 3
SMALL_STARTS, SMALL_REQUESTS, SMALL_SYNTHS = 2, 100, 1
WARM_UP = 20


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All four, on embedded AWSes of its own."""
    starts, requests, synths = (SMALL_STARTS, SMALL_REQUESTS, SMALL_SYNTHS) if small else (STARTS, REQUESTS, SYNTHS)
    ready = [one_start() for _ in range(starts)]
    say(f"ready after {statistics.median(ready):.2f} s")
    with harness.home() as home:
        harness.ratchet("up")
        found = account.connect(project.find(), "local")
        trees, forests = champion(found, "iris-tree", iris_files()), champion(found, "digits-forest", digit_files())
        tree = invocations(trees, ",".join(data.iris()[0][1:]), requests)
        forest = invocations(forests, ",".join(data.digits()[0][1:]), requests)
        server = account.read_server(home / "aws")
        assert server is not None
        memory, children = resident_mb(server.pid), sum(map(resident_mb, descendants(server.pid)))
        say(f"{memory:.0f} MB, answers in {statistics.median(tree):.2f} ms")
        synth = [one_synth(server) for _ in range(synths)]
    return {
        "figures": {
            "ready_seconds": round(statistics.median(ready), 3),
            "loaded_mb": round(memory, 1),
            "invoke_ms": round(statistics.median(tree), 3),
            "synth_seconds": round(statistics.median(synth), 3),
            "invoke_forest_ms": round(statistics.median(forest), 3),
            "processes_mb": round(children, 1),
        },
        "samples": {
            "ready_seconds": ready,
            "invoke_ms": tree,
            "invoke_forest_ms": forest,
            "synth_seconds": synth,
        },
    }


def one_start() -> float:
    """Seconds until a server on an empty state answers."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as state:
        started = time.monotonic()
        supervisor.start(Path(state), port=0, images=harness.IMAGES)
        seconds = time.monotonic() - started
        supervisor.stop(Path(state))
    return seconds


def iris_files() -> dict[str, str]:
    batches = data.iris_batches()
    return {
        "iris/test/held_out.csv": data.csv_text(batches["held_out"]),
        "iris/train/flowers.csv": data.csv_text(batches["flowers"]),
    }


def digit_files() -> dict[str, str]:
    batches = data.digit_batches()
    return {
        "digits/test/held_out.csv": data.csv_text(batches["held_out"]),
        "digits/train/many.csv": data.csv_text(batches["many"]),
    }


def champion(found: account.Account, name: str, files: dict[str, str]) -> Pipeline:
    """The pipeline, once its first champion serves."""
    pipeline = Pipeline(found, name)
    pipeline.deliver(files)
    run = pipeline.judged_after("", lambda _run_id, _execution: None)
    if run.outcome != "Promoted":
        raise SystemExit(f"run {run.run_id} of {name} ended {run.outcome}: {run.reason}")
    return pipeline


def invocations(pipeline: Pipeline, body: str, count: int) -> list[float]:
    """Milliseconds of each of `count` requests, one after the other on one connection."""
    ask = pipeline.asker()
    for _ in range(WARM_UP):
        ask(body)
    return [_milliseconds(ask, body) for _ in range(count)]


def _milliseconds(ask: Callable[[str], str], body: str) -> float:
    started = time.perf_counter()
    ask(body)
    return 1000 * (time.perf_counter() - started)


def one_synth(server: account.Server) -> float:
    """Seconds of `cdk synth --quiet` for the local environment."""
    found = project.find()
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as out:
        command = ["cdk", "synth", "--quiet", "--all", "-c", "environment=local", "--output", out]
        started = time.monotonic()
        environment = tools.environment(found, server)
        done = subprocess.run(command, cwd=found.root, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
    if done.returncode != 0:
        raise SystemExit(f"cdk synth failed: {done.stderr}")
    return seconds


def resident_mb(pid: int) -> float:
    """A process's resident memory in MB."""
    if sys.platform == "linux":
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents: dict[int, Any] = {
        int(child): int(parent) for child, parent in (line.split() for line in told.splitlines())
    }
    found, last = [], [pid]
    while last:
        last = [child for child, parent in parents.items() if parent in last]
        found += last
    return [child for child in found if _runs(child)]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def main() -> int:
    description = str(__doc__)
    return harness.run("platform", description.partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
