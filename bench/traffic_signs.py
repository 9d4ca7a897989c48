"""How well training_code/traffic_signs tells real signs apart, and what its maps are worth. Medians of three seeds:

    recall_60               held-out pictures of a 60 km/h sign that are taken for one, as a share of all of them
    accuracy                held-out pictures that are recognised
    ..._most_likely         both where the most likely class were answered, and not one with a floor from a threshold on
                            (training_code/traffic_signs/thresholds.py); taken_for_60: pictures of other signs
    others_below_floor      of the 42 classes that had no say in how thresholds are chosen, each taken for the one with
                            the floor: how many are recognised in less than 0.97, with a threshold and by what is likely
    others_false_alarms     what that costs: other signs' held-out pictures that are taken for such a class, on average
    accuracy_without_twins  the same of those that are like no training picture of their class, which here means a
                            correlation above 0.9, by which train.py finds tracks; twins, below, are fewer
    deletion_gain           the area under the deletion curve of random maps less that of the full gradients': how much
                            sooner the network is unsure when pixels go in the maps' order (sanity.py)
    randomisation_changes   1 less the rank correlation of a network's maps with those after all its layers have got
                            fresh weights
    noise_changes           the same of two maps of chance: 1 would be the most that one can ask for

and beside the deletion gain what else there is: against single pixels at random, against other pictures' maps (which
have in common that signs stand in the middle), and Grad-CAM's. It must be given data:

    python bench/traffic_signs.py --data FILE.npz    x_train, y_train, x_test, y_test: uint8 (n, 32, 32, 3), whole
                                                     numbers; classes: their names, one of them 60_kmh

The training pictures come from tracks (a car drives by a sign and takes dozens of pictures of it), and the file doesn't
say which. What it shows (`tracks`): how many pictures have a twin, one of their class that is nearly the same
(correlation above 0.97, which two pictures of different classes hardly ever reach), within the training pictures,
within the held-out ones, and across. Where it is many within and next to none across, the held-out pictures show other
signs.

The recipe is train.py's, which was chosen by a part of the training pictures; of the held-out ones one that was missed
has led to the reflections among what varies pictures, and to the thresholds and their share of false alarms. What they
do for other classes is therefore measured beside. A seed takes one core about ten minutes.
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
import statistics
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
FOLDER = harness.ROOT / "training_code" / "traffic_signs"
DATA = harness.ROOT.parent / "shared" / "data" / "traffic_signs_32.npz"
SEEDS, SMALL_SEEDS = 3, 1
# What --small takes of the training pictures, and of the held-out ones for maps.
SMALL = {"most": 400, "shown": 4, "epochs": 1}
MEDIANS = (
    "recall_60",
    "recall_60_most_likely",
    "taken_for_60",
    "taken_for_60_most_likely",
    "threshold_60",
    "accuracy",
    "accuracy_most_likely",
    "others_below_floor",
    "others_below_floor_most_likely",
    "others_false_alarms",
    "accuracy_without_twins",
    "validation_accuracy",
    "deletion_gain",
    "deletion_gain_pixels",
    "deletion_gain_other",
    "grad_cam_deletion_gain",
    "randomisation_changes",
    "noise_changes",
    "train_seconds",
)

Row = dict[str, Any]


def measure(options: argparse.Namespace, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds, one after another."""
    rows = []
    for seed in range(SMALL_SEEDS if small else options.seeds):
        row = of_seed(options, seed, small)
        rows.append(row)
        say(
            f"seed {seed}: 60 km/h {row['recall_60']:.3f} of {row['pictures_60']}, accuracy {row['accuracy']:.4f}, "
            f"deletion gain {row['deletion_gain']:.3f}, randomised maps change by {row['randomisation_changes']:.3f}"
        )
    return document(rows, options)


def of_seed(options: argparse.Namespace, seed: int, small: bool) -> Row:
    """The row of a seed."""
    file = None if small else options.rows
    return harness.measured_once(file, {"seed": seed}, lambda: [measured(options, seed, small)])[0]


def measured(options: argparse.Namespace, seed: int, small: bool) -> Row:
    """Runs traffic_signs_seed.py where torch is, with what the folder's requirements.txt names."""
    python = Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python
    settings = {"data": options.data, "seed": seed, "shown": options.shown, **(SMALL if small else {})}
    arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    command = [with_more(Path(python), FOLDER / "requirements.txt"), Path(__file__).with_name("traffic_signs_seed.py")]
    done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the training of seed {seed} failed; what it said stands above")
    row: Row = json.loads(done.stdout)
    return row


def document(rows: Sequence[Row], options: argparse.Namespace) -> harness.Document:
    """The medians, each seed's figures, and what is known of tracks."""
    samples = {name: [row[name] for row in rows] for name in MEDIANS}
    return {
        "figures": {
            **{name: round(statistics.median(values), 4) for name, values in samples.items()},
            "recall_60_least": round(least_recall(rows), 4),
        },
        "samples": samples,
        "seeds": list(rows),
        "tracks": rows[0]["tracks"],
        "pictures": options.data.name,
    }


def least_recall(rows: Sequence[Row]) -> float:
    """What the median seed's recall is at least, in 95 % of cases: Clopper and Pearson's lower bound of both sides.

    Of so few pictures even all say little: of 30, that it is above 0.88.
    """
    count = rows[0]["pictures_60"]
    found = round(statistics.median(row["recall_60"] for row in rows) * count)
    return lower_bound(found, count)


def lower_bound(found: int, count: int, confidence: float = 0.95) -> float:
    """The least share of which so many or more are found with a chance of (1 - confidence) / 2, by halving."""
    if not found:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if chance_of_so_many(found, count, middle) < (1 - confidence) / 2:
            low = middle
        else:
            high = middle
    return low


def chance_of_so_many(found: int, count: int, share: float) -> float:
    """That of `count` independent ones at least `found` are found, each with the chance `share`."""
    return sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(found, count + 1))


def main() -> int:
    parser = harness.parser("How well traffic_signs recognises real signs, and what its maps are worth.")
    parser.add_argument("--data", type=Path, default=DATA, help="an .npz file of 32 x 32 signs (default: shared data)")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--shown", type=int, default=100, help="held-out pictures whose maps are judged")
    parser.add_argument("--rows", type=Path, help="what was measured is kept here, and not measured again")
    options = parser.parse_args()
    if not options.recorded and not options.data.is_file():
        print(f"skipped: there is no file {options.data}; signs are recognised on real pictures", file=sys.stderr)
        return 0
    return harness.run_with(options, "traffic_signs", partial(measure, options))


if __name__ == "__main__":
    sys.exit(main())
