"""Questions about texts: what training_code/bert_qa comes to on articles that it hasn't seen. The medians of the seeds:

    f1                  token F1, as SQuAD defines it, of what serve.py answers; at least 0.45
    exact_match         the share of questions answered word for word
    untrained_f1        token F1 of the pretrained network before it is trained
    f1_always           token F1 where it must answer, however unsure it is
    unanswered          the share of questions to which it answers that there is no answer
    refused             the share of the same questions, asked about another article, to which it answers so
    attention_change    how much of its attention within one sentence has moved, from the first step to the last
    attention_step_change   the same in the half of the training in which it moves less; above 0: three steps differ

and a row a seed. Every fifth article is held out; of the others a part judges the training and chooses the threshold.

    python bench/bert_qa.py --data FILE.json        questions in SQuAD's format, as XQuAD's English ones

A seed takes one core about a quarter of an hour. `--rows FILE` keeps each that is done, so that one can go on.
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
from collections.abc import Callable
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from contract import environment
from localaws.sagemaker.containers.images import Images
from ratchet.spec import load
from ratchet.spec.watching import saved

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = harness.ROOT / "training_code" / "bert_qa"
DATA = harness.ROOT.parent / "shared" / "data" / "xquad.en.json"
SEEDS, SMALL_SEEDS = 3, 1
FIGURES = (
    "f1",
    "exact_match",
    "untrained_f1",
    "f1_always",
    "unanswered",
    "refused",
    "attention_change",
    "attention_step_change",
)

Row = dict[str, Any]


def measure(options: argparse.Namespace, small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds, one after another."""
    python = with_more(
        Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python, MODEL / "requirements.txt"
    )
    rows = []
    for seed in range(SMALL_SEEDS if small else options.seeds):
        measure_it = partial(measured, python, options, seed, small)
        (row,) = harness.measured_once(None if small else options.rows, {"seed": seed}, measure_it)
        rows.append(row)
        say(f"seed {seed}: F1 {row['f1']:.3f}, exact match {row['exact_match']:.3f}, {row['seconds']} s of training")
    return document(rows, options)


def measured(python: Path, options: argparse.Namespace, seed: int, small: bool) -> list[Row]:
    """Runs bert_qa_seed.py where torch is; its row."""
    script, more = Path(__file__).with_name("bert_qa_seed.py"), ["--small"] if small else []
    command = [str(python), str(script), "--data", str(options.data), "--seed", str(seed), *more]
    variables = {**os.environ, environment.PROBE: probe(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"seed {seed} failed; what it said stands above")
    return [json.loads(done.stdout.splitlines()[-1])]


def probe() -> str:
    """What pipeline.yaml has the probe save, as the job's variable says it."""
    return json.dumps({"collections": saved(load(MODEL / "pipeline.yaml"))})


def document(rows: list[Row], options: argparse.Namespace) -> harness.Document:
    """The figures, medians of the seeds, and each seed's."""
    samples = {name: [row[name] for row in rows] for name in FIGURES}
    return {
        "figures": {name: round(statistics.median(found), 6) for name, found in samples.items()},
        "samples": samples,
        "seeds": rows,
        "questions": options.data.name,
    }


def main() -> int:
    parser = harness.parser("How well BERT answers questions about articles that it hasn't seen.")
    parser.add_argument("--data", type=Path, default=DATA, help="questions in SQuAD's format (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="default: %(default)s")
    parser.add_argument("--rows", type=Path, help="a file of what was measured, which this goes on from")
    options = parser.parse_args()
    if not options.recorded and not options.data.is_file():
        print(f"skipped: there is no file {options.data}; BERT is measured on people's questions", file=sys.stderr)
        return 0
    return harness.run_with(options, "bert_qa", partial(measure, options))


if __name__ == "__main__":
    sys.exit(main())
