"""A run's candidates in a sentence and as a table: what each was judged, and which went to the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.candidates import CANDIDATE, CANDIDATES
from contract.causes import gist
from contract.evaluations import CANNOT_ANSWER
from contract.run_table import STOPPED_BY

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A candidate for the table; `values` are those of its hyperparameters that are in `Table.columns`."""

    name: str
    job: str
    status: str
    score: str
    interval: str
    difference: str
    values: tuple[str, ...]
    seconds: float | None
    chosen: bool
    why: str


@dataclass(frozen=True)
class Table:
    """All candidates, in the order of pipeline.yaml.

    columns: in what they differ, of script and hyperparameters; confidence: of each one's intervals, where there are
        some.
    """

    metric: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    chosen: str
    confidence: str
    compared: bool


def sentence(record: Document) -> str:
    """`tf-idf 0.8120 (went to the gate), embedding 0.7840`; empty of a run without candidates."""
    chosen = _chosen(record)
    return ", ".join(_told(one, chosen) for one in _candidates(record))


def table(record: Document) -> Table | None:
    """The table of a record's candidates; None where there are none."""
    found = _candidates(record)
    if not found:
        return None
    decision = record.get("decision") or {}
    columns, chosen = _differing(found), _chosen(record)
    confidence = decision.get("confidence")
    return Table(
        metric=str(decision.get("metric", "score")),
        columns=columns,
        rows=tuple(_row(one, columns, chosen) for one in found),
        chosen=chosen,
        confidence=f"{100 * confidence:.3g}%" if isinstance(confidence, int | float) and chosen else "",
        compared=any(one.get("difference") is not None for one in found),
    )


def _candidates(record: Document) -> list[Document]:
    found = record.get(CANDIDATES)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, Sequence) else []


def _chosen(record: Document) -> str:
    return str((record.get("decision") or {}).get(CANDIDATE, ""))


def _told(one: Document, chosen: str) -> str:
    score = one.get("score")
    if score is None:
        return f"{one.get(CANDIDATE)}: {_why(one) or 'not judged'}"
    return f"{one.get(CANDIDATE)} {score:.4f}{' (went to the gate)' if one.get(CANDIDATE) == chosen else ''}"


def _differing(found: Sequence[Document]) -> tuple[str, ...]:
    """Their scripts and hyperparameters, of which not all candidates have the same."""
    given = [_values(one) for one in found if one.get("entry")]
    names = dict.fromkeys(name for values in given for name in values)
    return tuple(name for name in names if len({values.get(name) for values in given}) > 1)


def _values(one: Document) -> Document:
    """What a candidate was trained by: its script, and its hyperparameters."""
    return {"script": one.get("entry"), **(one.get("hyperparameters") or {})}


def _row(one: Document, columns: Sequence[str], chosen: str) -> Row:
    values = _values(one)
    name = str(one.get(CANDIDATE, ""))
    return Row(
        name=name,
        job=str(one.get("job", "")),
        status=str(one.get("status", "")),
        score=_number(one.get("score")),
        interval=_interval(one.get("interval"), ""),
        difference=_interval(one.get("difference_interval"), "+"),
        values=tuple(str(values.get(column) or "") for column in columns),
        seconds=one.get("seconds"),
        chosen=bool(chosen) and name == chosen,
        why=_why(one),
    )


def _why(one: Document) -> str:
    """Why it has no score."""
    if one.get(STOPPED_BY):
        return f"stopped by {one[STOPPED_BY]}"
    return gist(str(one.get("failure") or one.get(CANNOT_ANSWER) or ""))


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"


def _interval(bounds: Any, sign: str) -> str:
    """`[0.7900, 0.8300]`; nothing where it isn't known."""
    known = isinstance(bounds, Sequence) and len(bounds) == 2 and all(isinstance(one, int | float) for one in bounds)
    return f"[{bounds[0]:{sign}.4f}, {bounds[1]:{sign}.4f}]" if known else ""
