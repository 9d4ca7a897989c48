"""The tuner's process: the Bayesian model in its own environment, asked as the server asks it."""

from __future__ import annotations

import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench import harness, tune_table
from localaws.sagemaker.containers.images import ImageBuildError, Images
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.process import Tuner, TunerError
from localaws.sagemaker.tuning.space import Categorical, Continuous, Integer, SearchSpace
from localaws.sagemaker.tuning.suggestion import suggest_random

SPACE = SearchSpace(
    (Continuous("rate", 1e-4, 1.0, "Logarithmic"), Integer("trees", 1, 9, "Linear"), Categorical("kind", ("a", "b")))
)


Score = Callable[[Mapping[str, str]], float]


@pytest.fixture(scope="module")
def tuner() -> Iterator[Tuner]:
    made = Tuner(Images(harness.IMAGES))
    yield made
    made.close()


def study(**settings: object) -> Study:
    """Twelve trials that have ended; the best is where the rate is 0.01 and the kind is b."""
    ended = []
    for number in range(1, 13):
        values = {"rate": str(10 ** -(number % 4)), "trees": str(number % 9 + 1), "kind": "ab"[number % 2]}
        score = -abs(number % 4 - 2) + (values["kind"] == "b") / 2
        ended.append(Trial(number, values, "completed", score))
    made = Study(SPACE, "Bayesian", maximize=True, seed=11, max_jobs=100, max_parallel=8, trials=tuple(ended))
    return replace(made, **settings)


def values(tuner: Tuner, asked: Study) -> dict[str, str]:
    suggestion = tuner.suggest(asked)
    assert suggestion is not None
    return suggestion.values


@pytest.mark.fidelity(
    "Tuning",
    "The same RandomSeed gives a Bayesian job the same trials again, as long as its trials end in the same order.",
    "developer guide, automatic-model-tuning-considerations: reproducibility with a random seed",
)
def test_the_same_study_has_the_same_suggestion_whoever_is_asked(tuner: Tuner) -> None:
    first = values(tuner, study())
    # A corner that is the best place may be suggested by two seeds, but not by all.
    assert any(values(tuner, study(seed=seed)) != first for seed in range(12, 16))
    killed = tuner.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert values(tuner, study()) == first, "by the process that has begun instead"
    assert tuner.pid not in (None, killed)


def test_trials_at_once_keep_apart(tuner: Tuner) -> None:
    asked, found = study(), []
    for number in range(13, 19):
        found.append(values(tuner, asked))
        asked = replace(asked, trials=(*asked.trials, Trial(number, found[-1])))
    assert len({tuple(each.values()) for each in found}) == 6
    assert all(SPACE.holds(each) for each in found)


def test_a_minimum_is_looked_for_at_the_other_end(tuner: Tuner) -> None:
    line = SearchSpace((Continuous("x", 0.0, 1.0, "Linear"),))
    ended = tuple(Trial(n, {"x": str(n / 10)}, "completed", n / 10) for n in range(1, 10))
    highest = values(tuner, study(space=line, trials=ended))
    lowest = values(tuner, study(space=line, trials=ended, maximize=False))
    assert float(lowest["x"]) < 0.1
    assert float(highest["x"]) > 0.9


def played(tuner: Tuner, space: SearchSpace, score: Score, jobs: int, seed: int = 5) -> list[Trial]:
    """A job's trials, one after the other."""
    done = Study(space, "Bayesian", maximize=True, seed=seed, max_jobs=jobs)
    while (suggestion := tuner.suggest(done)) is not None:
        trial = Trial(done.next_number, suggestion.values, "completed", score(suggestion.values))
        done = replace(done, trials=(*done.trials, trial))
    return list(done.own)


def test_no_trial_is_repeated_at_a_bound_while_others_are_unseen(tuner: Tuner) -> None:
    """The best is where all are at their lowest, and there many places of a wide integer are the same value."""
    wide = SearchSpace((Integer("rounds", 10, 1000, "Logarithmic"), Integer("depth", 1, 3, "Linear")))
    trials = played(tuner, wide, lambda values: -float(values["rounds"]) - float(values["depth"]), 30)
    assert len({tuple(trial.values.values()) for trial in trials}) == 30
    assert {"rounds": "10", "depth": "1"} in [trial.values for trial in trials]


def test_a_small_top_on_a_plateau_is_found_and_used(tuner: Tuner) -> None:
    """All is flat near the bound that a job comes up to, but for a top that no slope leads to."""
    space = SearchSpace((Continuous("weight", 0.0, 1.0, "Linear"), Integer("trees", 1, 200, "Linear")))

    def score(values: Mapping[str, str]) -> float:
        trees = int(values["trees"])
        return 0.96 - max(0.0, float(values["weight"]) - 0.05) - 0.3 / trees + 0.01 * (40 <= trees <= 60)

    jobs = [played(tuner, space, score, 40, seed) for seed in (6, 7, 8)]
    assert sum(score(trial.values) > 0.96 for trials in jobs for trial in trials) > 20, "of 120"


def processor_seconds(pid: int | None) -> float:
    """What a process has computed; a busy machine doesn't make it more."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_suggestion_after_fifty_trials_takes_less_than_a_tenth_of_a_second(tuner: Tuner) -> None:
    asked = Study(tune_table.space(), "Bayesian", maximize=True, seed=1, max_jobs=60)
    for number in range(1, 51):
        suggestion = suggest_random(asked)
        assert suggestion is not None
        score = tune_table.table().value(suggestion.values)
        asked = replace(asked, trials=(*asked.trials, Trial(number, suggestion.values, "completed", score)))
    values(tuner, asked)
    before = processor_seconds(tuner.pid)
    for seed in range(8):
        values(tuner, replace(asked, seed=seed))
    assert (processor_seconds(tuner.pid) - before) / 8 < 0.1


def test_bayesian_finds_better_forests_than_random(tuner: Tuner) -> None:
    best: dict[str, list[float]] = {"Bayesian": [], "Random": []}
    for strategy, found in best.items():
        for seed in range(3):
            job = Study(tune_table.space(), strategy, maximize=True, seed=seed, max_jobs=25, max_parallel=2)
            found.append(tune_table.replay(job, tuner.suggest).best.objective or 0.0)
    assert statistics.median(best["Bayesian"]) > statistics.median(best["Random"])


def test_the_process_ends_with_whoever_began_it_however_that_ends() -> None:
    script = """
import sys
from pathlib import Path
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.tuning.process import Tuner
tuner = Tuner(Images(Path(sys.argv[1])))
with tuner._lock:
    tuner._running()
print(tuner.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(harness.IMAGES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as begun:
        assert begun.stdout is not None
        descriptor = os.pidfd_open(int(begun.stdout.readline()))
        begun.kill()
    try:
        ends = select.poll()
        ends.register(descriptor, select.POLLIN)
        assert ends.poll(60_000), "it reads the end of its input"
    finally:
        os.close(descriptor)


def test_what_the_model_cannot_do_is_told(tuner: Tuner) -> None:
    with pytest.raises(TunerError, match="The tuner's model failed"):
        tuner._ask({"axes": []})
    assert values(tuner, study())


def test_an_environment_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        raise ImageBuildError("no network")

    images = Images(harness.IMAGES)
    monkeypatch.setattr(images, "tool", refuse)
    alone = Tuner(images)
    told = pytest.raises(TunerError, match="The tuner's environment can't be made: no network")
    with told:
        alone.suggest(study())
    # It is tried while the first trials train, so that a job without it doesn't get as far as its ninth.
    first = study(trials=())
    deadline = time.monotonic() + 20
    with told:
        while time.monotonic() < deadline:
            alone.suggest(first)
            time.sleep(0.01)
