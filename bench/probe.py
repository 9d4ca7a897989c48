"""What the probe costs a training in each framework, and what Debugger's hook costs a step in PyTorch.

probe_cost     share of a ResNet-18 step on the CPU: losses at every step, weights, biases and gradients every 100
smdebug_cost   the same collections saved by smdebug 1.0.34, in an environment of its own

xgboost_probe_cost, sklearn_probe_cost, keras_probe_cost   share of a whole training that the probe adds to it with
               its own settings: 100 rounds of trees, a forest, a small network, each on 20,000 examples of 30 features
               (probe_frameworks.py)

views_cost     share of the processor's seconds that five views every 50 steps add to a training of ResNet-18 in PyTorch
               which saves the same without them, where they have a core of their own (views_model/train.py)
views_wall_cost   the same of the steps' own time
slow_view_cost    the same of the step's median, where a view takes ten seconds
views_beside      what the five views themselves take on their core, as a share of the training's seconds
views_close_seconds   how much longer the probe takes to close

In seconds of the processor. In PyTorch, a step at which everything is saved counts with all that it leaves to be
written, as if nothing of that happened beside the training; of 100 steps there is one such, and 99 at which only the
loss is saved. probe_steps.py measures it.
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
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
OTHER_IMAGES = {
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0",
    "sklearn": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3",
    "keras": IMAGE,
}
# PyTorch's image has no Keras.
KERAS = harness.ROOT / "tests" / "toolkit" / "requirements.txt"
REPETITIONS, EXAMPLES = 15, 20_000
SMALL_REPETITIONS, SMALL_EXAMPLES = 2, 1_000
INTERVAL = 100
ROUNDS, STEPS = 8, 20
SMALL_ROUNDS, SMALL_STEPS = 3, 5
TRAININGS, VIEWED_STEPS = 7, 200
SMALL_TRAININGS, SMALL_VIEWED_STEPS = 1, 3
# The last release, with the packages that it needs and doesn't name, in versions that it works with.
SMDEBUG = ("smdebug==1.0.34", "torch==2.13.0", "protobuf>=3.20,<3.21", "numpy<2.3", "pandas<3", "requests", "psutil")
SMDEBUG_HOME = harness.ROOT / ".venvs" / "smdebug-1.0.34"


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All, in turn."""
    document = joined(*(framework(name, small, say) for name in OTHER_IMAGES))
    rounds, steps = (SMALL_ROUNDS, SMALL_STEPS) if small else (ROUNDS, STEPS)
    python = Images(harness.IMAGES).environment(IMAGE, say).python
    document = joined(document, figures("probe_cost", training(python, "probe", rounds, steps), say))
    document = joined(document, views(python, small, say))
    theirs, reason = smdebug_python()
    if theirs is None:
        say(f"smdebug is not measured: {reason}")
        return {**document, "skipped": {"smdebug_cost": reason}}
    return joined(document, figures("smdebug_cost", training(theirs, "smdebug", rounds, steps), say))


def joined(*documents: harness.Document) -> harness.Document:
    """The figures and samples of all."""
    parts = ("figures", "samples")
    return {part: {name: value for found in documents for name, value in found[part].items()} for part in parts}


def framework(name: str, small: bool, say: Callable[[str], None]) -> harness.Document:
    """What the probe adds to a training in one of the frameworks beside PyTorch."""
    images, image = Images(harness.IMAGES), OTHER_IMAGES[name]
    python = Path(images.environment(image, say).python)
    if name == "keras":
        python = with_more(python, KERAS)
    sizes = (SMALL_REPETITIONS, SMALL_EXAMPLES) if small else (REPETITIONS, EXAMPLES)
    times = measured(python, "probe_frameworks.py", name, *map(str, sizes), OMP_NUM_THREADS="1")
    return share(f"{name}_probe_cost", times, say)


def share(name: str, times: dict[str, list[float]], say: Callable[[str], None]) -> harness.Document:
    """The share by which watched trainings are longer, each than its neighbour; the median counts."""
    shares = [watched / plain - 1 for watched, plain in zip(times["watched"], times["plain"], strict=True)]
    cost = statistics.median(shares)
    say(f"{name}: {100 * cost:.1f} % of {statistics.median(times['plain']):.2f} s")
    return {"figures": {name: round(cost, 4)}, "samples": {name: shares}}


def training(python: Path, hook: str, rounds: int, steps: int) -> harness.Document:
    """What probe_steps.py measured."""
    # A thread that waits for another sleeps, so that only work is counted.
    return measured(python, "probe_steps.py", hook, str(rounds), str(steps), OMP_WAIT_POLICY="passive")


def measured(python: Path, script: str, *arguments: str, **variables: str) -> harness.Document:
    """What a script beside this one printed. Its last argument is a folder for what it writes."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        command = [str(python), str(Path(__file__).parent / script), *arguments, folder]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise SystemExit(f"{script} {arguments[0]} failed: {done.stderr[-2000:]}")
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


def views(python: Path, small: bool, say: Callable[[str], None]) -> harness.Document:
    """What views cost a training: it with five, with a slow one and without take turns."""
    trainings, steps = (SMALL_TRAININGS, SMALL_VIEWED_STEPS) if small else (TRAININGS, VIEWED_STEPS)
    turns = [
        {
            kind: measured(
                python, "views_model/train.py", kind, str(steps), OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="1"
            )
            for kind in ("none", "five", "slow")
        }
        for _ in range(trainings)
    ]
    samples = {
        "views_cost": [turn["five"]["processor"] / turn["none"]["processor"] - 1 for turn in turns],
        "views_wall_cost": [turn["five"]["wall"] / turn["none"]["wall"] - 1 for turn in turns],
        "slow_view_cost": [_median_step(turn["slow"]) / _median_step(turn["none"]) - 1 for turn in turns],
        "views_beside": [turn["five"]["beside"] / turn["five"]["processor"] for turn in turns],
        "views_close_seconds": [turn["five"]["close"] - turn["none"]["close"] for turn in turns],
    }
    found = {name: round(statistics.median(values), 4) for name, values in samples.items()}
    pictures = statistics.median(turn["five"]["pictures"] for turn in turns)
    say(f"views: {100 * found['views_cost']:.2f} % of {turns[0]['none']['processor']:.0f} s, {pictures:g} pictures")
    return {"figures": found, "samples": samples}


def _median_step(training: dict[str, Any]) -> float:
    return statistics.median(training["steps"])


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
