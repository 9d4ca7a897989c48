"""A run's tuning in words and as a table: what its tuning job tried, and which trial's model went on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.run_table import STOPPED_BY
from contract.tuning import GREATER, TUNING, UNTUNED

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A trial for the table: its values in the order of `Trials.columns`."""

    number: int
    job: str
    status: str
    objective: str
    values: tuple[str, ...]
    seconds: float | None
    chosen: bool
    why: str


@dataclass(frozen=True)
class Trials:
    """All trials, the best first, and the sentences above them."""

    metric: str
    columns: tuple[str, ...]
    rows: tuple[Trial, ...]
    sentence: str
    because: str
    learnt: str


def sentence(record: Document) -> str:
    """`20 trials, the best validation:f1 0.9712 (max-depth 12, n-estimators 180)`; of a run that didn't tune, why, or
    nothing where its pipeline never does."""
    tuning = record.get(TUNING)
    if not isinstance(tuning, Mapping):
        return str(record.get(UNTUNED) or "")
    count = tuning.get("jobs", 0)
    trials = f"{count} trial{'' if count == 1 else 's'}"
    best = tuning.get("best")
    if not best:
        return f"{trials}, none of which left a model to judge"
    values = ", ".join(f"{name} {value}" for name, value in sorted(best["values"].items()))
    return f"{trials}, the best {tuning.get('metric', '')} {_number(best.get('objective'))} ({values})"


def trials(record: Document) -> Trials | None:
    """The table of a run that tuned; None of any other."""
    tuning = record.get(TUNING)
    found = [row for row in tuning.get("trials") or () if row] if isinstance(tuning, Mapping) else []
    if not found or not isinstance(tuning, Mapping):
        return None
    columns = sorted({name for row in found for name in row.get("values", ())})
    chosen = (tuning.get("best") or {}).get("job")
    ordered = sorted(found, key=lambda row: _rank(row, better_is_more=tuning.get("better") == GREATER))
    return Trials(
        metric=str(tuning.get("metric", "")),
        columns=tuple(columns),
        rows=tuple(_trial(row, columns, chosen) for row in ordered),
        sentence=sentence(record),
        because=str(tuning.get("because", "")),
        learnt=_learnt(tuning),
    )


def _rank(row: Document, *, better_is_more: bool) -> tuple[bool, float, int]:
    objective = row.get("objective")
    known = isinstance(objective, (int, float))
    value = float(objective) if known else 0.0  # type: ignore[arg-type]
    return not known, -value if better_is_more else value, int(row.get("number", 0))


def _trial(row: Document, columns: Sequence[str], chosen: object) -> Trial:
    values = row.get("values") or {}
    by_rule = f"stopped by {row[STOPPED_BY]}" if row.get(STOPPED_BY) else ""
    return Trial(
        number=int(row.get("number", 0)),
        job=str(row.get("job", "")),
        status=by_rule or str(row.get("status", "")).lower(),
        objective=_number(row.get("objective")),
        values=tuple(str(values.get(name, "–")) for name in columns),
        seconds=row.get("seconds"),
        chosen=row.get("job") == chosen,
        why=str(row.get("reason") or ""),
    )


def _learnt(tuning: Document) -> str:
    parents = ", ".join(tuning.get("parents") or ())
    narrower = ", ".join(tuning.get("refined") or ())
    told = [f"It learnt from {parents}" if parents else "", f"with narrower ranges of {narrower}" if narrower else ""]
    return " ".join(filter(None, told))


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "–"
