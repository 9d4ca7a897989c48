"""Blood cells found in pictures: what training_code/detector comes to when its backbone has learned something else
before, and when it hasn't, at equal epochs. Medians of three seeds:

    map50               mean average precision at an overlap of one half, of what serve.py answers to held-out pictures,
                        with a backbone that training_code/cifar_subset has pretrained on CIFAR-10's 10,000
    map                 the same, the mean of overlaps from 0.5 to 0.95
    scratch_map50, scratch_map   of fresh weights

and a row a training. It must be given data:

    python bench/detector.py --data FILE.tar --cifar FILE.npz --cache FOLDER

FILE.tar: `train/` and `test/`, each with images/ and annotations.json. FILE.npz: x_train, y_train, classes. A backbone
is trained once, and kept in FOLDER. The recipe is pipeline.yaml's, which was chosen by a part of the training pictures.
A training takes one core about four minutes. `--rows FILE` keeps each that is done, so that one can go on.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images
from ratchet.spec import load

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = harness.ROOT / "training_code" / "detector"
DATA = harness.ROOT.parent / "shared" / "data" / "bccd_detection.tar"
CIFAR = harness.ROOT.parent / "shared" / "data" / "cifar10_12k.npz"
CACHE = Path(tempfile.gettempdir()) / "ratchet-pretrained"
SEEDS, SMALL_SEEDS = 3, 1
# What begins with pretrained weights, and what with fresh ones; each kind's figures begin with its word.
KINDS = {"transfer": "", "scratch": "scratch_"}
SCORES = ("map50", "map")
FIGURES = tuple(f"{before}{score}" for before in KINDS.values() for score in SCORES)
WEIGHTS = "model.safetensors"

Row = dict[str, Any]


def measure(options: argparse.Namespace, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds of all kinds, one after another."""
    python = with_more(
        Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python, MODEL / "requirements.txt"
    )
    rows: list[Row] = []
    for seed in range(SMALL_SEEDS if small else options.seeds):
        for kind in KINDS:
            which, rows_file = {"seed": seed, "kind": kind}, None if small else options.rows
            (row,) = harness.measured_once(rows_file, which, partial(measured, python, options, which, small))
            rows.append(row)
            say(f"seed {seed}, {kind}: mAP@0.5 {row['map50']:.3f}, mAP {row['map']:.3f}, {row['seconds']} s")
    return document(rows, options)


def measured(python: Path, options: argparse.Namespace, which: Row, small: bool) -> list[Row]:
    """Runs detector_seed.py where torch is; its row."""
    begins = [] if which["kind"] == "scratch" else ["--pretrained", str(pretrained(python, options, small))]
    said = load(MODEL / "pipeline.yaml").train.hyperparameters
    knobs = json.dumps({**said, "threads": "1", "seed": str(which["seed"])})
    more = [*begins, *(["--small"] if small else [])]
    found = last_line(python, "detector_seed.py", "--data", str(options.data), "--knobs", knobs, *more)
    return [{**which, **found}]


def pretrained(python: Path, options: argparse.Namespace, small: bool) -> Path:
    """The folder of the pretrained backbone, which is trained where there is none."""
    folder: Path = options.cache / ("small" if small else options.cifar.stem)
    if not (folder / WEIGHTS).is_file():
        more = ["--small"] if small else []
        last_line(python, "detector_backbone.py", "--data", str(options.cifar), "--to", str(folder), *more)
    return folder


def last_line(python: Path, script: str, *arguments: str) -> Row:
    """The document that a script of this folder prints last."""
    command = [str(python), "-P", str(Path(__file__).with_name(script)), *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed; what it said stands above")
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def document(rows: list[Row], options: argparse.Namespace) -> harness.Document:
    """The figures, medians of the seeds, and each training's."""
    samples = {
        f"{before}{score}": [row[score] for row in rows if row["kind"] == kind]
        for kind, before in KINDS.items()
        for score in SCORES
    }
    return {
        "figures": {name: round(statistics.median(found), 6) for name, found in samples.items()},
        "samples": samples,
        "seeds": rows,
        "pictures": options.data.name,
    }


def main() -> int:
    parser = harness.parser("How well cells are found, with a pretrained backbone and without.")
    parser.add_argument("--data", type=Path, default=DATA, help="train/ and test/ in a tar file (default: %(default)s)")
    parser.add_argument("--cifar", type=Path, default=CIFAR, help="what the backbone learns (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where its weights are kept (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="default: %(default)s")
    parser.add_argument("--rows", type=Path, help="a file of what was measured, which this goes on from")
    options = parser.parse_args()
    absent = next((path for path in (options.data, options.cifar) if not path.is_file()), None)
    if not options.recorded and absent:
        print(f"skipped: there is no file {absent}; cells are found in people's pictures", file=sys.stderr)
        return 0
    return harness.run_with(options, "detector", partial(measure, options))


if __name__ == "__main__":
    sys.exit(main())
