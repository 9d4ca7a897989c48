"""Training on a part of the data: what each way to choose it comes to in the same time. Medians of three seeds:

    accuracy_full, seconds_full       all pictures, for the whole schedule
    accuracy_<method>_<percent>       held-out pictures that are recognised, after a training on so much an epoch
    seconds_<method>_<percent>        what that took, of one core, selections included
    drop_<percent>                    points by which the best of the methods is below all pictures
    glister_gain_<percent>            points by which glister is above the better of both random ones
    noisy_<method>                    accuracy where 40 % of the labels are wrong, at 30 % an epoch
    imbalanced_<method>               accuracy where the rarest class has a fiftieth of the most frequent one's pictures

Equal seconds. GLISTER's paper promises the whole training's time over 6, 2.5 and 1.5 at 10, 30 and 50 % of the data, at
3, 1.2 and 0.2 points less. So each method gets just these seconds: what it doesn't spend on choosing it trains on. That
is planned beforehand, by what looking at a picture costs beside learning from it, so that a seed gives the same result
wherever it runs; `seconds` says what it then took. The methods:

    compressed   all pictures, in fewer epochs, through which the learning rate goes in its whole cycle
    fixed, resampled, infobatch, trimmed, glister      as toolkit.subsets has them

    python bench/subset.py --data FILE.npz    x_train, y_train, x_test, y_test: uint8 (n, 32, 32, 3), whole numbers;
                                              classes: their names

Of the training pictures a tenth guides glister, its labels right and its classes equally frequent in each case; no
method learns from it. By the held-out ones nothing is chosen. `--rows FILE` keeps each training that is done, and goes
on from there. A seed takes a core some 35 minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import math
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
FOLDER = harness.ROOT / "training_code" / "cifar_subset"
DATA = harness.ROOT.parent / "shared" / "data" / "cifar10_12k.npz"
SEEDS, SMALL_SEEDS = 3, 1
# Of all pictures. Of those of the imbalanced case, which are a fourth as many, three times as many epochs.
EPOCHS, IMBALANCED_EPOCHS = 12, 36
# Percent of the pictures an epoch -> how many times sooner the paper is done.
SOONER = {10: 6, 30: 2.5, 50: 1.5}
POINTS = {10: 3.0, 30: 1.2, 50: 0.2}
# What it costs to look at a picture, over learning from it: one pass of three, and no augmentation. Measured: 0.29.
LOOK = 0.3
GUIDE = 1 / 9  # pictures that guide, over those that are learned
SELECT_EVERY, WARM_UP = 5, 1
FULL, COMPRESSED = "full", "compressed"
SELECTING = ("glister", "trimmed")
RANDOM = ("fixed", "resampled")
METHODS = (COMPRESSED, *RANDOM, "infobatch", "glister")
CLEAN, NOISY, IMBALANCED = "clean", "noisy", "imbalanced"
# In these cases at 30 %, and all pictures beside them.
CASES = {
    NOISY: ("resampled", "glister", "trimmed", "infobatch", COMPRESSED),
    IMBALANCED: ("resampled", "glister", "infobatch", COMPRESSED),
}
# What the methods are told: the original's configuration for CIFAR-10; where that takes wrong labels for the best
# examples, the weights' gradients, too; the share of wrong labels; that classes shall be as frequent as what guides.
TOLD = {
    (CLEAN, "glister"): {"per": "all", "biases_only": True},
    (NOISY, "glister"): {"per": "class"},
    (NOISY, "trimmed"): {"trim": 0.4},
    (IMBALANCED, "glister"): {"per": "all"},
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Training:
    """A training of the table; `percent`: of the pictures in an epoch, by which its time is allotted."""

    case: str
    method: str
    percent: int
    seed: int


def trainings(seeds: int) -> Iterator[Training]:
    """All, the most telling first: the first seed but for what takes longest, then what is cheapest of the others."""
    yield from of_seed(0)
    for seed in range(1, seeds):
        yield from (Training(CLEAN, method, 10, seed) for method in METHODS)
    yield from (Training(CLEAN, method, 50, 0) for method in METHODS)
    for seed in range(1, seeds):
        yield from (each for each in of_seed(seed) if each.percent != 10)
        yield from (Training(CLEAN, method, 50, seed) for method in METHODS)
    yield from (Training(case, FULL, 100, seed) for seed in range(seeds) for case in CASES)


def of_seed(seed: int) -> Iterator[Training]:
    """A seed's trainings at 10 and 30 %, and that on all pictures."""
    yield from (Training(CLEAN, method, 10, seed) for method in METHODS)
    yield Training(CLEAN, FULL, 100, seed)
    yield from (Training(NOISY, method, 30, seed) for method in CASES[NOISY])
    yield from (Training(CLEAN, method, 30, seed) for method in METHODS)
    yield from (Training(IMBALANCED, method, 30, seed) for method in CASES[IMBALANCED])


def plan(training: Training) -> tuple[str, float, int]:
    """The loader's method, its fraction and the epochs that fit into the training's time."""
    whole = IMBALANCED_EPOCHS if training.case == IMBALANCED else EPOCHS
    if training.method == FULL:
        return FULL, 1.0, whole
    passes, fraction = whole / SOONER[training.percent], training.percent / 100
    if training.method == COMPRESSED:
        # Re-sampled without replacement: so many times through all pictures, also where that is no whole number.
        epochs = math.ceil(passes)
        return "resampled", passes / epochs, epochs
    if training.method not in SELECTING:
        return training.method, fraction, round(passes / fraction)
    guide = GUIDE if training.case != IMBALANCED else 4 * GUIDE
    look = LOOK * (1 + (guide if training.method == "glister" else 0))
    epochs = 1
    while cost(epochs + 1, fraction, look) <= passes:
        epochs += 1
    return training.method, fraction, epochs


def cost(epochs: int, fraction: float, look: float) -> float:
    """What so many epochs take with their selections, in passes of learning through all pictures."""
    return epochs * fraction + math.ceil((epochs - WARM_UP) / SELECT_EVERY) * look


def measure(options: argparse.Namespace, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All trainings, one after another."""
    python, rows = environment(), []
    for training in trainings(SMALL_SEEDS if small else options.seeds):
        measure_it = partial(measured, python, options, training, small)
        (row,) = harness.measured_once(None if small else options.rows, asdict(training), measure_it)
        rows.append(row)
        told = f"{training.case} {training.method} {training.percent} %, seed {training.seed}"
        say(f"{told}: {row['accuracy']:.4f}, {row['seconds']} s")
    return document(rows, options)


def environment() -> Path:
    """The Python that has PyTorch and the model's requirements."""
    image = Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr))
    return with_more(Path(image.python), FOLDER / "requirements.txt")


def measured(python: Path, options: argparse.Namespace, training: Training, small: bool) -> list[Row]:
    """Runs subset_row.py where torch is; its row."""
    method, fraction, epochs = plan(training)
    more = {"select_every": SELECT_EVERY, "warm_up": WARM_UP, **TOLD.get((training.case, training.method), {})}
    arguments = {
        "data": options.data, "case": training.case, "method": method, "fraction": fraction,
        "epochs": min(epochs, 2) if small else epochs, "seed": training.seed, "more": json.dumps(more),
    }  # fmt: skip
    script = Path(__file__).with_name("subset_row.py")
    given = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    command = [str(python), str(script), *given, *(["--small"] if small else [])]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{training} failed; what it said stands above")
    return [{**asdict(training), "fraction": round(fraction, 4), "epochs": epochs, **json.loads(done.stdout)}]


def name(row: Row) -> str:
    """How a row's accuracy is called."""
    if row["case"] != CLEAN:
        return f"{row['case']}_{row['method']}"
    return f"accuracy_{FULL}" if row["method"] == FULL else f"accuracy_{row['method']}_{row['percent']}"


def document(rows: list[Row], options: argparse.Namespace) -> harness.Document:
    """The figures, medians of the seeds, and every training."""
    samples: dict[str, list[float]] = {}
    for row in rows:
        samples.setdefault(name(row), []).append(row["accuracy"])
        if row["case"] == CLEAN:
            samples.setdefault(name(row).replace("accuracy", "seconds", 1), []).append(row["seconds"])
    figures = {key: round(statistics.median(found), 6) for key, found in samples.items()}
    for percent in SOONER:
        figures |= beside(figures, percent)
    table = [of_method(method, rows) for method in (FULL, *METHODS, "trimmed")]
    return {"figures": figures, "samples": samples, "ways": table, "trainings": rows, "pictures": options.data.name}


def of_method(method: str, rows: list[Row]) -> Row:
    """A line of the table: (median, least, largest) accuracy of the seeds, at each fraction and in each case."""
    places = {str(percent): (CLEAN, percent) for percent in (*SOONER, 100)}
    places |= {case: (case, 100 if method == FULL else 30) for case in CASES}
    found: Row = {"way": method}
    for place, (case, percent) in places.items():
        of = [
            row["accuracy"] for row in rows if (row["case"], row["method"], row["percent"]) == (case, method, percent)
        ]
        if of:
            found[place] = [round(each, 4) for each in (statistics.median(of), min(of), max(of))]
    return found


def beside(figures: dict[str, float], percent: int) -> dict[str, float]:
    """In points: by how much the best method is below all pictures, and glister above the better random one."""
    of = {method: figures[f"accuracy_{method}_{percent}"] for method in METHODS}
    drop = figures[f"accuracy_{FULL}"] - max(of.values())
    gain = of["glister"] - max(of[method] for method in RANDOM)
    return {f"drop_{percent}": round(100 * drop, 3), f"glister_gain_{percent}": round(100 * gain, 3)}


def main() -> int:
    parser = harness.parser("What ways to choose a part of the data come to in the same time.")
    parser.add_argument("--data", type=Path, default=DATA, help="pictures and classes (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="default: %(default)s")
    parser.add_argument("--rows", type=Path, help="a file of what was measured, which this goes on from")
    options = parser.parse_args()
    if not options.recorded and not options.data.is_file():
        print(f"skipped: there is no file {options.data}; subsets are measured on real pictures", file=sys.stderr)
        return 0
    return harness.run_with(options, "subset", partial(measure, options))


if __name__ == "__main__":
    sys.exit(main())
