"""Who suggests trials: the embedded AWS's strategies, in the tuner's process; Syne Tune's and Optuna's in theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench import harness
from bench.answering import Answering, answering
from bench.tune_play import Suggest
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.tuning.history import Study
from localaws.sagemaker.tuning.process import Tuner
from localaws.sagemaker.tuning.suggestion import Suggestion


@contextmanager
def embedded() -> Iterator[Suggest]:
    """The strategies of the embedded AWS, with a process of their own for the model."""
    tuner = Tuner(Images(harness.IMAGES))
    try:
        yield tuner.suggest
    finally:
        tuner.close()


@contextmanager
def syne_tune(python: Path, searcher: str, seed: int, ranges: Mapping[str, Any]) -> Iterator[Suggest]:
    """A searcher of Syne Tune's, which is told of each trial that has ended before it is asked for another."""
    with answering(python, "tune_syne.py", "search") as process:
        process.tell({"searcher": searcher, "seed": seed, "ranges": ranges})
        yield partial(_asked, process, set())


@contextmanager
def optuna(python: Path, sampler: str, seed: int, ranges: Mapping[str, Any]) -> Iterator[Suggest]:
    """A sampler of Optuna's, likewise."""
    with answering(python, "tune_optuna.py") as process:
        process.tell({"sampler": sampler, "seed": seed, "ranges": ranges})
        yield partial(_asked, process, set())


def _asked(process: Answering, told: set[int], study: Study) -> Suggestion:
    """The next trial. Its numbers are from 0, the study's from 1."""
    for trial in study.own:
        if trial.score is not None and trial.number not in told:
            told.add(trial.number)
            process.tell({"tell": trial.number - 1, "f1": trial.score})
    return Suggestion(process.ask({"ask": True})["values"])
