"""Norms of weights and gradients over steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import GRADIENT, TRAIN, WEIGHT
from toolkit.views import vega
from toolkit.views.built_in.charts import MAIN, chart, colours, ends_of, in_order, spread

if TYPE_CHECKING:
    from toolkit.probe.trial import Trial

# Of a layer's line; and layers from which on lines would be a tangle, and a heat map is drawn.
STEPS, LINES = 50, 8
_WEIGHT, _GRADIENT = "/weight", "/weight.gradient"


def norms(trial: Trial, step: int, *, regex: str, most: int) -> dict[str, Any]:
    """The L2 norm of each layer's weights, and of their gradients: lines, or a heat map where there are many layers."""
    kinds = {"weights": (WEIGHT, _WEIGHT), "gradients": (GRADIENT, _GRADIENT)}
    found: dict[str, dict[str, dict[int, float]]] = {}
    for what, (kind, ending) in kinds.items():
        names = [name for name in trial.names(regex or None, kind=kind) if name.endswith(ending)]
        layers = {name[: -len(ending)]: _norms(trial, name) for name in names}
        found[what] = {layer: numbers for layer, numbers in layers.items() if numbers}
    layers = in_order({layer for by in found.values() for layer in by})
    if not layers:
        which = f" named like {regex!r}" if regex else ""
        raise NotSavedError(f"no weights or gradients{which} were saved until step {step}: {_what_to_save()}")
    rows = [
        row for what, by in found.items() for layer in layers[:most] if layer in by for row in _row(what, layer, by)
    ]
    shown = layers[:most]
    left_out = f"{most} of {len(layers)} layers; `regex` chooses others" if len(layers) > most else ""
    title = f"L2 norms by layer until step {step}"
    return (_lines if len(shown) <= LINES else _cells)(title, left_out, rows, shown)


def _what_to_save() -> str:
    return "`norms` brings them, as reductions, unless `probe.collections` says otherwise"


def _norms(trial: Trial, name: str) -> dict[int, float]:
    """As they were saved; else computed from the whole tensors."""
    steps = trial.steps(name, TRAIN, reduction="norm")
    chosen = [steps[place] for place in spread(len(steps), STEPS)]
    return {step: float(trial.reduction(name, step, "norm", TRAIN)) for step in chosen}


def _row(what: str, layer: str, by: dict[str, dict[int, float]]) -> list[dict[str, Any]]:
    """One row, with the steps as lists: names are long, and there are many steps."""
    steps = list(by[layer])
    values = [vega.plain(by[layer][step]) for step in steps]
    return [{"of": what, "layer": layer, "step": steps, "until": ends_of(steps), "norm": values}]


_FLATTEN = {"flatten": ["step", "until", "norm"]}
_FOUND = {"filter": "datum.norm > 0"}  # what is zero or not a number has no place on a logarithmic axis
_TOLD = [
    {"field": "layer"},
    {"field": "step", "type": "quantitative"},
    {"field": "norm", "type": "quantitative", "format": ".3~g"},
]
_X = {"field": "step", "type": "quantitative", "title": "step", "scale": {"nice": False, "zero": False}}
_FACET = {"field": "of", "type": "nominal", "title": None, "sort": "descending"}


def _lines(title: str, subtitle: str, rows: list[dict[str, Any]], layers: list[str]) -> dict[str, Any]:
    encoding = {
        "x": _X,
        "y": {"field": "norm", "type": "quantitative", "title": "norm", "scale": {"type": "log", "nice": False}},
        "color": {
            "field": "layer",
            "type": "nominal",
            "scale": colours(layers),
            "title": "layer",
            "legend": {"labelLimit": 240},
        },
        "tooltip": _TOLD,
    }
    mark = {"type": "line", "point": {"size": 18, "filled": True}}
    return _both(title, subtitle, rows, {"width": 300, "height": 260, "mark": mark, "encoding": encoding})


def _cells(title: str, subtitle: str, rows: list[dict[str, Any]], layers: list[str]) -> dict[str, Any]:
    encoding = {
        "x": _X,
        "x2": {"field": "until"},
        "y": {"field": "layer", "type": "nominal", "title": None, "sort": layers, "axis": {"labelLimit": 200}},
        "opacity": {
            "field": "norm",
            "type": "quantitative",
            "scale": {"type": "log", "range": [0.08, 1]},
            "title": "norm",
            "legend": {"format": ".3~g"},
        },
        "tooltip": _TOLD,
    }
    mark = {"type": "rect", "color": MAIN}
    return _both(title, subtitle, rows, {"width": 280, "height": {"step": 14}, "mark": mark, "encoding": encoding})


def _both(title: str, subtitle: str, rows: list[dict[str, Any]], spec: dict[str, Any]) -> dict[str, Any]:
    """Weights at the left, gradients at the right, each with a scale of its own."""
    apart = {"y": "independent"} if "color" in spec["encoding"] else {"opacity": "independent"}
    return chart(
        title,
        subtitle,
        data={"values": rows},
        transform=[_FLATTEN, _FOUND],
        facet={"column": _FACET},
        spec=spec,
        resolve={"scale": apart},
    )
