"""An evaluation's answers in detail as figures: a shaded matrix, a plot of numbers, examples told apart.

evaluation.json holds them (toolkit.answers), bounded; an older evaluation, or one of other answers, has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick

Document = Mapping[str, Any]

# The strongest shade behind a number, on which it can still be read, and the weakest that is seen.
SHADE, FAINTEST = 0.45, 0.08


@dataclass(frozen=True)
class Cell:
    """How many examples of a row's label were given a column's answer; `shade` by their share of the label's."""

    count: int
    shade: float
    right: bool


@dataclass(frozen=True)
class Matrix:
    """Labels down, answers across, of one model."""

    whose: str
    labels: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    whose: str


@dataclass(frozen=True)
class Plot:
    """Answers over right answers; on the line from `low` to `high`, both (x, y), they are equal."""

    dots: tuple[Dot, ...]
    low: tuple[float, float]
    high: tuple[float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Answers:
    """The part of them that a report shows; `models` are those that answered, the challenger first."""

    models: tuple[str, ...]
    classes: tuple[Document, ...]
    matrices: tuple[Matrix, ...]
    plot: Plot | None
    differing: Document


def figures(found: Document) -> Answers | None:
    """The figures of an evaluation's answers; None where it has none."""
    confusion, residuals = found.get("confusion") or {}, found.get("residuals") or {}
    models = tuple(name for name in ("challenger", "champion") if name in confusion or name in residuals)
    # Of a metric of the user's own there may be no more than the examples that are answered differently.
    models = models or (("challenger", "champion") if found.get("differing") else ())
    if not models:
        return None
    return Answers(
        models=models,
        classes=tuple(found.get("classes") or ()),
        matrices=tuple(_matrix(name, confusion["labels"], confusion[name]) for name in models if name in confusion),
        plot=_plot(residuals, models) if residuals else None,
        differing=found.get("differing") or {},
    )


def _matrix(whose: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Matrix:
    rows = tuple(
        tuple(Cell(count, _shade(count, sum(row)), place == across) for across, count in enumerate(row))
        for place, row in enumerate(counts)
    )
    return Matrix(whose, tuple(labels), rows)


def _shade(count: int, of_all: int) -> float:
    return max(FAINTEST, round(SHADE * count / of_all, 3)) if count else 0.0


def _plot(residuals: Document, models: Sequence[str]) -> Plot:
    values = [value for series in residuals.values() for value in series]
    across, up = Axis(values, LEFT, WIDTH - RIGHT), Axis(values, HEIGHT - BOTTOM, TOP)
    low, high = min(values), max(values)
    return Plot(
        # The challenger's over the champion's.
        dots=tuple(dot for name in reversed(models) for dot in _dots(name, residuals, across, up)),
        low=(across.at(low), up.at(low)),
        high=(across.at(high), up.at(high)),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
    )


def _dots(name: str, residuals: Document, across: Axis, up: Axis) -> Iterator[Dot]:
    for truth, answer in zip(residuals["truth"], residuals[name], strict=True):
        yield Dot(across.at(truth), up.at(answer), name)
