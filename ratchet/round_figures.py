"""A run's rounds as a table and as small charts: geometry in the pixels of each chart's own picture.

The first chart is what rounds are about: each round's size against how good it is. Then, round after round, every
other figure that the jobs printed; figures whose names share what stands before a colon (`units:conv1`, `units:conv2`)
are lines of one chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick, number

# Labels of lines that end close together would cover each other; so many pixels keep them apart.
LABEL_HEIGHT = 13
LABEL_ROOM, LABEL_LETTERS = 130, 18
# Rounds that are named below a chart.
TICKS = 10

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """A round's place in a chart; `kind` is chosen, kept or stopped."""

    x: float
    y: float
    label: str
    title: str
    kind: str


@dataclass(frozen=True)
class Line:
    """One figure, round after round; its name stands at `label_y`."""

    name: str
    path: str
    points: tuple[Point, ...]
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Chart:
    title: str
    x_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    height: int = HEIGHT
    # Where the tolerance ends, if the chart shows the metric that it is of.
    limit: float | None = None


@dataclass(frozen=True)
class Row:
    """A round for the table: its figures in the order of `Rounds.columns`."""

    number: int
    status: str
    seconds: float | None
    figures: tuple[str, ...]
    chosen: bool
    job: str


@dataclass(frozen=True)
class Rounds:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    charts: tuple[Chart, ...]
    reason: str
    chosen: int | None


def rounds(document: Document) -> Rounds | None:
    """The table and the charts of a record's `rounds`; None where there are none."""
    found = [row for row in document.get("rows") or () if isinstance(row, Mapping)]
    if not found:
        return None
    names = list(dict.fromkeys(name for row in found for name in _figures(row)))
    first = [document[key] for key in ("metric", "size") if document.get(key) in names]
    columns = [*first, *(name for name in names if name not in first and _family(name, names) is None)]
    chosen = document.get("chosen")
    return Rounds(
        columns=tuple(columns),
        rows=tuple(_row(row, columns, chosen) for row in found),
        charts=tuple(_charts(found, names, document, chosen)),
        reason=str(document.get("reason", "")),
        chosen=chosen,
    )


def _figures(row: Document) -> Document:
    figures = row.get("metrics")
    return figures if isinstance(figures, Mapping) else {}


def _row(row: Document, columns: Sequence[str], chosen: object) -> Row:
    status = "stopped by a rule" if row.get("stopped_by_rule") else str(row.get("status", "")).lower()
    return Row(
        number=int(row["round"]),
        status=status,
        seconds=row.get("seconds"),
        figures=tuple(number(_figures(row).get(name)) for name in columns),
        chosen=row["round"] == chosen,
        job=str(row.get("job", "")),
    )


def _family(name: str, names: Sequence[str]) -> str | None:
    """The words before the colon, where another figure begins with the same."""
    before, colon, _ = name.partition(":")
    alike = [other for other in names if other.startswith(f"{before}:")]
    return before if colon and len(alike) > 1 else None


def _charts(rows: Sequence[Document], names: Sequence[str], spec: Document, chosen: object) -> list[Chart]:
    metric, size = spec.get("metric"), spec.get("size")
    charts = []
    if metric in names and size in names:
        charts.append(_trade(rows, str(metric), str(size), spec, chosen))
    families: dict[str, list[str]] = {}
    for name in names:
        if name not in (metric, size):
            families.setdefault(_family(name, names) or name, []).append(name)
    return charts + [_course(title, members, rows, chosen) for title, members in families.items()]


def _trade(rows: Sequence[Document], metric: str, size: str, spec: Document, chosen: object) -> Chart:
    """Size from left to right, the metric upwards; the rounds joined in their order."""
    measured = [row for row in rows if {metric, size} <= _figures(row).keys()]
    limit = _limit(measured[0], metric, spec)
    levels = [_figures(row)[metric] for row in measured] + ([limit] if limit is not None else [])
    across = Axis([_figures(row)[size] for row in measured], LEFT, WIDTH - RIGHT)
    up = Axis(levels, HEIGHT - BOTTOM, TOP)
    points = [
        _point(row, across.at(_figures(row)[size]), up.at(_figures(row)[metric]), metric, chosen) for row in measured
    ]
    return Chart(
        title=f"{metric} against {size}",
        x_label=size,
        lines=(Line("", _path(points), tuple(points), 0, 0),),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        limit=up.at(limit) if limit is not None else None,
    )


def _limit(first: Document, metric: str, spec: Document) -> float | None:
    tolerance = spec.get("tolerance")
    if not isinstance(tolerance, (int, float)):
        return None
    sign = 1 if spec.get("better") == "less" else -1
    return float(_figures(first)[metric] + sign * tolerance)


def _course(title: str, names: Sequence[str], rows: Sequence[Document], chosen: object) -> Chart:
    """Figures from round to round; as high as the names of its lines need."""
    several = len(names) > 1
    height = max(HEIGHT, TOP + BOTTOM + LABEL_HEIGHT * (len(names) + 1))
    values = [_figures(row)[name] for row in rows for name in names if name in _figures(row)]
    numbers = [int(row["round"]) for row in rows]
    across = Axis(numbers, LEFT, WIDTH - RIGHT - (LABEL_ROOM if several else 0))
    up = Axis(values, height - BOTTOM, TOP)
    lines = [_line(name, rows, across, up, chosen) for name in names]
    return Chart(
        title=title,
        x_label="round",
        lines=tuple(_apart(lines, height) if several else lines),
        x_ticks=tuple(Tick(across.at(number), str(number)) for number in _some(numbers)),
        y_ticks=up.ticks(),
        height=height,
    )


def _some(numbers: Sequence[int]) -> Sequence[int]:
    """At most ten of the rounds' numbers, evenly spread: more would run into each other."""
    return numbers[:: -(-len(numbers) // TICKS)]


def _line(name: str, rows: Sequence[Document], across: Axis, up: Axis, chosen: object) -> Line:
    points = [
        _point(row, across.at(int(row["round"])), up.at(_figures(row)[name]), name, chosen)
        for row in rows
        if name in _figures(row)
    ]
    label = name.partition(":")[2] or name
    # Of a long name the end tells one from another: layers are called after the modules that they are in.
    short = label if len(label) <= LABEL_LETTERS else f"…{label[1 - LABEL_LETTERS :]}"
    return Line(short, _path(points), tuple(points), points[-1].x + 9, points[-1].y)


def _apart(lines: Sequence[Line], height: int) -> list[Line]:
    """The lines' names one below the other, each as near to its line's end as there is room for."""
    placed: list[Line] = []
    lowest = height - BOTTOM - LABEL_HEIGHT * len(lines)
    for index, line in enumerate(sorted(lines, key=lambda line: line.points[-1].y)):
        above = placed[-1].label_y + LABEL_HEIGHT if placed else float(TOP)
        y = max(above, min(line.label_y, lowest + LABEL_HEIGHT * index))
        placed.append(Line(line.name, line.path, line.points, line.label_x, round(y, 1)))
    return placed


def _point(row: Document, x: float, y: float, name: str, chosen: object) -> Point:
    kind = "chosen" if row["round"] == chosen else "stopped" if row.get("stopped_by_rule") else "kept"
    return Point(x, y, str(row["round"]), f"round {row['round']}: {name} {number(_figures(row)[name])}", kind)


def _path(points: Sequence[Point]) -> str:
    return "M" + " L".join(f"{point.x} {point.y}" for point in points)
