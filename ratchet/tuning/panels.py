"""The pictures of a study, as Vega-Lite charts.

A chart names its data sets and its styles; rows (rows.py) and colours (theme.py) are put in where it is drawn. Every
chart of trials follows two parameters, by which the page links them: `picked`, the trials that a brush holds (null: all
of them), and `pointed`, the one that the pointer is on; and has a brush of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import altair as alt

from ratchet.tuning import importance, ranges
from ratchet.tuning.ranges import Hyperparameter
from ratchet.tuning.rows import OF_JOBS, Extent, Rows, text
from ratchet.tuning.trials import COMPLETED, STOPPED, STOPPED_EARLY

PICKED = "!isValid(picked) || picked[datum.i]"
POINTED = "datum.i === pointed"
FADED = 0.07
STATUSES, SHAPES = (COMPLETED, STOPPED_EARLY, STOPPED), ("circle", "triangle-down", "square")
CROSS = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"
# The page's script says what of a row stands in a tip.
TIP = alt.TooltipContent(content="data")
CATEGORIES_UPRIGHT = 5


@dataclass(frozen=True)
class Panel:
    """A chart, where it belongs on the page, and what stands above it.

    Attributes:
        key: its name on the page; `place` is the section.
        brushed: the data set whose rows a brush on it holds; empty where it has none.
        height: of its plot, in pixels. Its width is the page's business.
    """

    key: str
    place: str
    title: str
    note: str
    chart: Any
    brushed: str
    height: int


def panels(rows: Rows) -> list[Panel]:
    """Every picture that the study has rows for."""
    if not rows.study.judged:
        return [_course(rows)]
    found = [_course(rows), _distribution(rows), *_hyperparameters(rows), *_parallel(rows)]
    return [*found, *_importance(rows), *_curves(rows)]


# ----------------------------------------------------------------------------------------------------------- parameters


def _linked(chart: Any) -> Any:
    return chart.add_params(alt.param(name="picked", value=None), alt.param(name="pointed", value=None))


def _brush(*encodings: str) -> Any:
    mark = alt.BrushConfig(fill="#888", fillOpacity=0.12, stroke="#888", strokeOpacity=0.7)
    return alt.selection_interval(name="brush", encodings=list(encodings), mark=mark)


def _opacity(shown: float) -> Any:
    return alt.condition(PICKED, alt.value(shown), alt.value(FADED))


def _colour(rows: Rows) -> Any:
    return alt.Color("job:N", scale=alt.Scale(domain=list(rows.study.labels)), legend=None)


def _shape() -> Any:
    return alt.Shape("status:N", scale=alt.Scale(domain=list(STATUSES), range=list(SHAPES)), legend=None)


def _objective(extent: Extent, field: str = "objective") -> Any:
    return alt.Y(f"{field}:Q", scale=_along(extent), axis=alt.Axis(title=None))


def _along(extent: Extent) -> Any:
    return alt.Scale(type=extent.scale, domain=[extent.low, extent.high], nice=False)


def _crosses(name: str, size: int = 40) -> Any:
    return alt.Chart(alt.NamedData(name)).mark_point(
        style="failed", shape=CROSS, size=size, strokeWidth=1.6, tooltip=TIP
    )


def _of_lines(rows: Rows, most: float) -> Any:
    """The opacity of lines: the more there are, the thinner, but for those that are picked."""
    of_each = max(min(most, 45 / max(len(rows.study.judged), 1)), 0.1)
    conditions = [{"test": "!isValid(picked)", "value": of_each}, {"test": "picked[datum.i]", "value": most}]
    return {"condition": conditions, "value": FADED / 2}


# --------------------------------------------------------------------------------------------------------------- points


def _points(rows: Rows, x: Any) -> Any:
    """The trials' objectives over something, with a brush, the best one ringed, and the one pointed at."""
    base = alt.Chart(alt.NamedData("trials")).encode(x=x, y=_objective(rows.extent))
    size = 46 if len(rows.study.judged) < 200 else 26
    points = base.mark_point(filled=True, size=size, opacity=1, tooltip=TIP).encode(
        color=_colour(rows), fillOpacity=_opacity(0.75), shape=_shape()
    )
    best = base.transform_filter("datum.best").mark_point(style="best")
    pointed = base.transform_filter(POINTED).mark_point(style="pointed")
    return [points.add_params(_brush("x", "y")), best, pointed]


def _course(rows: Rows) -> Panel:
    x = alt.X(
        "elapsed:Q",
        axis=alt.Axis(title=f"{rows.unit.name} since the tuning job began", tickCount=8),
        scale=_from_zero(rows),
    )
    best = _objective(rows.extent, "best")
    lines = _named("best").mark_line(interpolate="step-after", strokeWidth=2).encode(x, best, _colour(rows))
    ends = [
        _named("ends").mark_text(style=style, align="right").encode(x, _objective(rows.extent, "at"), text="label:N")
        for style in ("halo", "said")
    ]
    failed = _crosses("failed").encode(x, y=alt.value("height"))
    chart = alt.layer(lines, *_points(rows, x), failed, *ends)
    stopped = any(row["status"] == STOPPED_EARLY for row in rows.trials)
    told = [
        "the line: best so far",
        "▼ stopped early" if stopped else "",
        "× no objective" if rows.all["failed"] else "",
    ]
    note = ", ".join(filter(None, told))
    return Panel("course", "course", "Over time", note, _linked(chart), "trials", 300)


def _from_zero(rows: Rows) -> Any:
    longest = max(rows.unit.of(job.elapsed(rows.now)) for job in rows.study.jobs)
    return alt.Scale(domain=[0, longest or 1], nice=False)


def _named(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


def _distribution(rows: Rows) -> Panel:
    """Of one job how often which objective came; of several each one's trials beside the others'."""
    if len(rows.study.jobs) > 1:
        return _beside_each_other(rows)
    scale = _along(rows.extent)
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title=None, tickCount=5))
    counted = {"count": "count()", "groupby": ["low", "high"]}
    upright = alt.Scale(domain=[0, rows.most_in_a_bar], nice=False)
    count = alt.Y("count:Q", scale=upright, axis=alt.Axis(title=None, tickMinStep=1, format="d"))
    base = _named("trials")
    bars = [
        chart.transform_aggregate(**counted)
        .transform_calculate(none="0")
        .mark_rect(style=style, xOffset=0.5, x2Offset=-0.5)
        .encode(x=x, x2="high:Q", y=count, y2="none:Q", tooltip=[alt.Tooltip("count:Q", title="trials")])
        for chart, style in ((base, "muted"), (base.transform_filter(PICKED), "counted"))
    ]
    rug = base.mark_tick(thickness=1, size=7).encode(
        x=alt.X("objective:Q", scale=scale), y=alt.value("height"), color=_colour(rows), fillOpacity=_opacity(0.6)
    )
    chart = alt.layer(*bars, rug.add_params(_brush("x")))
    return Panel("distribution", "course", "Distribution", "trials a bar", _linked(chart), "trials", 300)


def _beside_each_other(rows: Rows) -> Panel:
    names = [text(job.strategy) for job in rows.study.jobs]
    x = alt.X("row:Q", scale=alt.Scale(domain=[-0.5, len(names) - 0.5], nice=False), axis=_category_axis(names))
    points, *marks = _points(rows, x)
    chart = alt.layer(points, _medians(rows, OF_JOBS), *marks)
    return Panel("distribution", "course", "Job by job", "the line: median", _linked(chart), "trials", 300)


# ----------------------------------------------------------------------------------------------------- hyperparameters


def _hyperparameters(rows: Rows) -> Iterator[Panel]:
    for at, each in enumerate(rows.study.hyperparameters):
        layers = _points(rows, _values(at, each))
        if each.is_categorical:
            layers.insert(1, _medians(rows, at))
        note = "the line: median" if each.is_categorical else _scale_note(each)
        yield Panel(f"h{at}", "hyperparameters", text(each.name), note, _linked(alt.layer(*layers)), "trials", 190)


def _scale_note(each: Hyperparameter) -> str:
    return {ranges.LOGARITHMIC: "logarithmic", ranges.REVERSE_LOGARITHMIC: "reverse logarithmic"}.get(each.scaling, "")


def _values(at: int, each: Hyperparameter) -> Any:
    """A hyperparameter's axis, on the scale on which it is searched."""
    if each.is_categorical:
        domain = [-0.5, len(each.categories) - 0.5]
        axis = _category_axis([text(category) for category in each.categories])
        return alt.X(f"h{at}:Q", scale=alt.Scale(domain=domain, nice=False), axis=axis)
    if each.scaling == ranges.REVERSE_LOGARITHMIC:
        low, high = (ranges.reversed_logarithm(end) for end in (each.low, each.high))
        return alt.X(f"h{at}:Q", scale=_stretch(low, high), axis=_nines(low, high))
    kind = "log" if each.scaling == ranges.LOGARITHMIC else "linear"
    axis = alt.Axis(title=None, tickCount=5, **({"format": "d", "tickMinStep": 1} if each.whole else {"format": "~g"}))
    return alt.X(f"h{at}:Q", scale=_stretch(each.low, each.high, kind), axis=axis)


def _stretch(low: float, high: float, kind: str = "linear") -> Any:
    return alt.Scale(type=kind, domain=[low, high if high > low else low + 1], nice=False, padding=6)


def _nines(low: float, high: float) -> Any:
    """0, 0.9, 0.99, …: the labels of a reverse logarithmic axis."""
    whole = [place for place in range(int(high) + 1) if place >= low]
    ends = [end for end in (low, high) if all(abs(end - place) > 0.2 for place in whole)]
    values = sorted([*whole, *ends])
    return alt.Axis(title=None, values=values, labelExpr="format(1 - pow(10, -datum.value), '.6~g')")


def _category_axis(names: list[str]) -> Any:
    slanted = {"labelAngle": -30, "labelAlign": "right"} if len(names) > CATEGORIES_UPRIGHT else {"labelAngle": 0}
    return alt.Axis(
        title=None,
        values=list(range(len(names))),
        labelExpr=f"{json.dumps(names)}[datum.value]",
        labelLimit=110,
        labelOverlap=False,
        **slanted,
    )


def _medians(rows: Rows, at: int) -> Any:
    """The medians of a categorical hyperparameter; `OF_JOBS` for those of the jobs."""
    return (
        _named("medians")
        .transform_filter(f"datum.at === {at}")
        .mark_rule(style="median")
        .encode(x="from:Q", x2="to:Q", y=_objective(rows.extent))
    )


# ------------------------------------------------------------------------------------------------ parallel coordinates


def _parallel(rows: Rows) -> Iterator[Panel]:
    many = len(rows.study.hyperparameters)
    if not many:
        return
    x = alt.X("axis:Q", scale=alt.Scale(domain=[-0.25, many + 0.25], nice=False), axis=None)
    y = _height("at")
    quality = alt.Color("quality:Q", scale=alt.Scale(domain=[0, 1]), legend=None)
    several = len(rows.study.jobs) > 1
    lines = (
        _named("lines")
        .mark_line(strokeWidth=1.2, strokeJoin="round", opacity=1)
        .encode(
            x,
            y,
            detail="i:N",
            color=_colour(rows) if several else quality,
            strokeOpacity=_of_lines(rows, 0.6),
        )
    )
    pointed = _named("lines").transform_filter(POINTED).mark_line(style="median").encode(x, y, detail="i:N")
    chart = alt.layer(_rules(x), lines.add_params(_brush("x", "y")), pointed, *_axis_texts(x, y))
    note = "its colour: its job" if several else "the better, the stronger its colour"
    yield Panel("parallel", "parallel", "A line a trial", note, _linked(chart), "lines", 260)


def _height(field: str) -> Any:
    """A place on the parallel axes, which have room for their names above and below."""
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[-0.2, 1.25], nice=False), axis=None)


def _rules(x: Any) -> Any:
    return _named("axes").mark_rule(style="axis").encode(x, _height("zero"), alt.Y2("one:Q"))


def _axis_texts(x: Any, y: Any) -> list[Any]:
    """Names above the axes, and what stands at their ends and places."""
    axes = _named("axes")
    top, bottom = _height("one"), _height("zero")
    return [
        axes.mark_text(style="name", dy=-26, limit=116).encode(x, top, text="name:N"),
        axes.mark_text(style="soft", dy=-10).encode(x, top, text="top:N"),
        axes.mark_text(style="soft", dy=12).encode(x, bottom, text="bottom:N"),
        axes.mark_text(style="soft", dy=26).encode(x, bottom, text="scale:N"),
        *(
            _named("stops").mark_text(style=style, align="left", dx=6, limit=90).encode(x, y, text="label:N")
            for style in ("soft-halo", "soft")
        ),
    ]


# ------------------------------------------------------------------------------------------------ importance and curves


def _importance(rows: Rows) -> Iterator[Panel]:
    found = rows.study.importances
    if not found:
        return
    y = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelLimit=150, grid=False))
    longest = max(*(each.high for _, each in found), 0.1)
    x = alt.X(
        "share:Q", scale=alt.Scale(domain=[0, longest], nice=False), axis=alt.Axis(title=None, format="%", tickCount=4)
    )
    base = _named("importance")
    sure = alt.condition("datum.told", alt.value(1), alt.value(0.4))
    intervals = base.mark_rule(style="interval").encode(x=alt.X("low:Q"), x2="high:Q", y=y)
    marks = base.mark_point(filled=True, size=80, style="counted").encode(x=x, y=y, opacity=sure)
    labels = base.mark_text(style="soft", align="left", dx=12).encode(x=alt.value("width"), y=y, text="label:N")
    chart = alt.layer(intervals, marks, labels)
    note = f"share of the variance, with {importance.CONFIDENCE:.0%} intervals"
    yield Panel("importance", "below", "Importance", note, chart, "", 26 * len(found) + 10)


def _curves(rows: Rows) -> Iterator[Panel]:
    if not rows.curves["curves"]:
        return
    longest = max(row["t"] for row in rows.curves["curves"])
    title = alt.Axis(title=f"{rows.curve_unit.name} since the trial began", tickCount=8)
    x = alt.X("t:Q", axis=title, scale=alt.Scale(domain=[0, longest or 1], nice=False))
    y = _objective(rows.curve_extent, "value")
    lines = (
        _named("curves")
        .mark_line(strokeWidth=1.1, opacity=1)
        .encode(x, y, detail="i:N", color=_colour(rows), strokeOpacity=_of_lines(rows, 0.5))
    )
    pointed = _named("curves").transform_filter(POINTED).mark_line(style="median").encode(x, y, detail="i:N")
    cut = _crosses("cuts", 30).encode(x, y, strokeOpacity=_opacity(0.8))
    chart = alt.layer(lines.add_params(_brush("x", "y")), cut, pointed)
    note = "× stopped early" if rows.curves["cuts"] else ""
    yield Panel("curves", "below", "Learning curves", note, _linked(chart), "curves", 260)
