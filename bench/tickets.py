"""Ticket triage: how often the better candidate is right of real tickets, and how many it routes by itself.

    accuracy                      of held-out tickets, by whichever candidate was better in cross-validation within the
                                  part that both learned from: all tickets once held out, all seeds together
    accuracy_low, accuracy_high   its interval of 95 %, over tickets (bootstrap)
    tfidf_accuracy, embedding_accuracy, baseline_accuracy     of each candidate alone, and of TF-IDF with logistic
                                  regression at scikit-learn's own settings, on the same splits
    gain, gain_low, gain_high     accuracy above the baseline's, paired, with its interval
    coverage_at_95                the share of held-out tickets of which the chosen candidate is sure enough: where it
                                  was right of 95 % in cross-validation; precision_at_95: of how many it is right there
    tfidf_seconds, embedding_seconds    of a training with its cross-validations, on one core; the median

The scripts run as they are shipped, with pipeline.yaml's knobs, on 3,000 tickets of five categories; a seed is of the
split into five parts, and of the scripts:

    python bench/tickets.py --data FOLDER      with tickets_3000.csv
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
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress
from typing import Any

from bench import harness
from localaws.sagemaker.containers.images import Images

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
MODEL = harness.ROOT / "training_code" / "tickets"
SCRIPT = Path(__file__).with_name("tickets_fits.py")
DATA = harness.ROOT.parent / "shared" / "data"
FILE = "tickets_3000.csv"
SEEDS, FOLDS = 3, 5
SURE = 0.95
RESAMPLES = 2000
CANDIDATES = ("tfidf", "embedding")

Document = harness.Document


def measure(data: Path, small: bool, say: Callable[[str], None]) -> Document:
    """All splits, one after another."""
    python = Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python
    splits: list[Document] = []
    for seed in range(1 if small else SEEDS):
        for fold in range(1 if small else FOLDS):
            splits.append(fitted(python, data / FILE, seed, fold))
            models = splits[-1]["models"]
            told = ", ".join(f"{name} {share(models[name]['right']):.4f}" for name in (*CANDIDATES, "baseline"))
            say(f"seed {seed}, part {fold + 1}: {told}; {chosen(models)} is chosen")
    return {**document(splits), "data": of_data(data / FILE)}


def fitted(python: Path, data: Path, seed: int, fold: int) -> Document:
    """One split's document of tickets_fits.py, on one core."""
    path = os.pathsep.join(map(str, (MODEL, MODEL.parent, harness.ROOT)))
    command = [str(python), "-P", str(SCRIPT), str(data), str(MODEL), str(seed), str(fold), str(FOLDS)]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{SCRIPT.name} failed: {done.stderr.strip()}")
    found: Document = json.loads(done.stdout)
    return found


def chosen(models: Document) -> str:
    """The candidate that was better in cross-validation, which hasn't seen what is held out."""
    return max(CANDIDATES, key=lambda name: float(models[name]["cv_accuracy"]))


def document(splits: Sequence[Document]) -> Document:
    """The figures of all splits together; intervals over tickets, each of which was held out once a seed."""
    best = [split["models"][chosen(split["models"])] for split in splits]
    right = of_tickets(splits, [one["right"] for one in best])
    before = of_tickets(splits, [split["models"]["baseline"]["right"] for split in splits])
    gains = {ticket: value - before[ticket] for ticket, value in right.items()}
    sure = [[confidence >= SURE for confidence in one["confidence"]] for one in best]
    routed = [hit for one, those in zip(best, sure, strict=True) for hit in compress(one["right"], those)]
    low, high = interval(list(right.values()))
    gain_low, gain_high = interval(list(gains.values()))
    alone = {
        f"{name}_accuracy": [share(split["models"][name]["right"]) for split in splits]
        for name in (*CANDIDATES, "baseline")
    }
    seconds = {f"{name}_seconds": [split["models"][name]["seconds"] for split in splits] for name in CANDIDATES}
    coverage = [share(those) for those in sure]
    return {
        "figures": {
            "accuracy": rounded(statistics.fmean(right.values())),
            "accuracy_low": low,
            "accuracy_high": high,
            **{name: rounded(statistics.fmean(samples)) for name, samples in alone.items()},
            "gain": rounded(statistics.fmean(gains.values())),
            "gain_low": gain_low,
            "gain_high": gain_high,
            "coverage_at_95": rounded(statistics.fmean(coverage)),
            "precision_at_95": rounded(share(routed)) if routed else 0.0,
            **{name: statistics.median(samples) for name, samples in seconds.items()},
            "splits": len(splits),
        },
        "samples": {**alone, **seconds, "accuracy": [share(one["right"]) for one in best], "coverage_at_95": coverage},
        "chosen": dict(Counter(chosen(split["models"]) for split in splits)),
    }


def of_tickets(splits: Sequence[Document], right: Sequence[Sequence[bool]]) -> dict[int, float]:
    """How often each ticket's answer was right, of the times it was held out."""
    found: dict[int, list[bool]] = {}
    for split, those in zip(splits, right, strict=True):
        for ticket, hit in zip(split["held_out"], those, strict=True):
            found.setdefault(ticket, []).append(hit)
    return {ticket: statistics.fmean(hits) for ticket, hits in sorted(found.items())}


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The mean's interval of 95 %, by drawing tickets with replacement."""
    chance = random.Random(seed)  # noqa: S311
    means = sorted(statistics.fmean(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    cut = round(RESAMPLES * 0.025)
    return rounded(means[cut]), rounded(means[-cut - 1])


def share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)


def rounded(value: float) -> float:
    return round(value, 4)


def of_data(path: Path) -> Document:
    """What is to be known of the file: texts that stand there more than once may be learned from and held out."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [(row["Description"], row["Category"]) for row in csv.DictReader(file)]
    labels: dict[str, set[str]] = {}
    for text, label in rows:
        labels.setdefault(text, set()).add(label)
    return {
        "tickets": len(rows),
        "categories": dict(Counter(label for _, label in rows)),
        "texts_again": len(rows) - len(labels),
        "texts_of_several_categories": sum(len(those) > 1 for those in labels.values()),
        "texts_nearly_again": nearly_again([frozenset(text.split()) for text, _ in rows]),
    }


def nearly_again(texts: Sequence[frozenset[str]]) -> int:
    """How many texts have nine tenths of their words with one before them (Jaccard's index)."""
    return sum(any(alike(text, other) for other in texts[:number]) for number, text in enumerate(texts))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    if 10 * min(len(one), len(other)) < 9 * max(len(one), len(other)):
        return False
    shared = len(one & other)
    return 10 * shared >= 9 * (len(one) + len(other) - shared)


def main() -> int:
    parser = harness.parser("Ticket triage: both candidates on real tickets, and how many are routed by themselves.")
    parser.add_argument("--data", type=Path, default=DATA, help=f"the folder with {FILE}")
    options: Any = parser.parse_args()
    if not options.recorded and not (options.data / FILE).is_file():
        print(f"skipped: {options.data} has no {FILE}; the candidates are measured on real tickets", file=sys.stderr)
        return 0
    return harness.run_with(options, "tickets", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
