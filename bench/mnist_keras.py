"""Keras's MNIST convnet, trained by TensorFlow and served by PyTorch: how often it is right, and whether both agree.

    accuracy              of the held-out digits, as serve.py answers them on PyTorch: the median of the seeds
    tensorflow_accuracy   of the same digits, as Keras answers them on TensorFlow, where it was trained
    backend_difference    the largest difference between the two of any digit's any probability, over all seeds
    disagreements         held-out digits, of all seeds together, of which the two name another class
    seconds               of a training, on one core, with the probe; the median

train.py runs as it is shipped, with pipeline.yaml's knobs. The digits are MNIST's test set, of which 8,000 are learned
from (train.py judges its epochs by a tenth of them) and 2,000 held out; a seed is of that split, the weights, and the
order of the digits:

    python bench/mnist_keras.py --data FOLDER      with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import gzip
import json
import os
import random
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images

_REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TRAINS = f"{_REGISTRY}/tensorflow-training:2.21.0-cpu-py312"
JUDGES = f"{_REGISTRY}/pytorch-training:2.6.0-cpu-py312"
MODEL = harness.ROOT / "training_code" / "mnist_keras"
SCRIPT = Path(__file__).with_name("mnist_keras_answers.py")
DATA = harness.ROOT.parent / "shared" / "data"
PICTURES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
SIDE = 28
SEEDS, SMALL_SEEDS = 3, 1
HELD_OUT = 5  # one of so many
# Of the small size: digits in all, and the knobs.
SMALL = 1000
SMALL_KNOBS = ("--epochs", "2", "--batch-size", "32")

Figures = dict[str, float]


def measure(data: Path, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds, one after another."""
    images = Images(harness.IMAGES)
    trains, judges = (images.environment(uri, partial(print, file=sys.stderr)).python for uri in (TRAINS, JUDGES))
    judges = with_more(judges, MODEL / "requirements.txt")
    lines = list(digits(data))[: SMALL if small else None]
    seeds: list[Figures] = []
    for seed in range(SMALL_SEEDS if small else SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            split(lines, Path(folder), seed)
            seeds.append(trained(trains, judges, Path(folder), seed, SMALL_KNOBS if small else ()))
        say(f"seed {seed}: " + ", ".join(f"{name} {value:.4g}" for name, value in seeds[-1].items()))
    return document(seeds)


def digits(data: Path) -> Iterator[str]:
    """MNIST's test set as lines of digits.py's."""
    labels = gzip.decompress((data / LABELS).read_bytes())[8:]
    content = gzip.decompress((data / PICTURES).read_bytes())
    _magic, count, height, width = struct.unpack(">4I", content[:16])
    if (count, height, width) != (len(labels), SIDE, SIDE):
        raise SystemExit(f"{data / PICTURES} has {count} pictures of {height} x {width}, and there are {len(labels)}")
    for number, label in enumerate(labels):
        start = 16 + number * SIDE * SIDE
        yield ",".join(map(str, (label, *content[start : start + SIDE * SIDE]))) + "\n"


def split(lines: Sequence[str], folder: Path, seed: int) -> None:
    """The channels train and test, drawn by a seed."""
    drawn = random.Random(seed).sample(lines, len(lines))  # noqa: S311 - a split, no secret
    held = len(lines) // HELD_OUT
    for channel, part in {"train": drawn[held:], "test": drawn[:held]}.items():
        (folder / channel).mkdir()
        (folder / channel / "digits.csv").write_text("".join(part))


def trained(trains: Path, judges: Path, folder: Path, seed: int, knobs: Sequence[str]) -> Figures:
    """One seed's figures."""
    model, test, answers = folder / "model", folder / "test", folder / "tensorflow.npy"
    said = ("--train", folder / "train", "--model-dir", model, "--seed", seed, *knobs)
    started = time.perf_counter()
    _run(trains, MODEL / "train.py", *said, RATCHET_TENSORS=folder / "tensors")
    seconds = time.perf_counter() - started
    _run(trains, SCRIPT, "tensorflow", model, test, answers)
    found: Figures = json.loads(_run(judges, SCRIPT, "torch", model, test, answers))
    return {**found, "seconds": round(seconds, 1)}


def document(seeds: Sequence[Figures]) -> harness.Document:
    """The figures: medians of the seeds, the largest difference, all disagreements."""
    medians = ("accuracy", "tensorflow_accuracy", "seconds")
    samples: dict[str, list[float]] = {name: [seed[name] for seed in seeds] for name in seeds[0]}
    return {
        "figures": {
            **{name: statistics.median(samples[name]) for name in medians},
            "backend_difference": max(samples["backend_difference"]),
            "disagreements": sum(samples["disagreements"]),
            "held_out": seeds[0]["held_out"],
            "seeds": len(seeds),
        },
        "samples": {name: samples[name] for name in medians},
        "trainings": list(seeds),
    }


def _run(python: Path, *command: object, **environment: object) -> str:
    """What a program says, on one core."""
    told = {name: str(value) for name, value in environment.items()}
    one = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    path = os.pathsep.join(map(str, (MODEL, MODEL.parent, harness.ROOT)))
    done = subprocess.run(
        # -P: nothing of this folder, whose platform.py must not stand for Python's own.
        [python, "-P", *map(str, command)],
        env={**os.environ, "PYTHONPATH": path, **one, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:2]))} failed: {done.stderr.strip()}")
    return done.stdout


def missing(data: Path) -> str | None:
    """Why nothing can be measured there; None if it can."""
    absent = [name for name in (PICTURES, LABELS) if not (data / name).is_file()]
    return f"{data} has no {' and no '.join(absent)}" if absent else None


def main() -> int:
    parser = harness.parser("Keras's MNIST convnet, trained by TensorFlow and served by PyTorch.")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with MNIST's test set in IDX files")
    options: Any = parser.parse_args()
    if not options.recorded and (why := missing(options.data)):
        print(f"skipped: {why}; the network is measured on real digits", file=sys.stderr)
        return 0
    return harness.run_with(options, "mnist_keras", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
