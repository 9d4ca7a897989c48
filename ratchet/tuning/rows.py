"""The rows that the pictures of a study draw: plain JSON, by the names of their data sets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from ratchet.axes import number
from ratchet.durations import duration
from ratchet.terminal import shown
from ratchet.tuning import ranges
from ratchet.tuning.ranges import Hyperparameter
from ratchet.tuning.study import Entry, Study
from ratchet.tuning.trials import STOPPED_EARLY, Trial, TuningJob

Row = dict[str, Any]

# An axis whose positive values differ by more than this is logarithmic: else all but one would lie on its end.
LOGARITHMIC = 1e4
ROOM = 0.06
# Points of all learning curves together, and at least of each.
CURVE_POINTS, POINTS_OF_A_CURVE = 20_000, 12
# Categories side by side: how far from its middle a trial may stand.
JITTER = 0.3
# How far from each other labels of lines stand, as a share of the axis.
LABEL = 0.062
# More labels than these would hide what they name: the best of the jobs have one.
LABELS = 4
# The number of the medians of the jobs, where hyperparameters have theirs.
OF_JOBS = -1
GOLDEN = 0.618033988749895
BINS = 28
UNITS = ((1.0, "s", 120.0), (60.0, "min", 120 * 60.0), (3600.0, "h", 72 * 3600.0), (86400.0, "days", math.inf))


@dataclass(frozen=True)
class Unit:
    """A unit of time, and its seconds."""

    seconds: float
    name: str

    def of(self, seconds: float) -> float:
        return round(seconds / self.seconds, 4)


def unit_of(longest: float) -> Unit:
    """The unit in which times up to this many seconds are told."""
    seconds, name = next((seconds, name) for seconds, name, limit in UNITS if longest < limit)
    return Unit(seconds, name)


@dataclass(frozen=True)
class Extent:
    """The stretch of an axis."""

    low: float
    high: float
    logarithmic: bool

    @property
    def scale(self) -> str:
        return "log" if self.logarithmic else "linear"


def extent_of(values: Sequence[float]) -> Extent:
    """An axis on which all of the values have room."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and high / low > LOGARITHMIC:
        room = (high / low) ** ROOM
        return Extent(low / room, high * room, logarithmic=True)
    room = (high - low) * ROOM or abs(high) * ROOM or 1.0
    return Extent(low - room, high + room, logarithmic=False)


@dataclass(frozen=True)
class Rows:
    """A study as rows; `now` is when its jobs that run were looked at."""

    study: Study
    now: datetime

    @cached_property
    def unit(self) -> Unit:
        return unit_of(max(job.elapsed(self.now) for job in self.study.jobs))

    @cached_property
    def extent(self) -> Extent:
        return extent_of([entry.trial.objective or 0.0 for entry in self.study.judged])

    @cached_property
    def all(self) -> dict[str, list[Row]]:
        """Every data set; one without rows is empty."""
        return {
            "trials": self.trials,
            "failed": self.failed(),
            "best": [row for job in range(len(self.study.jobs)) for row in self._best(job)],
            "ends": self.ends(),
            "medians": self.medians(),
            "lines": self.lines(),
            "axes": self.axes(),
            "stops": self.stops(),
            "importance": self.importance(),
            **self.curves,
        }

    # ------------------------------------------------------------------------------------------------------- trials

    @cached_property
    def trials(self) -> list[Row]:
        """The judged trials, the worst first, so that the best are drawn over them."""
        many = max(len(self.study.judged) - 1, 1)
        return [
            self._trial(entry, quality=1 - place / many, best=place == 0)
            for place, entry in reversed(list(enumerate(self.study.judged)))
        ]

    def _trial(self, entry: Entry, *, quality: float, best: bool) -> Row:
        low, high = self._bin(entry.trial.objective or 0.0)
        return {
            **self._told(entry),
            "objective": entry.trial.objective,
            "elapsed": self._elapsed(entry),
            "quality": round(quality, 4),
            "best": best,
            "row": round(entry.job + jitter(entry.index), 4),
            "low": low,
            "high": high,
            **{
                f"h{at}": coordinate(each, number, entry.index)
                for at, each in enumerate(self.study.hyperparameters)
                if (number := each.number(self.study.value(entry, each.name))) is not None
            },
        }

    def _told(self, entry: Entry) -> Row:
        """What a tip says of a trial, and whose it is."""
        values = [(f"v{at}", self.study.value(entry, each.name)) for at, each in enumerate(self.study.hyperparameters)]
        return {
            "i": entry.index,
            "job": self.study.labels[entry.job],
            "trial": f"{self.study.jobs[entry.job].name} #{entry.trial.number}",
            "status": entry.trial.status,
            "took": duration(entry.trial.seconds) if entry.trial.seconds is not None else "–",
            **{name: text(value) for name, value in values if value is not None},
        }

    def failed(self) -> list[Row]:
        """The trials that ended without an objective."""
        found = [entry for entry in self.study.entries if entry.trial.objective is None and entry.trial.ended]
        return [{**self._told(entry), "elapsed": self._elapsed(entry)} for entry in found]

    def _elapsed(self, entry: Entry) -> float:
        """When the trial's result was known, since its job began."""
        at = entry.trial.ended or self.now
        return self.unit.of((at - self.study.jobs[entry.job].created).total_seconds())

    @property
    def most_in_a_bar(self) -> int:
        """How many trials the longest bar of the distribution counts."""
        counts: dict[float, int] = {}
        for row in self.trials:
            counts[row["low"]] = counts.get(row["low"], 0) + 1
        return max(counts.values(), default=1)

    def _bin(self, objective: float) -> tuple[float, float]:
        """The ends of the bar that counts an objective."""
        bins = max(8, min(BINS, round(2 * len(self.study.judged) ** 0.5)))
        low, high = self._scaled(self.extent.low), self._scaled(self.extent.high)
        at = min(int((self._scaled(objective) - low) / (high - low) * bins), bins - 1)
        return self._plain(low + (high - low) * at / bins), self._plain(low + (high - low) * (at + 1) / bins)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.extent.logarithmic else value

    def _plain(self, value: float) -> float:
        return 10**value if self.extent.logarithmic else value

    # ------------------------------------------------------------------------------------------------- best so far

    def _best(self, job: int) -> Iterator[Row]:
        """The best objective after each trial that improved it, and at the job's end."""
        best: float | None = None
        judged = [entry for entry in self.study.judged if entry.job == job]
        row: Row = {}
        for entry in sorted(judged, key=self._elapsed):
            improved = self.study.objective.best(
                [value for value in (best, entry.trial.objective) if value is not None]
            )
            if improved != best:
                best = improved
                row = {"job": self.study.labels[job], "elapsed": self._elapsed(entry), "best": best}
                yield row
        if row:
            yield {**row, "elapsed": self.unit.of(self.study.jobs[job].elapsed(self.now))}

    def ends(self) -> list[Row]:
        """What each job's line is called at its end: the best beyond it, the others within, none over another."""
        maximize = self.study.objective.maximize
        found = [(job, job.best, job.best.objective) for job in self.study.jobs if job.best]
        known = [(job, best, value) for job, best, value in found if value is not None]
        known.sort(key=lambda each: each[2], reverse=maximize)
        step = LABEL * (self._scaled(self.extent.high) - self._scaled(self.extent.low))
        places = apart([self._scaled(value) * (-1 if maximize else 1) for _, _, value in known], step)
        return [
            {
                "elapsed": self.unit.of(job.elapsed(self.now)),
                "at": self._plain(place * (-1 if maximize else 1)),
                "label": self._label(job, best),
            }
            for place, (job, best, _) in zip(places, known, strict=True)
        ][:LABELS]

    def _label(self, job: TuningJob, best: Trial) -> str:
        if len(self.study.jobs) > 1:
            return text(f"{job.strategy} {number(best.objective)}")
        return f"best {number(best.objective)}, trial {best.number}"

    # --------------------------------------------------------------------------------------------- hyperparameters

    def medians(self) -> list[Row]:
        """The median objective of each category, and of each job."""
        found = []
        for job in range(len(self.study.jobs)):
            values = [entry.trial.objective or 0.0 for entry in self.study.judged if entry.job == job]
            found += [_median(OF_JOBS, float(job), values)] if values else []
        for at, each in enumerate(self.study.hyperparameters):
            of_category: dict[float, list[float]] = {}
            for entry, category in self.study.places(each) if each.is_categorical else ():
                of_category.setdefault(category, []).append(entry.trial.objective or 0.0)
            found += [_median(at, category, values) for category, values in of_category.items()]
        return found

    def lines(self) -> list[Row]:
        """A trial's places on all parallel axes, the objective's last; the best are drawn over the rest."""
        return [row for trial in self.trials for row in self._line(trial)]

    def _line(self, trial: Row) -> Iterator[Row]:
        entry = self.study.entries[trial["i"]]
        whose = {name: trial[name] for name in ("i", "job", "quality", "trial")}
        for at, each in enumerate(self.study.hyperparameters):
            value = each.number(self.study.value(entry, each.name))
            if value is not None:
                yield {**whose, "axis": at, "at": round(each.place(value), 4)}
        yield {**whose, "axis": len(self.study.hyperparameters), "at": self._better(trial["objective"])}

    def _better(self, objective: float) -> float:
        """Where an objective stands on its parallel axis: the best on top."""
        values = [self._scaled(entry.trial.objective or 0.0) for entry in (self.study.judged[0], self.study.judged[-1])]
        best, worst = values
        return 0.5 if best == worst else round((self._scaled(objective) - worst) / (best - worst), 4)

    def axes(self) -> list[Row]:
        """The parallel axes, with what stands at their ends."""
        rows = [
            {"name": text(each.name), **ends_of(each), **place_of_axis(at)}
            for at, each in enumerate(self.study.hyperparameters)
        ]
        if not self.study.judged:
            return rows
        best, worst = self.study.judged[0].trial.objective, self.study.judged[-1].trial.objective
        name = text(self.study.objective.metric)
        ends = {"bottom": number(worst), "top": number(best), "scale": ""}
        return [*rows, {"name": name, **ends, **place_of_axis(len(rows))}]

    def stops(self) -> list[Row]:
        """The categories along their axes."""
        return [
            {"axis": at, "at": round(each.place(float(place)), 4), "label": text(value)}
            for at, each in enumerate(self.study.hyperparameters)
            for place, value in enumerate(each.categories)
        ]

    def importance(self) -> list[Row]:
        return [
            {
                "name": text(each.name),
                "share": round(found.share, 4),
                "low": round(found.low, 4),
                "high": round(found.high, 4),
                "told": found.is_told_from_chance,
                "label": f"{found.share:.0%}  ({found.low:.0%}–{found.high:.0%})",
            }
            for each, found in self.study.importances
        ]

    # ------------------------------------------------------------------------------------------------------ curves

    @cached_property
    def curve_unit(self) -> Unit:
        return unit_of(max((curve.points[-1][0] for curve in self.study.curves.values()), default=0.0))

    @cached_property
    def curve_extent(self) -> Extent:
        return extent_of([value for curve in self.study.curves.values() for _, value in curve.points])

    @cached_property
    def curves(self) -> dict[str, list[Row]]:
        """What trials reported while they trained, and where early stopping ended them; none where no trial did so
        more than once."""
        found = [(entry, self.study.curves.get(entry.trial.name)) for entry in self.study.entries]
        known = [(entry, curve.points) for entry, curve in found if curve]
        if not any(len(points) > 1 for _, points in known):
            return {"curves": [], "cuts": []}
        most = max(POINTS_OF_A_CURVE, CURVE_POINTS // len(known))
        drawn = [(self._whose(entry), thinned(points, most)) for entry, points in known]
        rows = [{**whose, **self._point(point)} for whose, points in drawn for point in points]
        cuts = [{**whose, **self._point(points[-1])} for whose, points in drawn if whose["status"] == STOPPED_EARLY]
        return {"curves": rows, "cuts": cuts}

    def _whose(self, entry: Entry) -> Row:
        told = self._told(entry)
        return {name: told[name] for name in ("i", "job", "trial", "status")}

    def _point(self, point: tuple[float, float]) -> Row:
        return {"t": self.curve_unit.of(point[0]), "value": point[1]}


def apart(values: Sequence[float], step: float) -> list[float]:
    """Places for labels of ascending values: the first before its value, each other behind its own, a step apart."""
    found: list[float] = []
    for value in values:
        found.append(max(value + 0.8 * step, found[-1] + step) if found else value - 0.8 * step)
    return found


def _median(at: int, category: float, values: list[float]) -> Row:
    middle = sorted(values)[len(values) // 2]
    return {"at": at, "from": category - JITTER, "to": category + JITTER, "objective": middle}


def coordinate(each: Hyperparameter, value: float, index: int) -> float:
    """Where a value is drawn on its panel's axis: categories as places beside each other, trials spread over theirs."""
    if each.is_categorical:
        return round(value + jitter(index), 4)
    return ranges.reversed_logarithm(value) if each.scaling == ranges.REVERSE_LOGARITHMIC else value


def jitter(index: int) -> float:
    """A trial's place about the middle, evenly spread and always the same."""
    return ((index * GOLDEN) % 1 - 0.5) * 2 * JITTER


def ends_of(each: Hyperparameter) -> Row:
    """What stands at the ends of a hyperparameter's parallel axis."""
    if each.is_categorical:
        return {"bottom": "", "top": "", "scale": ""}
    scale = {ranges.LOGARITHMIC: "log", ranges.REVERSE_LOGARITHMIC: "reverse log"}.get(each.scaling, "")
    return {"bottom": number(each.low), "top": number(each.high), "scale": scale}


def place_of_axis(at: int) -> Row:
    return {"axis": at, "zero": 0, "one": 1}


def thinned(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """At most so many of a curve's points, its last one among them."""
    step = -(-len(points) // most)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def text(value: str) -> str:
    """A text of a job's, as a page may show it."""
    return shown(ranges.unquoted(value))
