"""Losses over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.views import vega
from toolkit.views.built_in.charts import chart, colours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.probe.trial import Trial

# Of all losses together, so that the document stays small; and losses from which on a line is a smoothed one.
POINTS, MANY = 720, 60


def losses(trial: Trial, step: int, *, regex: str, smoothing: int | None, log: bool) -> dict[str, Any]:
    """Training losses as a line, smoothed where they are many, with the band between least and greatest; evaluation's
    as a point a pass: its mean."""
    names = trial.names(regex or None, collection="losses")
    trained = {name: found for name in names if (found := trial.numbers(name, TRAIN))}
    judged = {name: found for name in names if (found := _passes(trial, name))}
    if not trained and not judged:
        which = f" named like {regex!r}" if regex else ""
        there = ", ".join(trial.names(collection="losses"))
        raise NotSavedError(f"no loss{which} was saved until step {step}; there are {there or 'none'}")
    window = smoothing or max(1, max(map(len, trained.values()), default=0) // 50)
    window = 1 if smoothing is None and all(len(found) < MANY for found in trained.values()) else window
    share = max(20, POINTS // max(1, len(trained) + len(judged)))
    series = [(f"{name}, training", _line(found, window, share)) for name, found in trained.items()]
    points = [(f"{name}, evaluation", _line(found, 1, share)) for name, found in judged.items()]
    return _document(step, series, points, window, log)


def _passes(trial: Trial, name: str) -> Mapping[int, float]:
    """The mean of each evaluation pass, by the training steps before it."""
    numbers = trial.numbers(name, EVAL)
    by_pass = {step: [numbers[each] for each in steps if each in numbers] for step, steps in trial.passes().items()}
    return {step: sum(found) / len(found) for step, found in sorted(by_pass.items()) if found}


def _line(numbers: Mapping[int, float], window: int, most: int) -> dict[str, list[Any]]:
    """step, loss (the mean of the last `window`), the least and greatest of those, at `most` steps or fewer."""
    import numpy as np

    steps, values = np.array(list(numbers)), np.array(list(numbers.values()), float)
    finite = np.where(np.isfinite(values), values, np.nan)
    sums = np.cumsum(np.insert(np.nan_to_num(finite), 0, 0.0))
    counts = np.cumsum(np.insert(np.isfinite(finite), 0, 0))
    start = np.maximum(0, np.arange(len(values)) + 1 - window)
    seen = (counts[1:] - counts[start]).astype(float)
    with np.errstate(all="ignore"):
        means = (sums[1:] - sums[start]) / np.where(seen > 0, seen, np.nan)
    groups = np.array_split(np.arange(len(values)), min(len(values), most))
    seen_by = [finite[start[group[0]] : group[-1] + 1] for group in groups]
    numbers_of = [part[np.isfinite(part)] for part in seen_by]
    return {
        "step": [int(steps[group[-1]]) for group in groups],
        "loss": [float(means[group[-1]]) for group in groups],
        "least": [float(part.min()) if part.size else None for part in numbers_of],
        "most": [float(part.max()) if part.size else None for part in numbers_of],
    }


def _document(
    step: int,
    series: list[tuple[str, dict[str, list[Any]]]],
    points: list[tuple[str, dict[str, list[Any]]]],
    window: int,
    log: bool,
) -> dict[str, Any]:
    rows = [row for name, line in [*series, *points] for row in vega.values(series=[name] * len(line["step"]), **line)]
    names = [name for name, _ in [*series, *points]]
    scale = {"type": "log"} if log else {"zero": False}
    x = {"field": "step", "type": "quantitative", "title": "step", "axis": {"tickMinStep": 1}, "scale": {"nice": False}}
    y = {"field": "loss", "type": "quantitative", "title": "loss", "scale": scale}
    colour = {"field": "series", "type": "nominal", "scale": colours(names), "title": None, "legend": _LEGEND}
    told = [
        {"field": "series", "title": "loss of"},
        {"field": "step"},
        {"field": "loss", "format": ".4~g"},
        {"field": "least", "format": ".4~g"},
        {"field": "most", "title": "greatest", "format": ".4~g"},
    ]
    encoding = {"x": x, "y": y, "color": colour, "tooltip": told}
    of_training, of_evaluation = ({"field": "series", "oneOf": [name for name, _ in part]} for part in (series, points))
    layers: list[dict[str, Any]] = []
    if series:
        shade = max(0.06, 0.2 / len(series))
        band = {"x": x, "y": {**y, "field": "least"}, "y2": {"field": "most"}, "color": colour}
        layers += [
            {"transform": [{"filter": of_training}], "mark": {"type": "area", "opacity": shade}, "encoding": band},
            {"transform": [{"filter": of_training}], "mark": {"type": "line", "clip": True}, "encoding": encoding},
        ]
    if points:
        mark = {"type": "line", "point": {"size": 45, "filled": True}, "strokeDash": [4, 3]}
        layers.append({"transform": [{"filter": of_evaluation}], "mark": mark, "encoding": encoding})
    smoothed = f"Training: the mean of the last {window} losses, and the band that they span." if window > 1 else ""
    return chart(f"Losses until step {step}", smoothed, width=640, height=320, data={"values": rows}, layer=layers)


_LEGEND = {"orient": "bottom", "labelLimit": 400, "columns": 2, "symbolOpacity": 1}
