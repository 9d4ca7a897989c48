"""The gate's metric as a function of the user's own, `<module>.<function>` of the pipeline's code; greater is better.

It is called with two lists of one entry an example, the truths and the answers (toolkit.own_values), in a process of
its own: once a model, a segment and a resample of the bootstrap. It is the function that was deployed with the
pipeline, not one that a model brings along: it sees what is right. It may be slow, so there are as many resamples as
the time allows, of LADDER.
"""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit import model_process
from toolkit.bootstrap import Resampling
from toolkit.errors import NoAnswersError, ToolkitError

# How many resamples there may be where not all that are asked for can be made in time.
LADDER = (200, 500, 1000)
# The share of the resamples on which the function may fail, for instance because a class wasn't drawn.
MAY_FAIL = 0.1
# When it is first asked whether the least number of resamples can be made in time.
_FIRST_LOOK = 2.0

if TYPE_CHECKING:
    Metric = Callable[[list[Any], list[Any]], Any]
    Values = Sequence[Any]
    Parts = dict[str, list[float | str]]


class MetricError(ToolkitError):
    """The user's metric can't be called, fails, returns no number, or is too slow; the message says which."""


@dataclass(frozen=True)
class OwnMetric:
    """A function, the folder of the pipeline's code that holds it, and how many seconds its calls may take."""

    name: str
    folder: Path
    seconds: float


def judge(
    own: OwnMetric, truths: Values, answers: Mapping[str, Values], parts: Sequence[Sequence[int]], how: Resampling
) -> tuple[dict[str, float], np.ndarray, Parts, int]:
    """Each model's score, its scores on the resamples, of shape (models, resamples), its score on each part or why it
    has none, and how many resamples there were.

    Args:
        parts: segments, each by its examples' indices.

    Raises:
        NoAnswersError: the metric can't judge a model's answers.
        MetricError: it can't be called, or is too slow.
    """
    process, results = model_process.start("metric", _judge, _Asked(own, truths, dict(answers)), parts, how)
    try:
        kind, *content = _received(own, process, results)
    finally:
        process.kill()
        process.join()
    if kind == "unjudged":
        raise NoAnswersError(content[0], content[1])
    scores, resampled, found, made = content
    return scores, resampled, found, made


def _received(own: OwnMetric, process: Any, results: Connection) -> Any:
    try:
        return model_process.receive("metric", process, results, "judge", own.name)
    except NoAnswersError as error:
        # Of no model: it is the function that fails.
        raise MetricError(str(error)) from error


@dataclass(frozen=True)
class _Asked:
    own: OwnMetric
    truths: Values
    answers: dict[str, Values]


def _judge(asked: _Asked, parts: Sequence[Sequence[int]], how: Resampling, results: Connection) -> None:
    """Judges, in a process of its own."""
    model_process.forget_this_toolkit()
    with model_process.reporting(lambda *message: results.send(message), asked.own.folder):
        try:
            results.send(("judged", "figures", *_figures(_Call(asked, _load(asked.own)), parts, how)))
        except NoAnswersError as error:
            results.send(("judged", "unjudged", error.model, str(error)))


def _figures(
    call: _Call, parts: Sequence[Sequence[int]], how: Resampling
) -> tuple[dict[str, float], np.ndarray, Parts, int]:
    scores = {name: call.score(name) for name in call.models}
    found = {name: [call.part(name, places) for places in parts] for name in call.models}
    resampled, made = call.resampled(how)
    return scores, resampled, found, made


def _load(own: OwnMetric) -> Metric:
    module, _, name = own.name.rpartition(".")
    path = Path(*module.split(".")).with_suffix(".py")
    if not (own.folder / path).is_file():
        raise MetricError(f"the model's folder had no {path} when the pipeline was deployed; write it there")
    sys.path.insert(0, str(own.folder))
    importlib.invalidate_caches()
    found = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        raise MetricError(f"{path} has no function {name}")
    return found


class _Call:
    """The user's function on some of the examples."""

    def __init__(self, asked: _Asked, metric: Metric) -> None:
        self.own, self._metric, self._truths, self._answers = asked.own, metric, asked.truths, asked.answers
        self.models = tuple(asked.answers)

    def score(self, model: str) -> float:
        """A model's score on all examples."""
        try:
            return self._of(model, range(len(self._truths)))
        except MemoryError:
            raise
        except Exception as error:
            if not isinstance(error, MetricError):
                traceback.print_exc()
            said = f"metric {self.own.name} can't judge the {model}'s answers: {self._said(error)}"
            raise NoAnswersError(model, said) from error

    def part(self, model: str, places: Sequence[int]) -> float | str:
        """A model's score on a segment or a resample, or why there is none."""
        try:
            return self._of(model, places)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            return self._said(error)

    def resampled(self, how: Resampling) -> tuple[np.ndarray, int]:
        """Each model's scores on the same resamples, without those that have none; how many there was time for."""
        random = np.random.default_rng(how.seed)
        n, rows = len(self._truths), []
        failures: dict[str, list[str]] = {model: [] for model in self._answers}
        began, elapsed = time.monotonic(), 0.0
        while len(rows) < how.resamples and elapsed <= self.own.seconds:
            self._check_pace(len(rows), elapsed, min(LADDER[0], how.resamples))
            rows.append(self._resample(random.integers(0, n, size=n).tolist(), failures))
            elapsed = time.monotonic() - began
        self._check_pace(len(rows), elapsed, min(LADDER[0], how.resamples))
        made = max(step for step in (*LADDER, how.resamples) if step <= len(rows))
        for model, found in failures.items():
            self._check_failures(model, found, len(rows))
        values = np.array(rows[:made], dtype=float).T
        return values[:, np.isfinite(values).all(axis=0)], made

    def _resample(self, drawn: list[int], failures: dict[str, list[str]]) -> list[float]:
        """Each model's score on a resample, not a number where there is none."""
        scores = []
        for model in self._answers:
            found = self.part(model, drawn)
            if isinstance(found, str):
                failures[model].append(found)
            scores.append(float("nan") if isinstance(found, str) else found)
        return scores

    def _check_pace(self, made: int, elapsed: float, least: int) -> None:
        """Raises MetricError once it is clear that not even the least number of resamples can be made in time."""
        too_slow = made < least and elapsed > self.own.seconds
        will_be = elapsed > _FIRST_LOOK and elapsed / made * least > self.own.seconds
        if too_slow or will_be:
            models = "both models" if len(self._answers) > 1 else "the model"
            raise MetricError(
                f"{self.own.name} takes {elapsed / made / len(self._answers):.2g} s a call, too long for {least} "
                f"resamples of {models} in half of evaluate.max_runtime ({self.own.seconds:g} s); make it faster or "
                "max_runtime longer"
            )

    def _check_failures(self, model: str, failures: Sequence[str], made: int) -> None:
        if len(failures) > MAY_FAIL * made:
            raise NoAnswersError(
                model,
                f"metric {self.own.name} fails on the {model}'s answers to {len(failures)} of {made} resamples of the "
                f"held-out examples, for instance: {failures[0]}; it must bear examples that are drawn twice or not at "
                "all",
            )

    def _of(self, model: str, places: Sequence[int]) -> float:
        answers = self._answers[model]
        # Lists of its own at each call: it may sort them.
        value = self._metric([self._truths[place] for place in places], [answers[place] for place in places])
        return _number(value)

    def _said(self, error: Exception) -> str:
        return str(error) if isinstance(error, MetricError) else model_process.told(error, self.own.folder)


def _number(value: Any) -> float:
    """What the function returned, as a finite number."""
    kind = np.asarray(value).dtype.kind if np.ndim(value) == 0 else "O"
    if kind not in "iuf":
        raise MetricError(f"it returned {value!r:.60}, a {type(value).__name__}; it must return a number")
    if not np.isfinite(value):
        raise MetricError(f"it returned {float(value)}, which is no score")
    return float(value)
