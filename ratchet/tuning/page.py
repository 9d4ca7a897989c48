"""The page of a study, one HTML file that needs nothing from outside, and the same pictures as one PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import altair as alt
import jinja2
import vl_convert

from ratchet import pages
from ratchet.axes import number
from ratchet.durations import duration
from ratchet.terminal import shown
from ratchet.tuning import panels, theme
from ratchet.tuning.panels import Panel
from ratchet.tuning.rows import Rows, text
from ratchet.tuning.study import Entry, Study
from ratchet.tuning.trials import COMPLETED, FAILED, NO_OBJECTIVE, RUNNING, STOPPED, STOPPED_EARLY, TuningJob

STATUSES = (COMPLETED, STOPPED_EARLY, STOPPED, RUNNING, NO_OBJECTIVE, FAILED)
# A failed trial's reason in the table.
REASON = 160
# Parallel axes closer than this can't be read.
AXIS_WIDTH = 118
# The PNG's pictures: the page at a desk, twice as fine.
WIDTH, SCALE, COLUMNS, GAP = 1120, 2, 3, 44
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
# Its declared type asks for a script of one's own, which may be left out.
_BUNDLE: Any = vl_convert.javascript_bundle

Document = dict[str, Any]


@dataclass(frozen=True)
class Where:
    """Whose tuning jobs they are, and when they were read."""

    environment: str
    account: str
    region: str
    at: datetime


@dataclass(frozen=True)
class Column:
    name: str
    is_number: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of the table, and what it is sorted by: its number where it is one."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class TableRow:
    index: int
    best: bool
    cells: tuple[Cell, ...]
    failure: str


@dataclass(frozen=True)
class Told:
    """A job, as the head of the page tells it."""

    label: str
    job: TuningJob
    best: str
    counts: str
    colour: int
    is_parent: bool
    first: int
    last: int


def render(study: Study, where: Where) -> str:
    """The page, as HTML."""
    rows = Rows(study, where.at)
    drawn = panels.panels(rows)
    return (
        _templates()
        .get_template("tuning.html.j2")
        .render(
            study=study,
            where=where,
            told=_told(study, where.at),
            panels=drawn,
            columns=_columns(study),
            table=list(_table(study)),
            parallel_width=AXIS_WIDTH * (len(study.hyperparameters) + 1),
            document=pages.script_json(_document(rows, drawn)),
            script=pages.script_text((pages.TEMPLATES / "tuning.js").read_text(encoding="utf-8")),
            vega=pages.script_text(_BUNDLE(vl_version=VEGA_LITE)),
        )
    )


def picture(study: Study, at: datetime) -> bytes:
    """All pictures in one, as a PNG on white."""
    rows = Rows(study, at)
    drawn = panels.panels(rows)
    whole = {
        "$schema": alt.SCHEMA_URL,
        "params": [{"name": "picked", "value": None}, {"name": "pointed", "value": None}],
        "datasets": rows.all,
        "spacing": GAP,
        "padding": GAP,
        "vconcat": [{"hconcat": line, "spacing": GAP} for line in _lines(drawn)],
        "resolve": {"scale": {"color": "independent", "shape": "independent", "opacity": "independent"}},
    }
    config = theme.config(theme.LIGHT, background=theme.LIGHT.card)
    png: bytes = vl_convert.vegalite_to_png(whole, scale=SCALE, config=config, vl_version=VEGA_LITE)
    return png


def _lines(drawn: Sequence[Panel]) -> Iterator[list[Document]]:
    """The panels in lines of the PNG."""
    of_place = {
        place: [panel for panel in drawn if panel.place == place] for place in dict.fromkeys(p.place for p in drawn)
    }
    for place, found in of_place.items():
        at_once = COLUMNS if place == "hyperparameters" else len(found)
        for start in range(0, len(found), at_once):
            yield [_standing(panel, place, at_once) for panel in found[start : start + at_once]]


def _standing(panel: Panel, place: str, at_once: int) -> Document:
    shares = {"course": {"course": 0.64, "distribution": 0.36}, "below": {"importance": 0.45, "curves": 0.55}}
    share = shares.get(place, {}).get(panel.key, 1 / at_once) if at_once > 1 else 1.0
    spec = {name: value for name, value in spec_of(panel).items() if name != "params"}
    # A subtitle, be it empty, so that pictures beside each other begin at one height.
    title = {"text": panel.title, "subtitle": panel.note or " "}
    return {**spec, "title": title, "width": round(WIDTH * share - GAP), "height": panel.height}


def spec_of(panel: Panel) -> Document:
    """A panel's Vega-Lite specification, without data and looks."""
    whole: Document = panel.chart.to_dict()
    return {name: value for name, value in whole.items() if name not in ("config", "$schema")}


def _document(rows: Rows, drawn: Sequence[Panel]) -> Document:
    """What the page's script works with."""
    return {
        "data": rows.all,
        "trials": len(rows.study.entries),
        "names": {
            "metric": text(rows.study.objective.metric),
            "hyperparameters": [text(each.name) for each in rows.study.hyperparameters],
        },
        "panels": [
            {"key": panel.key, "spec": spec_of(panel), "brushed": panel.brushed, "height": panel.height}
            for panel in drawn
        ],
        "themes": {"light": theme.config(theme.LIGHT), "dark": theme.config(theme.DARK)},
    }


def _told(study: Study, now: datetime) -> list[Told]:
    found, first = [], 0
    for place, job in enumerate(study.jobs):
        counts = [f"{job.count(status)} {status}" for status in STATUSES if job.count(status)]
        best = number(job.best.objective) if job.best else "–"
        limit = f" of {job.limits.trials}" if job.limits.trials else ""
        trials = f"{len(job.trials)}{limit} trials: {', '.join(counts)}" if counts else "no trials yet"
        took = f"{trials} · {duration(job.elapsed(now))}, {duration(job.training_seconds)} of training"
        is_parent = job.name not in study.asked
        last = first + len(job.trials)
        found.append(Told(study.labels[place], job, best, took, place, is_parent, first, last))
        first = last
    return found


def _columns(study: Study) -> list[Column]:
    jobs = [Column("job")] if len(study.jobs) > 1 else []
    figures = [Column(text(study.objective.metric), is_number=True), Column("trained", is_number=True)]
    values = [Column(text(each.name), is_number=not each.is_categorical) for each in study.hyperparameters]
    return [Column("trial", is_number=True), *jobs, Column("status"), *figures, *values]


def _table(study: Study) -> Iterator[TableRow]:
    """All trials, the best first; those without an objective at the end, in their order."""
    judged = {entry.index for entry in study.judged}
    for entry in [*study.judged, *(entry for entry in study.entries if entry.index not in judged)]:
        reason = shown(entry.trial.failure)
        failure = reason if len(reason) <= REASON else f"{reason[: REASON - 1]}…"
        yield TableRow(entry.index, entry == next(iter(study.judged), None), tuple(_cells(study, entry)), failure)


def _cells(study: Study, entry: Entry) -> Iterator[Cell]:
    trial = entry.trial
    yield Cell(str(trial.number), float(trial.number))
    if len(study.jobs) > 1:
        yield Cell(study.labels[entry.job])
    yield Cell(trial.status)
    yield Cell(_figure(trial.objective), trial.objective)
    yield Cell(duration(trial.seconds) if trial.seconds is not None else "–", trial.seconds)
    for each in study.hyperparameters:
        value = study.value(entry, each.name)
        shown_number = None if value is None or each.is_categorical else each.number(value)
        yield Cell("–" if value is None else _short(text(value), shown_number), shown_number)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _short(value: str, as_number: float | None) -> str:
    """A value as it was tried, a long fraction cut."""
    return value if as_number is None or len(value) <= 8 else f"{as_number:.5g}"


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(pages.TEMPLATES), autoescape=True, trim_blocks=True)
    environment.filters.update(shown=shown, duration=duration)
    return environment
