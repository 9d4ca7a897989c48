"""What the probe costs a training step, and what Debugger's hook costs the same one.

probe_cost     share of a ResNet-18 step on the CPU: losses at every step, weights, biases and gradients every 100
smdebug_cost   the same collections saved by smdebug 1.0.34, in an environment of its own

In seconds of the processor. A step at which everything is saved counts with all that it leaves to be written, as if
nothing of that happened beside the training; of 100 steps there is one such, and 99 at which only the loss is saved.
probe_steps.py measures both.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import fcntl
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

from bench import harness
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
INTERVAL = 100
ROUNDS, STEPS = 8, 20
SMALL_ROUNDS, SMALL_STEPS = 3, 5
# The last release, with the packages that it needs and doesn't name, in versions that it works with.
SMDEBUG = ("smdebug==1.0.34", "torch==2.13.0", "protobuf>=3.20,<3.21", "numpy<2.3", "pandas<3", "requests", "psutil")
SMDEBUG_HOME = harness.ROOT / ".venvs" / "smdebug-1.0.34"


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """Both, in turn."""
    rounds, steps = (SMALL_ROUNDS, SMALL_STEPS) if small else (ROUNDS, STEPS)
    python = Images(harness.IMAGES).environment(IMAGE, say).python
    document = figures("probe_cost", training(python, "probe", rounds, steps), say)
    theirs, reason = smdebug_python()
    if theirs is None:
        say(f"smdebug is not measured: {reason}")
        return {**document, "skipped": {"smdebug_cost": reason}}
    more = figures("smdebug_cost", training(theirs, "smdebug", rounds, steps), say)
    return {part: {**document[part], **more[part]} for part in document}


def training(python: Path, hook: str, rounds: int, steps: int) -> harness.Document:
    """What probe_steps.py measured."""
    script = Path(__file__).with_name("probe_steps.py")
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        command = [str(python), str(script), hook, str(rounds), str(steps), folder]
        # A thread that waits for another sleeps, so that only work is counted.
        variables = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise SystemExit(f"{script.name} {hook} failed: {done.stderr[-2000:]}")
    found: harness.Document = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(name: str, found: harness.Document, say: Callable[[str], None]) -> harness.Document:
    """The cost over all rounds, and each round's by itself."""
    rounds, step = found["rounds"], statistics.median(found["usual"])
    seconds, each = added(rounds), [added([one]) / (INTERVAL * step) for one in rounds]
    cost = seconds / (INTERVAL * step)
    say(f"{name}: {1000 * seconds:.0f} ms in 100 steps of {1000 * step:.0f} ms each, {100 * cost:.2f} %")
    return {"figures": {name: round(cost, 4)}, "samples": {name: each}}


def added(rounds: list[dict[str, Any]]) -> float:
    """Seconds that a hook adds to 100 steps, by medians: of neighbours' differences, and of the saving steps."""
    plain = statistics.median(time for one in rounds for time in one["unwatched"])
    pairs = [pair for one in rounds for pair in zip(one["ordinary"], one["unwatched"], strict=True)]
    ordinary = statistics.median(watched - unwatched for watched, unwatched in pairs)
    saving = statistics.median(one["saving"] for one in rounds) - plain
    return saving + (INTERVAL - 1) * ordinary


def smdebug_python() -> tuple[Path | None, str]:
    """The Python of an environment with smdebug, made once; or None, and why not."""
    python, complete = SMDEBUG_HOME / "bin" / "python", SMDEBUG_HOME / ".complete"
    SMDEBUG_HOME.parent.mkdir(exist_ok=True)
    with (SMDEBUG_HOME.parent / ".smdebug.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(SMDEBUG_HOME)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *SMDEBUG]
            made = subprocess.run(install, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                return None, f"it can't be installed here: {made.stderr.strip().splitlines()[-1][:200]}"
            complete.touch()
    return python, ""


def main() -> int:
    description = str(__doc__)
    return harness.run("probe", description.partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
