"""How much each hyperparameter alone tells about the objective, and how sure that is.

A hyperparameter's values are cut into groups (its categories; of numbers, at most GROUPS of equally many trials). Its
importance is the share of the variance of the objective's ranks that lies between the groups, less what chance alone
would put there: epsilon squared, the adjusted correlation ratio (T. L. Kelley, "An unbiased correlation ratio measure",
PNAS 21, 1935). Ranks, because a few trials that went wrong would else decide; groups, because the best value may lie in
the middle. The interval is a percentile bootstrap over trials, moved by the bootstrap's own bias.

Hyperparameters that were searched together share what they explain: it isn't a model of the objective.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

GROUPS = 5
# A group of fewer trials says little, and fewer trials in all nothing.
IN_A_GROUP, TRIALS = 3, 10
RESAMPLES, CONFIDENCE, SEED = 300, 0.9, 7


@dataclass(frozen=True)
class Importance:
    """A share of the variance, from 0 to 1, with the ends of its interval."""

    share: float
    low: float
    high: float

    @property
    def is_told_from_chance(self) -> bool:
        return self.low > 0


def importance(places: Sequence[float], objectives: Sequence[float]) -> Importance | None:
    """The importance of a hyperparameter; None where there are too few trials, or they all had one value.

    Args:
        places: its value in each trial, as a number (any that keeps their order).
        objectives: the trials' objectives.
    """
    of = groups(places) if len(objectives) >= TRIALS else []
    if max(of, default=0) == 0:
        return None
    ranked = ranks(objectives)
    share = between(of, ranked, range(len(ranked)))
    drawn = sorted(between(of, ranked, resample) for resample in resamples(len(ranked)))
    bias = sum(drawn) / len(drawn) - share
    tail = round(len(drawn) * (1 - CONFIDENCE) / 2)
    return Importance(_share(share), _share(drawn[tail] - bias), _share(drawn[-tail - 1] - bias))


@cache
def resamples(number: int) -> list[list[int]]:
    """Trials drawn with replacement, the same for all hyperparameters and always."""
    drawn = random.Random(SEED)  # noqa: S311 - a bootstrap
    return [drawn.choices(range(number), k=number) for _ in range(RESAMPLES)]


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def between(of: Sequence[int], ranked: Sequence[float], chosen: Sequence[int]) -> float:
    """Epsilon squared of the chosen trials, which may be chosen several times: below 0 where chance would do better."""
    sums, counts = [0.0] * (max(of) + 1), [0] * (max(of) + 1)
    total = squares = 0.0
    for index in chosen:
        rank = ranked[index]
        sums[of[index]] += rank
        counts[of[index]] += 1
        total += rank
        squares += rank * rank
    number, present = len(chosen), sum(count > 0 for count in counts)
    about = total * total / number
    whole = squares - about
    if whole <= 0 or number <= present:
        return 0.0
    explained = sum(part * part / count for part, count in zip(sums, counts, strict=True) if count) - about
    return 1 - (whole - explained) / whole * (number - 1) / (number - present)


def groups(values: Sequence[float]) -> list[int]:
    """Each trial's group, from 0: equal values share one, and few different values are a group each."""
    different = sorted(set(values))
    many = max(2, min(GROUPS, len(values) // IN_A_GROUP))
    if len(different) <= many:
        return [different.index(value) for value in values]
    order = sorted(range(len(values)), key=lambda index: values[index])
    found, group, size = [0] * len(values), 0, len(values) / many
    for place, index in enumerate(order):
        is_same = place and values[index] == values[order[place - 1]]
        if not is_same:
            group = int(place / size)
        found[index] = group
    return found


def ranks(values: Sequence[float]) -> list[float]:
    """Each value's rank, from 0; equal ones share the middle of theirs."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    found, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for index in order[start : end + 1]:
            found[index] = (start + end) / 2
        start = end + 1
    return found
