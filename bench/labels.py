"""How well wrong labels are found, and how well several annotators' labels become one.

Of scikit-learn's 1,797 digits and of 3,000 tickets one label in twenty is made another, drawn by a seed; the job of
`ratchet labels` audits them in the image of scikit-learn, as a channel, knowing nothing of that. Its first n suspects
are looked at, n being how many labels were made wrong. What was wrong before counts against it.

    digits_precision, tickets_precision   of the first n suspects, how many were made wrong: the mean of the seeds
    digits_recall, tickets_recall         of those that were made wrong, how many are among them
    digits_base, tickets_base             the precision of as many that are drawn by chance
    digits_agreement, tickets_agreement   of all labels, how many the audit's models predict
    digits_estimated, tickets_estimated   how many wrong labels the audit estimates, over how many were made wrong
    digits_seconds, tickets_seconds       that an audit takes of the processor
    dawid_skene, majority                 of 1,000 items, how many are labelled right by five annotators, of whom four
                                          are right about three in four, and the fifth about one in five

    python bench/labels.py --data FOLDER      with tickets_3000.csv (columns Description, Category)
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import csv
import json
import os
import random
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bench import harness
from contract import label_audits
from contract.held_out_tables import csv_text
from demo import data as data_sets
from localaws.sagemaker.containers.images import Images
from ratchet.labels import consolidation
from ratchet.labels.consolidation import Annotation, Consolidation

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
JOB = harness.ROOT / "training_code" / "toolkit" / "audit.py"
DATA = harness.ROOT.parent / "shared" / "data"
TICKETS, TEXT, LABEL = "tickets_3000.csv", "Description", "Category"
SEEDS, SMALL_SEEDS, SMALL = 3, 1, 400
WRONG = 0.05
# Of the simulated annotators.
ITEMS, CLASSES, RIGHT, BAD = 1000, 4, (0.75, 0.75, 0.75, 0.75), 0.2
Figures = dict[str, float]
Row = list[str]


def measure(data: Path, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds of both data sets, one after another."""
    python = Path(Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python)
    sets = {
        "digits": ([list(row) for row in data_sets.digits()], ()),
        "tickets": (tickets(data), ("--label-name", LABEL)),
    }
    seeds: dict[str, list[Figures]] = {}
    for name, (rows, options) in sets.items():
        for seed in range(SMALL_SEEDS if small else SEEDS):
            header = [] if options == () else rows[:1]
            some = random.Random(seed).sample(rows[len(header) :], SMALL) if small else rows[len(header) :]  # noqa: S311 - no secret
            seeds.setdefault(name, []).append(audited(python, header, some, seed, options))
            say(f"{name}, seed {seed}: " + ", ".join(f"{key} {value:.4g}" for key, value in seeds[name][-1].items()))
    return document(seeds, [consolidated(seed) for seed in range(SMALL_SEEDS if small else SEEDS)])


def tickets(data: Path) -> list[Row]:
    """The header, and each ticket's text and category."""
    with (data / TICKETS).open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.reader(lines))


def made_wrong(rows: Sequence[Row], column: int, seed: int) -> tuple[list[Row], set[int]]:
    """The rows with one label in twenty another, and which ones that are, by their indices."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    classes = sorted({row[column] for row in rows})
    wrong = set(drawn.sample(range(len(rows)), round(WRONG * len(rows))))
    changed = [list(row) for row in rows]
    for index in sorted(wrong):
        changed[index][column] = drawn.choice([name for name in classes if name != rows[index][column]])
    return changed, wrong


def audited(python: Path, header: Sequence[Row], rows: Sequence[Row], seed: int, options: Sequence[str]) -> Figures:
    """One seed's figures: the job as its container runs it, on a channel of one file."""
    column = header[0].index(LABEL) if header else 0
    changed, wrong = made_wrong(rows, column, seed)
    places: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        channel = Path(folder, "processing", "input", label_audits.DATA_INPUT)
        channel.mkdir(parents=True)
        (channel / "rows.csv").write_text(_text([*header, *changed], places, len(header)), encoding="utf-8", newline="")
        said = ["--seed", str(seed), "--suspects", str(len(wrong)), *options]
        seconds = _run(python, Path(folder), said)
        found = json.loads(Path(folder, "processing", "output", label_audits.AUDIT).read_text())
    first = {places[suspect["place"]] for suspect in found["suspects"]}
    hits = len(first & wrong)
    return {
        "precision": hits / len(first),
        "recall": hits / len(wrong),
        "base": len(wrong) / len(rows),
        "agreement": found["agreement"],
        "estimated": found["estimated_errors"] / len(wrong),
        "seconds": seconds,
    }


def _text(rows: Sequence[Row], places: dict[str, int], headers: int) -> str:
    """CSV; `places` gets each row's index by where it begins."""
    texts, line = [], 1
    for index, row in enumerate(rows):
        places[f"rows.csv:{line}"] = index - headers
        texts.append(f"{csv_text(row)}\n")
        line += texts[-1].count("\n")
    return "".join(texts)


def _run(python: Path, folder: Path, options: Sequence[str]) -> float:
    """The processor's seconds that the job takes, on one core."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = os.pathsep.join(map(str, (harness.ROOT / "training_code", harness.ROOT)))
    before = _processor_seconds()
    done = subprocess.run(
        [python, JOB, *options],
        env={**os.environ, **one, "SAGEMAKER_BASE_DIR": str(folder), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the audit failed: {done.stderr.strip()}")
    return _processor_seconds() - before


def _processor_seconds() -> float:
    """Of the processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def consolidated(seed: int) -> Figures:
    """How many items are labelled right, by both methods."""
    truth, annotations = simulated(seed)

    def right(found: Consolidation) -> float:
        return sum(truth[item.item] == item.label for item in found.items) / len(truth)

    return {
        "dawid_skene": right(consolidation.dawid_skene(annotations)),
        "majority": right(consolidation.majority(annotations)),
    }


def simulated(seed: int) -> tuple[dict[str, str], list[Annotation]]:
    """Each item's class, and what the annotators say of all: the right class, or any other."""
    drawn, classes = random.Random(seed), [str(number) for number in range(CLASSES)]  # noqa: S311 - no secret
    truth = {f"item-{number}": drawn.choice(classes) for number in range(ITEMS)}
    said = []
    for item, label in truth.items():
        for number, right in enumerate((*RIGHT, BAD)):
            others = [name for name in classes if name != label]
            said.append(
                Annotation(item, f"annotator-{number}", label if drawn.random() < right else drawn.choice(others))
            )
    return truth, said


def document(sets: dict[str, list[Figures]], methods: Sequence[Figures]) -> harness.Document:
    """The figures: means of the seeds."""
    samples = {f"{name}_{key}": [seed[key] for seed in seeds] for name, seeds in sets.items() for key in seeds[0]}
    samples |= {key: [seed[key] for seed in methods] for key in methods[0]}
    return {
        "figures": {
            **{key: float(f"{statistics.mean(values):.4g}") for key, values in samples.items()},
            "seeds": len(methods),
        },
        "samples": samples,
    }


def missing(data: Path) -> str | None:
    """Why nothing can be measured there; None if it can."""
    return None if (data / TICKETS).is_file() else f"{data} has no {TICKETS}"


def main() -> int:
    parser = harness.parser("How well wrong labels are found, and several annotators' labels become one.")
    parser.add_argument("--data", type=Path, default=DATA, help=f"the folder with {TICKETS}")
    options: Any = parser.parse_args()
    if not options.recorded and (why := missing(options.data)):
        print(f"skipped: {why}; audits are measured on real tickets, too", file=sys.stderr)
        return 0
    return harness.run_with(options, "labels", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
