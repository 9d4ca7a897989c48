"""Hyperband as Automatic Model Tuning has it: running trials are stopped at rungs, and none is resumed.

"Hyperband uses the final and intermediate results of a training job to dynamically allocate resources to utilized
hyperparameter configurations while automatically stopping under-performing configurations." AWS's text says neither how
many rungs there are nor who goes on; here it is asynchronous successive halving, whose rungs are MinResource times
powers of three, and a third of those that reached a rung go on. New configurations are random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.sagemaker.tuning.history import Study, Trial

# The reduction from rung to rung of Hyperband's paper.
REDUCTION = 3
MOST_RESOURCE = 20_000
# "HyperbandTraining attempts to infer MaxResource from the following keys (if present) in StaticsHyperParameters".
INFERRED_FROM = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


def resources(config: Mapping[str, Any], static: Mapping[str, str]) -> tuple[int, int] | None:
    """MinResource and MaxResource of a request; None if the maximum is neither said nor to be inferred.

    config: the request's ``HyperbandStrategyConfig``, or nothing. A minimum that isn't said is 1.
    """
    most = config.get("MaxResource") or _inferred(static)
    return None if most is None else (config.get("MinResource") or 1, most)


def _inferred(static: Mapping[str, str]) -> int | None:
    for name in INFERRED_FROM:
        text = static.get(name, "").strip().strip('"')
        if text.isascii() and text.isdigit() and int(text) > 0:
            return int(text)
    return None


def rungs(least: int, most: int) -> tuple[int, ...]:
    """The epochs at which trials are compared: never before MinResource, and MaxResource isn't one."""
    found = []
    rung = least
    while rung < most:
        found.append(rung)
        rung *= REDUCTION
    return tuple(found)


def should_stop(study: Study, trial: Trial) -> bool:
    """Whether a running trial ends here: it is at MaxResource, or not in the best third at the last rung it reached."""
    if study.resources is None:
        return False
    least, most = study.resources
    if trial.epochs >= most:
        return True
    reached = [rung for rung in rungs(least, most) if rung <= min(trial.epochs, len(trial.curve))]
    return bool(reached) and not _goes_on(study, trial, reached[-1])


def _goes_on(study: Study, trial: Trial, rung: int) -> bool:
    value = trial.curve[rung - 1]
    there = [each.curve[rung - 1] for each in study.own if len(each.curve) >= rung]
    better = sum(study.is_better(other, value) for other in there)
    return better < max(1, len(there) // REDUCTION) or len(there) < REDUCTION
