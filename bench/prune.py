"""Iterative pruning on real pictures: how much smaller a network gets within a point of what it recognised.

    reduction       parameters of the unpruned network by those of the pruned one: the least of all seeds and networks,
                    by our rank
    accuracy_drop   points of test accuracy that this cost: the worst of all seeds and networks (negative: it gained)
    ended_by_rule   series, of `series`, that the toolkit's AccuracyDrop has ended (the others went through all rounds)

and a row a network and rank. Of each series the smallest network counts whose *validation* accuracy (a tenth of the
training pictures) is within a point of the unpruned one's; the test pictures choose nothing.
The unpruned network has trained for the epochs of `RECIPES`; every round trains its own on for `--epochs`, which is why
a pruned one may come to recognise more. An unpruned one that trains as long as a whole series is the harder comparison
(prune_series.py with --first-epochs 48 --rounds 0): ResNet-18, seed 0, then recognises 97.7 % of the test pictures; of
its series the network with 1.0 million parameters 97.2 %, that with 60 thousand 96.2 %. It must be given data:

    python bench/prune.py --data FILE.npz       x_train, y_train, x_test, y_test: uint8 (n, 32, 32, 3), whole numbers

Layers are as wide as the papers': AlexNet has 57 million parameters, ResNet-18 11. Both, three seeds each, take one
core that multiplies bfloat16 about two hours (`--device cuda`, with `--python` of an environment that has it, is for
those who have a GPU). `--width 0.25` is quick, and another network.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench import harness
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
OURS, ORIGINAL, UNPRUNED = "taylor", "original", "unpruned"
SEEDS, SMALL_SEEDS = 3, 1
# Of validation accuracy: what a pruned network may lose to count, and in a round before the rule ends the series.
TOLERANCE, LEAVE = 0.01, 0.05
# Network -> learning rate, and epochs of the unpruned one: BatchNorms bear larger steps, and need fewer of them.
RECIPES = {"alexnet": (5e-4, 16), "resnet18": (3e-3, 12)}

Row = dict[str, Any]


def measure(options: argparse.Namespace, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All series, one after another."""
    rows: list[Row] = []
    for network in options.networks.split(","):
        for seed in range(SMALL_SEEDS if small else options.seeds):
            for row in series(options, network, seed, small):
                rows.append(row)
                say(
                    f"{network} seed {seed} {row['rank']:9} round {row['round']}: {row['parameters']:>10,} parameters, "
                    f"validation {row['validation']:.3f}, test {row['test']:.3f}, {row['latency_ms']:.2f} ms"
                )
    return document(rows, options)


def series(options: argparse.Namespace, network: str, seed: int, small: bool) -> Sequence[Row]:
    """The rows of one network and seed."""
    file, which = None if small else options.rows, {"network": network, "seed": seed}
    return harness.measured_once(file, which, lambda: list(measured(options, network, seed, small)))


def measured(options: argparse.Namespace, network: str, seed: int, small: bool) -> Iterator[Row]:
    """Runs prune_series.py where torch is."""
    learning_rate, first_epochs = RECIPES[network]
    python = options.python or Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python
    settings = {
        "data": options.data,
        "device": options.device,
        "precision": options.precision,
        "network": network,
        "ranks": f"{OURS},{ORIGINAL}",
        "width": options.width,
        "fraction": options.fraction,
        "floor": 0.03,
        "leave": LEAVE,
        "learning-rate": learning_rate,
        "validation": 0.1,
        "seed": seed,
        "rounds": 1 if small else options.rounds,
        "first-epochs": 1 if small else first_epochs,
        "epochs": 1 if small else options.epochs,
        "batch": 64,
        "threads": options.threads,
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    script = Path(__file__).with_name("prune_series.py")
    with subprocess.Popen([str(python), str(script), *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"the series of {network}, seed {seed}, failed; what it said stands above")


def document(rows: Sequence[Row], options: argparse.Namespace) -> harness.Document:
    """The figures, and a row a network and rank."""
    table = [
        summary(network, rank, rows)
        for network in dict.fromkeys(row["network"] for row in rows)
        for rank in (OURS, ORIGINAL)
    ]
    ours = [row for row in table if row["rank"] == OURS]
    by_row = {
        f"{row['network']}_{row['rank']}_{figure}": row[figure]
        for row in table
        for figure in ("reduction", "accuracy_drop")
    }
    return {
        "figures": {
            "reduction": min(row["reduction"] for row in ours),
            "accuracy_drop": max(row["accuracy_drop"] for row in ours),
            "ended_by_rule": sum(row["ended_by_rule"] for row in table),
            "series": sum(len(row["seeds"]) for row in table),
            **by_row,
        },
        "rows": table,
        "rounds": list(rows),
        "settings": {name: str(value) for name, value in vars(options).items() if name not in ("data", "rows")},
        "pictures": options.data.name,
    }


def summary(network: str, rank: str, rows: Sequence[Row]) -> Row:
    """A network pruned by a rank: the least reduction and the worst drop of its seeds, and what each seed came to."""
    seeds = sorted({row["seed"] for row in rows if row["network"] == network})
    found = [chosen([row for row in rows if (row["network"], row["seed"]) == (network, seed)], rank) for seed in seeds]
    return {
        "network": network,
        "rank": rank,
        "parameters": found[0]["unpruned"]["parameters"],
        "reduction": min(entry["reduction"] for entry in found),
        "accuracy_drop": max(entry["accuracy_drop"] for entry in found),
        "latency": min(entry["latency"] for entry in found),
        "ended_by_rule": sum(entry["stopped_by"] is not None for entry in found),
        "seeds": [
            {name: entry[name] for name in ("reduction", "accuracy_drop", "latency", "round", "stopped_by")}
            for entry in found
        ],
    }


def chosen(rows: Sequence[Row], rank: str) -> Row:
    """Of one seed's rows: the smallest by this rank that validation finds within the tolerance; else the unpruned."""
    (unpruned,) = [row for row in rows if row["rank"] == UNPRUNED]
    least = unpruned["validation"] - TOLERANCE - 1e-9
    of_rank = [row for row in rows if row["rank"] == rank]
    good = [row for row in of_rank if row["validation"] >= least and not row["stopped_by"]]
    best = min([unpruned, *good], key=lambda row: row["parameters"])
    return {
        "unpruned": unpruned,
        "round": best["round"],
        "reduction": round(unpruned["parameters"] / best["parameters"], 2),
        "accuracy_drop": round(100 * (unpruned["test"] - best["test"]), 2),
        "latency": round(unpruned["latency_ms"] / best["latency_ms"], 2),
        "stopped_by": of_rank[-1]["stopped_by"] if of_rank else None,
    }


def main() -> int:
    parser = harness.parser("How much smaller networks get by pruning, within a point of accuracy.")
    parser.add_argument("--data", type=Path, help="an .npz file of 32 x 32 pictures; without it nothing is measured")
    parser.add_argument("--networks", default=",".join(RECIPES))
    parser.add_argument("--width", type=float, default=1.0, help="of the papers' layers (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rounds", type=int, default=9, help="of pruning, at most (default: %(default)s)")
    parser.add_argument("--fraction", type=float, default=0.3, help="of all units that goes in a round")
    parser.add_argument("--epochs", type=int, default=4, help="of every round after the first (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="float32", help="or bfloat16, where the processor has it in hardware")
    parser.add_argument("--device", default="cpu", help="or cuda, with --python of an environment that has it")
    parser.add_argument("--python", type=Path, help="an interpreter with torch (default: the image's environment)")
    parser.add_argument("--rows", type=Path, help="what was measured is kept here, and not measured again")
    options = parser.parse_args()
    if not options.recorded and (options.data is None or not options.data.is_file()):
        missing = "no --data FILE was given" if options.data is None else f"there is no file {options.data}"
        print(f"skipped: {missing}; pruning is measured on real pictures", file=sys.stderr)
        return 0
    return harness.run_with(options, "prune", partial(measure, options))


if __name__ == "__main__":
    sys.exit(main())
