"""Histograms of tensors over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import TRAIN
from toolkit.views import vega
from toolkit.views.built_in.charts import MAIN, chart, ends_of, in_order, spread

if TYPE_CHECKING:
    import numpy as np

    from toolkit.probe.trial import Trial

    Array = np.ndarray[Any, Any]

# A tensor's heat map: so many steps, each with so many bins. Shares are written in thousandths.
STEPS, BINS, PARTS = 40, 24, 1000


def histograms(trial: Trial, step: int, *, collection: str, regex: str, most: int) -> dict[str, Any]:
    """A heat map a tensor: steps along, values up, and how many of the values lie there."""
    names = trial.names(regex or None, collection=collection)
    found = {name: steps for name in names if (steps := trial.steps(name, TRAIN, reduction="histogram"))}
    if not found:
        which = f" named like {regex!r}" if regex else ""
        there = ", ".join(trial.names(collection=collection)[:5]) or "none"
        raise NotSavedError(f"nothing of {collection}{which} was saved until step {step}; there are {there}")
    shown = in_order(found)[:most]
    rows = [row for name in shown for row in _rows(trial, name, found[name])]
    left_out = f"{len(shown)} of {len(found)} tensors; `regex` chooses others" if len(shown) < len(found) else ""
    return _document(f"How the values of {collection} are distributed, until step {step}", left_out, rows, shown)


def _rows(trial: Trial, name: str, steps: list[int]) -> list[dict[str, Any]]:
    """A row a step, with the shares of all bins."""
    import numpy as np

    steps = [steps[place] for place in spread(len(steps), STEPS)]
    saved = [trial.reduction(name, step, "histogram", TRAIN) for step in steps]
    low = min(float(histogram["edges"][0]) for histogram in saved)
    high = max(float(histogram["edges"][-1]) for histogram in saved)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    return [
        {
            "tensor": name,
            "step": step,
            "until": until,
            "low": float(low),
            "width": float(edges[1] - edges[0]),
            "share": [round(float(share) * PARTS) for share in _shares(histogram, edges)],
        }
        for step, until, histogram in zip(steps, ends_of(steps), saved)
    ]


def _shares(histogram: dict[str, list[float]], edges: Array) -> Array:
    """A histogram's shares in other bins, as if within each of its own the values lay evenly."""
    import numpy as np

    own, counts = np.asarray(histogram["edges"], float), np.asarray(histogram["counts"], float)
    total = counts.sum()
    if not total:
        return np.zeros(len(edges) - 1)
    if not own[-1] > own[0]:  # all of one value
        return np.histogram([own[0]], edges)[0].astype(float)
    return np.diff(np.interp(edges, own, np.insert(np.cumsum(counts), 0, 0.0))) / total


def _document(title: str, subtitle: str, rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    told = [
        {"field": "step"},
        {"field": "from", "type": "quantitative", "format": ".3~g"},
        {"field": "to", "type": "quantitative", "format": ".3~g"},
        {"field": "part", "type": "quantitative", "format": ".1~%", "title": "share of the values"},
    ]
    encoding = {
        "x": {"field": "step", "type": "quantitative", "title": "step", "scale": {"nice": False, "zero": False}},
        "x2": {"field": "until"},
        "y": {"field": "from", "type": "quantitative", "title": "value", "scale": {"nice": False, "zero": False}},
        "y2": {"field": "to"},
        # On a light page and on a dark one, no share is the page's own colour.
        "opacity": {
            "field": "part",
            "type": "quantitative",
            "scale": {"type": "sqrt", "range": [0, 1]},
            "legend": {"format": ".0%", "title": "share"},
        },
        "tooltip": told,
    }
    transform = [
        {"flatten": ["share"]},
        {"window": [{"op": "row_number", "as": "bin"}], "groupby": ["tensor", "step"]},
        {"calculate": "datum.low + (datum.bin - 1) * datum.width", "as": "from"},
        {"calculate": "datum.from + datum.width", "as": "to"},
        {"calculate": f"datum.share / {PARTS}", "as": "part"},
        {"filter": "datum.share > 0"},
    ]
    return chart(
        title,
        subtitle,
        data={"values": [{key: vega.plain(value) for key, value in row.items()} for row in rows]},
        transform=transform,
        facet={"field": "tensor", "type": "nominal", "title": None, "sort": names, "header": {"labelLimit": 300}},
        columns=2,
        spec={"width": 280, "height": 150, "mark": {"type": "rect", "color": MAIN}, "encoding": encoding},
        resolve={"scale": {"x": "independent", "y": "independent"}},
    )
