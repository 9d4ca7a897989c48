"""The judgement of training in rounds: pure functions from a round's training job to what comes next.

A round's job starts from the last one's model. Rounds end when a rule stops one, when one is too much worse than the
first, or after the last; of those that were good enough, the one with the smallest model goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from contract import rounds as words
from contract import states

Document = dict[str, Any]

# A billionth is forgiven: 0.93 - 0.92 is a little more than 0.01 to a computer.
FORGIVEN = 1e-9

_KEPT = ("status", "model_data", "metrics", "seconds", "spot")


@dataclass(frozen=True)
class Settings:
    """`rounds` of pipeline.yaml. `tolerance` is in the unit of `metric`; `size` is the metric that should be small."""

    max: int
    metric: str
    better: str
    tolerance: float
    size: str


def judge(settings: Settings, number: int, rounds: Mapping[str, Any], training: Mapping[str, Any]) -> Document:
    """The round that has just ended, judged.

    Args:
        number: the round's, from 1.
        rounds: the record of the rounds before it (`contract.rounds`).
        training: its training job, as the machine keeps it.

    Returns:
        {"next": AGAIN, EVALUATE or FAILED, "round": the number of the round that trains next, or the same, "rounds":
        the record with this round's row and, where rounds have ended, "ended", "reason" and "chosen", "training": the
        training to go on with, "failure": {"state", "error", "cause"} or null}.
    """
    rows = [*rounds["rows"], row(number, training)]
    judged: Document = {"round": number, "rounds": {**rounds, "rows": rows}, "training": dict(training)}
    if (end := ending(settings, rows)) is not None:
        return {**judged, "next": words.EVALUATE, "failure": None, **concluded(settings, judged, *end)}
    if not is_measured(settings, rows[-1]):
        return {**judged, "next": words.FAILED, "failure": unmeasured(settings, rows[-1])}
    return {**judged, "next": words.AGAIN, "round": number + 1, "failure": None}


def row(number: int, training: Mapping[str, Any]) -> Document:
    """A round, as the run's record keeps it."""
    kept = {name: training[name] for name in _KEPT if name in training}
    job = training["description"]["TrainingJobName"]
    return {"round": number, "job": job, **kept, "stopped_by_rule": training["status"] == "Stopped"}


def ending(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Why rounds end with the last row, in a word and in a sentence; None if they don't, or if it can't be judged."""
    last = rows[-1]
    number = last["round"]
    if last["stopped_by_rule"]:
        return words.BY_RULE, f"a rule stopped round {number}"
    if not is_measured(settings, last):
        return None
    if not is_within(settings, rows[0], last):
        return words.BY_TOLERANCE, too_bad(settings, rows[0], last)
    if number >= settings.max:
        return words.LAST, f"round {settings.max} was the last"
    return None


def concluded(settings: Settings, judged: Mapping[str, Any], ended: str, reason: str) -> Document:
    """The rounds' end, and the training that goes on: the chosen round's."""
    rounds = {**judged["rounds"], "ended": ended, "reason": reason}
    chosen = smallest(settings, rounds["rows"])
    return {
        "rounds": {**rounds, "chosen": chosen["round"]},
        "training": {**judged["training"], "status": "Completed", "model_data": chosen["model_data"]},
    }


def smallest(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of the completed rounds within the tolerance, the one with the smallest model; of equals the first."""
    good = [entry for entry in rows if entry["status"] == "Completed" and is_within(settings, rows[0], entry)]
    return min(good, key=lambda entry: float(entry["metrics"][settings.size]))


def is_measured(settings: Settings, entry: Mapping[str, Any]) -> bool:
    """Whether a round has the figures by which rounds are judged."""
    return math.isfinite(figure(entry, settings.metric)) and math.isfinite(figure(entry, settings.size))


def is_within(settings: Settings, first: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a round is no worse than the first one by more than the tolerance."""
    before, value = figure(first, settings.metric), figure(entry, settings.metric)
    lost = before - value if settings.better == "greater" else value - before
    return lost <= settings.tolerance + FORGIVEN


def figure(entry: Mapping[str, Any], name: str) -> float:
    """The last value of a metric that the round's job printed; NaN if there is none."""
    value = (entry.get("metrics") or {}).get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def too_bad(settings: Settings, first: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    before, value = (text(one["metrics"][settings.metric]) for one in (first, entry))
    return (
        f"round {entry['round']}: {settings.metric} is {value}, "
        f"more than {settings.tolerance:g} worse than the first round, {before}"
    )


def unmeasured(settings: Settings, entry: Mapping[str, Any]) -> Document:
    """The failure of a round that can't be judged."""
    cause = (
        f"round {entry['round']} ({entry['job']}) printed no figure that matches train.metrics {settings.metric} or "
        f"{settings.size}, by which rounds are judged"
    )
    return {"state": states.TRAIN, "error": words.NOT_MEASURED_ERROR, "cause": cause}


def text(value: float) -> str:
    """A figure in a sentence: at most 15 digits, no zeros behind."""
    digits = Decimal(f"{value:.15g}")
    return format(digits.normalize(), "f")
