"""Early stopping of type Auto on a network that trains by epochs: what it saves, and what it costs.

    saved, loss_points    the share of training seconds that it saves on 20 random trials, and by how many points of
                          validation accuracy the best of them is worse for it; the median and the mean of 12 seeds
    bayesian_saved, bayesian_loss_points   the same of the Bayesian strategy, which learns from what was stopped, too
    test_loss_points, bayesian_test_loss_points   the same by the accuracy on digits that chose nothing

Trials run two at a time for ten epochs each, in the ranges of AWS's example of early stopping: learning rate from 1e-5
to 1 on a logarithmic scale, mini-batches of 16 to 64, four optimizers. With and without, a seed begins with the same.

AWS's text leaves open which value of a trial is compared with whose averages. Some readings of it, on the same random
trials, are in `readings`; `localaws/sagemaker/tuning/early_stopping.py` says which is built.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench import harness
from bench.answering import Remembered, remembered
from bench.early_stopping_readings import READINGS
from bench.tune_play import Curve, Played, Rules, Stops, Suggest, Values, play
from bench.tune_searchers import embedded
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.tuning.early_stopping import should_stop
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.space import from_ranges

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
SEEDS, TRIALS, EPOCHS, SLOTS = 12, 20, 10, 2
SMALL_SEEDS, SMALL_TRIALS = 1, 4
PROCESSES = 2
RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "learning-rate", "MinValue": "0.00001", "MaxValue": "1", "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [
        {"Name": "mini-batch-size", "MinValue": "16", "MaxValue": "64", "ScalingType": "Linear"}
    ],
    "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "momentum", "nag", "adam"]}],
}


@dataclass(frozen=True)
class Networks:
    """Networks that are trained with one seed: their learning curves, each by validation and by test."""

    answers: Remembered
    seed: int

    def curve(self, values: Values) -> Curve:
        """The validation accuracy as it trains."""
        found = self._trained(values)
        return Curve(tuple(found["validation"]), tuple(found["seconds"]))

    def test(self, trial: Trial) -> float:
        """The test accuracy when the trial ended."""
        accuracy: float = self._trained(trial.values)["test"][len(trial.curve) - 1]
        return accuracy

    def _trained(self, values: Values) -> Any:
        return self.answers.ask({"values": dict(values), "epochs": EPOCHS, "seed": self.seed})


@dataclass(frozen=True)
class Pair:
    """One seed with early stopping, beside the same without: the share saved, and points lost."""

    saved: float
    loss: float
    test_loss: float


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All seeds, two at a time."""
    python = Images(harness.IMAGES).environment(IMAGE, say).python
    seeds, trials = (SMALL_SEEDS, SMALL_TRIALS) if small else (SEEDS, TRIALS)
    with (
        remembered(python, "early_stopping_nets.py", PROCESSES) as answers,
        ThreadPoolExecutor(PROCESSES) as threads,
    ):
        by_seed = list(threads.map(partial(one_seed, answers, trials, say), range(seeds)))
    return document({name: [pairs[name] for pairs in by_seed] for name in by_seed[0]})


def one_seed(answers: Remembered, trials: int, say: Callable[[str], None], seed: int) -> dict[str, Pair]:
    """Random and Bayesian, and the readings on the random trials."""
    networks = Networks(answers, seed)
    random = Study(from_ranges(RANGES), "Random", True, seed=seed, max_jobs=trials, max_parallel=SLOTS)
    with embedded() as suggest:
        found = {
            "random": pair(random, suggest, should_stop, networks),
            "bayesian": pair(replace(random, strategy="Bayesian"), suggest, should_stop, networks),
            **{name: pair(random, suggest, reading, networks) for name, reading in READINGS.items()},
        }
    shown = (found["random"], found["bayesian"])
    say(f"seed {seed}: " + ", ".join(f"saved {each.saved:.2f} for {each.loss:.2f} points" for each in shown))
    return found


def pair(study: Study, suggest: Suggest, stops: Stops, networks: Networks) -> Pair:
    """The tuning job without early stopping, and with it by a rule."""
    without = play(study, Rules(suggest, never, networks.curve))
    stopped = play(replace(study, early_stopping=True), Rules(suggest, stops, networks.curve))
    return Pair(
        saved=1 - stopped.cost / without.cost,
        loss=100 * (value(without) - value(stopped)),
        test_loss=100 * (networks.test(without.best) - networks.test(stopped.best)),
    )


def never(_study: Study, _number: int) -> bool:
    """Nothing is stopped."""
    return False


def value(played: Played) -> float:
    """The best trial's objective."""
    best = played.best.objective
    assert best is not None
    return best


def document(pairs: Mapping[str, Sequence[Pair]]) -> harness.Document:
    """The figures, and a row a reading."""
    samples = {
        f"{prefix}{name}": values for prefix, of in PREFIXES.items() for name, values in columns(pairs[of]).items()
    }
    return {
        "figures": {name: round(middle(name, values), 4) for name, values in samples.items()},
        "samples": samples,
        "readings": [
            {"reading": name, **{column: round(middle(column, values), 3) for column, values in columns(found).items()}}
            for name, found in pairs.items()
            if name in READINGS
        ],
    }


PREFIXES = {"": "random", "bayesian_": "bayesian"}


def columns(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    return {
        "saved": [each.saved for each in pairs],
        "loss_points": [each.loss for each in pairs],
        "test_loss_points": [each.test_loss for each in pairs],
    }


def middle(name: str, values: Sequence[float]) -> float:
    """The median of savings; the mean of losses, most of which are none."""
    return statistics.median(values) if name.endswith("saved") else statistics.fmean(values)


def main() -> int:
    return harness.run("early_stopping", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
