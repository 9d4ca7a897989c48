"""Tuning a random forest on digits, 50 trials, in the ranges of AWS's own example: strategies, cost and overhead.

    random_f1, bayesian_f1, hyperband_f1, grid_f1   the best trial's macro F1 on one fixed split; median of 10 seeds
    early_stopping_f1     the same by Bayesian with early stopping of type Auto
    completed_early_f1    the same, done when six trials in a row were no improvement (BestObjectiveNotImproving)
    multifidelity_f1, multifidelity_cost   the best of these two and Hyperband that took at most half of random's fit
                          seconds, and what share of them it took
    warm_start_f1         Bayesian, 25 trials in finer ranges, warm from the random and the Bayesian job
    warm_start_gain       by how much its best is above that of both parents; median
    optuna_gp_f1, optuna_tpe_f1, syne_tune_bore_f1   the best of 50 by Optuna's Gaussian process (which needs torch) and
                          its tree-structured estimator, and by Syne Tune's density-ratio searcher; median of 10 seeds
    trial_overhead_seconds       what the embedded AWS adds to a script that does nothing, beyond starting its process
    warm_trial_seconds           such a trial in all, from a warm container
    slots_idle                   the share of two slots' time in which no trial had them
    syne_tune_overhead_seconds   the same of Syne Tune's local backend, which looks ten times a second
    syne_tune_default_overhead_seconds   as it comes: it looks every five seconds

Trials run two at a time; a trial's forest grows in 27 parts, after each of which it says its F1. The split is that of
the tabulated benchmark (tune_table.py), a quarter of the digits, and the forest's seed always the same: a configuration
has one F1, and is fitted once, whoever asks for it. The best trial of each is cross-validated on five folds besides,
which no strategy sees: best of 50 on one split is partly luck on that split.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
# What makes requests for jobs is the tests'.
sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/local"))

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench import harness, tune_overhead
from bench.tune_forests import EPOCHS, GRID, REFINED, Forests, forests
from bench.tune_play import NONE, Played, Rules, Suggest, play
from bench.tune_rivals import Rivals, rivals
from bench.tune_searchers import embedded
from bench.tune_table import RANGES
from localaws.sagemaker.tuning.completion import Criteria
from localaws.sagemaker.tuning.early_stopping import should_stop
from localaws.sagemaker.tuning.history import Study
from localaws.sagemaker.tuning.space import from_ranges

SEEDS, TRIALS, NOTHINGS, DEFAULT_NOTHINGS = 10, 50, 50, 8
SMALL_SEEDS, SMALL_TRIALS, SMALL_NOTHINGS = 1, 6, 4
PROCESSES = SLOTS = 2
SYNE_TUNE_SLEEP, SYNE_TUNE_DEFAULT_SLEEP = 0.1, 5.0
NOT_IMPROVING, MOST_COST = 6, 0.5
COMPLETED_EARLY = f"bayesian, early stopping, until {NOT_IMPROVING} don't improve"
# The figure of each strategy.
FIGURES = {
    "random": "random_f1",
    "bayesian": "bayesian_f1",
    "bayesian, early stopping": "early_stopping_f1",
    COMPLETED_EARLY: "completed_early_f1",
    "hyperband": "hyperband_f1",
    "grid": "grid_f1",
    "warm start": "warm_start_f1",
    "Optuna's Gaussian process": "optuna_gp_f1",
    "Optuna's TPE": "optuna_tpe_f1",
    "Syne Tune's BORE": "syne_tune_bore_f1",
}
MULTIFIDELITY = ("bayesian, early stopping", COMPLETED_EARLY, "hyperband")
# Macro F1 of AWS's example: as its article has it, and over the four runs whose outputs are kept with it.
ORIGINAL = {
    "random": "0.919 (0.899 – 0.930)",
    "bayesian": "0.967 (0.967 – 0.981)",
    "warm start": "(0.981 – 0.986, best of 125)",
}


@dataclass(frozen=True)
class Result:
    """What a strategy came to with one seed: its best trial's F1, the seconds of all fits, the best one's folds."""

    f1: float
    seconds: float
    folds: float


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """Strategies first, then what a tuner adds to a trial."""
    others = rivals()
    for name, reason in others.skipped.items():
        say(f"{name} is not measured: {reason}")
    found = strategies(SMALL_SEEDS if small else SEEDS, SMALL_TRIALS if small else TRIALS, others, say)
    overhead = overheads(SMALL_NOTHINGS if small else NOTHINGS, others.syne_tune, say)
    return {
        **joined(strategy_figures(found), overhead),
        "strategies": [row(name, results, found["random"]) for name, results in found.items()],
        **({"skipped": dict(others.skipped)} if others.skipped else {}),
    }


def joined(*documents: harness.Document) -> harness.Document:
    """The figures and samples of all."""
    parts = ("figures", "samples")
    return {part: {name: value for found in documents for name, value in found[part].items()} for part in parts}


# --------------------------------------------------------------------------------------------------------- strategies


def strategies(seeds: int, trials: int, others: Rivals, say: Callable[[str], None]) -> dict[str, list[Result]]:
    """What each strategy came to with each seed; Grid has none."""
    with forests(tune_overhead.python(), PROCESSES) as fits, ThreadPoolExecutor(PROCESSES) as threads:
        by_seed = list(threads.map(partial(one_seed, fits, trials, others, say), range(seeds)))
        grid = by_grid(fits)
    found = {name: [results[name] for results in by_seed if name in results] for name in by_seed[0]}
    return {**found, "grid": [grid]}


def by_grid(fits: Forests) -> Result:
    """Every combination of the grid's."""
    with embedded() as suggest:
        return result(played(Study(from_ranges(GRID), "Grid", True, max_parallel=SLOTS), suggest, fits), fits)


def one_seed(fits: Forests, trials: int, others: Rivals, say: Callable[[str], None], seed: int) -> dict[str, Result]:
    """Every strategy with one seed, the warm start after those that are its parents."""
    study = Study(from_ranges(RANGES), "Random", True, seed=seed, max_jobs=trials, max_parallel=SLOTS)
    early = replace(study, strategy="Bayesian", early_stopping=True)
    with embedded() as suggest:
        ended = {
            "random": played(study, suggest, fits),
            "bayesian": played(replace(study, strategy="Bayesian"), suggest, fits),
            "bayesian, early stopping": played(early, suggest, fits),
            COMPLETED_EARLY: played(early, suggest, fits, Criteria(not_improving=NOT_IMPROVING)),
            "hyperband": played(replace(study, strategy="Hyperband", resources=(1, EPOCHS)), suggest, fits),
        }
        parents = (*ended["random"].parents, *ended["bayesian"].parents)
        warm = replace(study, strategy="Bayesian", space=from_ranges(REFINED), max_jobs=trials // 2, trials=parents)
        ended["warm start"] = played(warm, suggest, fits)
    for name, searcher in others.searchers.items():
        with searcher(seed, RANGES) as suggest:
            ended[name] = played(study, suggest, fits)
    found = {name: result(each, fits) for name, each in ended.items()}
    say(f"seed {seed}: " + ", ".join(f"{name} {each.f1:.3f} ({each.seconds:.1f} s)" for name, each in found.items()))
    return found


def played(study: Study, suggest: Suggest, fits: Forests, criteria: Criteria = NONE) -> Played:
    return play(study, Rules(suggest, should_stop, fits.curve, criteria))


def result(ended: Played, fits: Forests) -> Result:
    best = ended.best
    assert best.objective is not None
    return Result(best.objective, ended.cost, statistics.fmean(fits.folds(best.values)))


def strategy_figures(found: Mapping[str, Sequence[Result]]) -> harness.Document:
    """Medians of the best trials' F1, and of what early stopping and Hyperband cost by random's seconds."""
    samples = {FIGURES[name]: [each.f1 for each in results] for name, results in found.items()}
    costs = {name: cost(found[name], found["random"]) for name in MULTIFIDELITY}
    cheap = [name for name in costs if statistics.median(costs[name]) <= MOST_COST]
    better = max(cheap or costs, key=lambda name: statistics.median(samples[FIGURES[name]]))
    parents = [max(pair) for pair in zip(samples["random_f1"], samples["bayesian_f1"], strict=True)]
    samples |= {
        "multifidelity_f1": samples[FIGURES[better]],
        "multifidelity_cost": costs[better],
        "warm_start_gain": [warm - parent for warm, parent in zip(samples["warm_start_f1"], parents, strict=True)],
    }
    return {
        "figures": {name: round(statistics.median(values), 4) for name, values in samples.items()},
        "samples": samples,
    }


def cost(results: Sequence[Result], random: Sequence[Result]) -> list[float]:
    """Each seed's fit seconds by those of the random job with the same seed."""
    return [each.seconds / other.seconds for each, other in zip(results, random, strict=False)]


def row(name: str, results: Sequence[Result], random: Sequence[Result]) -> dict[str, Any]:
    """A strategy's line of the page."""
    return {
        "strategy": name,
        "f1": spread([each.f1 for each in results]),
        "folds_f1": spread([each.folds for each in results]),
        "seconds": spread([each.seconds for each in results]),
        "cost": round(statistics.median(cost(results, random)), 3),
        "original": ORIGINAL.get(name, ""),
    }


def spread(values: Sequence[float]) -> list[float]:
    """Median, least and largest."""
    return [round(one, 4) for one in (statistics.median(values), min(values), max(values))]


# ----------------------------------------------------------------------------------------------------------- overhead


def overheads(trials: int, rival: Path | None, say: Callable[[str], None]) -> harness.Document:
    """What the embedded AWS, with cold containers and with warm ones, and Syne Tune add to a trial."""
    bare = tune_overhead.bare_seconds()
    cold, warm = (tune_overhead.tuned_by_embedded_aws(trials, warm=kept) for kept in (False, True))
    say(f"a bare process {bare:.3f} s, a trial {cold.trial_seconds:.3f} s, a warm one {warm.trial_seconds:.3f} s")
    figures = {
        "trial_overhead_seconds": cold.trial_seconds - bare,
        "warm_trial_seconds": warm.trial_seconds,
        "slots_idle": 1 - warm.busy,
    }
    if rival:
        quick = tune_overhead.tuned_by_syne_tune(rival, trials, SYNE_TUNE_SLEEP)
        default = tune_overhead.tuned_by_syne_tune(rival, min(trials, DEFAULT_NOTHINGS), SYNE_TUNE_DEFAULT_SLEEP)
        figures["syne_tune_overhead_seconds"] = quick.trial_seconds - bare
        figures["syne_tune_default_overhead_seconds"] = default.trial_seconds - bare
    return {"figures": {name: round(value, 4) for name, value in figures.items()}, "samples": {}}


def main() -> int:
    return harness.run("tune", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
