"""The convolutional autoencoder on MNIST: what digits that it never saw lose by becoming 20 numbers, and principal
components beside it.

    error           mean squared, a pixel (black is 0, white is 1), of the held-out digits: the median of the seeds
    pca_error       of 20 principal components, fitted to all the digits that the network could learn from
    knn_accuracy    held-out digits whose five nearest latents tell them right, and
    purity          those in a cluster of which they are the most frequent digit: k-means of their latents, ten clusters
    pca_knn_accuracy, pca_purity    the same of the principal components
    gain            the gate's metric: 1 less error by that of components fitted to the held-out digits themselves
    below_pca       seeds, of `seeds`, whose error is below pca_error
    seconds         that a training takes, on one core of which it may not have all (the load stands in the record)

train.py runs as it is shipped, with its own knobs, on one core. The digits are MNIST's test set, of which 8,000 are
learned from (train.py looks at a fifth of them) and 2,000 held out, the same for all seeds; a seed is of the weights,
the order of the digits, and that fifth:

    python bench/autoencoder.py --data FOLDER      with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench import harness
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = harness.ROOT / "training_code" / "autoencoder"
SCRIPT = Path(__file__).with_name("autoencoder_digits.py")
DATA = harness.ROOT.parent / "shared" / "data"
FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
HELD_OUT = 2000
SEEDS = 3
# Of the small size: digits in all and held out, and the knobs.
SMALL, SMALL_HELD_OUT = 1000, 300
SMALL_KNOBS = ("--epochs", "2", "--filters", "8")
# Nothing is looked at but the end, so that seconds are those of the training.
KNOBS = ("--look-every", "1000000")
# The figures of which a seed has one of its own.
OF_A_SEED = ("error", "knn_accuracy", "purity", "gain")

Figures = dict[str, float]


def measure(data: Path, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds, one after another."""
    python = Path(Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python)
    seeds: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        _run(python, SCRIPT, "split", data, folder, SMALL if small else 0, SMALL_HELD_OUT if small else HELD_OUT)
        for seed in range(1 if small else SEEDS):
            seeds.append(trained(python, Path(folder), seed, SMALL_KNOBS if small else ()))
            say(f"seed {seed}: " + ", ".join(f"{name} {value:.4g}" for name, value in seeds[-1].items()))
    return document(seeds)


def trained(python: Path, folder: Path, seed: int, knobs: Sequence[str]) -> Figures:
    """One seed's figures, with the seconds that its training took."""
    model = folder / f"model-{seed}"
    channel = ("--train", folder / "train", "--model-dir", model)
    started = time.perf_counter()
    _run(python, MODEL / "train.py", *channel, "--seed", seed, *KNOBS, *knobs, RATCHET_TENSORS=folder / f"seen-{seed}")
    seconds = time.perf_counter() - started
    found: Figures = json.loads(_run(python, SCRIPT, "judge", folder, model))
    return {**found, "seconds": round(seconds, 1)}


def document(seeds: Sequence[Figures]) -> harness.Document:
    """The figures: medians of the seeds, and what they have in common."""
    medians = {name: statistics.median(seed[name] for seed in seeds) for name in (*OF_A_SEED, "seconds")}
    common = {name: value for name, value in seeds[0].items() if name.startswith("pca_")}
    below = sum(seed["error"] < seed["pca_error"] for seed in seeds)
    return {
        "figures": {**medians, **common, "below_pca": below, "seeds": len(seeds)},
        "samples": {name: [seed[name] for seed in seeds] for name in medians},
        "trainings": list(seeds),
    }


def _run(python: Path, *command: object, **environment: object) -> str:
    """What a program says, on one core."""
    told = {name: str(value) for name, value in environment.items()}
    path = os.pathsep.join(map(str, (MODEL, MODEL.parent, harness.ROOT)))
    done = subprocess.run(
        # -P: nothing of this folder, whose platform.py must not stand for Python's own.
        [python, "-P", *map(str, command)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **told},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:2]))} failed: {done.stderr.strip()}")
    return done.stdout


def missing(data: Path) -> str | None:
    """Why nothing can be measured there; None if it can."""
    absent = [name for name in FILES if not (data / name).is_file()]
    return f"{data} has no {' and no '.join(absent)}" if absent else None


def main() -> int:
    parser = harness.parser("An autoencoder of MNIST's digits beside principal components.")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with MNIST's test set in IDX files")
    options = parser.parse_args()
    if not options.recorded and (why := missing(options.data)):
        print(f"skipped: {why}; the autoencoder is measured on real digits", file=sys.stderr)
        return 0
    return harness.run_with(options, "autoencoder", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
