"""The confusion matrix of an evaluation pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError
from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL
from toolkit.views.built_in.charts import MAIN, chart
from toolkit.views.passes import evaluation_steps

if TYPE_CHECKING:
    import numpy as np

    from toolkit.probe.trial import Trial

    Array = np.ndarray[Any, Any]

# Classes up to which each cell has its number written on it; and pixels of a cell, by how many there are.
WRITTEN, SIDE, LEAST_CELL = 15, 460, 9
_MARGIN = 1e-6


def confusion(  # noqa: PLR0913 - a view's own parameters
    trial: Trial, step: int, *, labels: str, predictions: str, classes: tuple[str, ...] | None, most: int
) -> dict[str, Any]:
    """Labels down, predicted classes across; a cell says which share of its label was predicted so."""
    import numpy as np

    steps = evaluation_steps(trial, step)
    truths, answers = _pairs(
        np.concatenate([_one(trial, each, "labels", labels) for each in steps]),
        np.concatenate([_one(trial, each, "predictions", predictions) for each in steps]),
    )
    matrix, numbers = _matrix(truths, answers, most)
    names = [_named(number, classes) for number in numbers]
    at = max(found for found in trial.passes() if found <= step)
    right = f"{np.mean(truths == answers):.1%} of {len(truths):,} right"
    left_out = len(np.unique(np.concatenate([truths, answers]))) - len(numbers)
    more = f"; the {len(numbers)} most frequent classes, {left_out} are left out" if left_out else ""
    return _document(f"Confusion at step {at}: {right}", f"Rows: the labels{more}", matrix, names)


def _pairs(truths: Array, answers: Array) -> tuple[Array, Array]:
    """Labels and predicted classes of a pass, as vectors of one length."""
    import numpy as np

    if answers.ndim > truths.ndim and answers.shape[-1] > 1:
        answers = np.argmax(answers, axis=-1)
    elif answers.dtype.kind == "f" and np.abs(answers - np.rint(answers)).max(initial=0.0) > _MARGIN:
        # One score of two classes: a probability, or what a sigmoid makes one of.
        between = 0.5 if answers.min() >= 0 and answers.max() <= 1 else 0.0
        answers = answers > between
    truths, answers = np.rint(truths.reshape(-1)).astype(int), np.rint(answers.reshape(-1)).astype(int)
    if len(truths) != len(answers):
        raise ToolkitError(f"confusion: the pass has {len(truths)} labels and {len(answers)} predictions")
    return truths, answers


def _one(trial: Trial, step: int, what: str, regex: str) -> Array:
    import numpy as np

    names = trial.names(regex)
    for name in names:
        if step in trial.steps(name, EVAL):
            return np.atleast_1d(trial.value(name, step, EVAL))
    if names:  # why it isn't there
        trial.value(names[0], step, EVAL)
    how = f"save them by hand (probe.{what}) or with the loss, in mode eval"
    raise NotSavedError(f"confusion compares labels with predictions, but no {what} were saved ({regex}); {how}")


def _matrix(truths: Array, answers: Array, most: int) -> tuple[Array, list[int]]:
    """Counts by label and prediction, of the most frequent classes; and which they are."""
    import numpy as np

    classes, counts = np.unique(np.concatenate([truths, answers]), return_counts=True)
    kept = np.sort(classes[np.argsort(-counts, kind="stable")[:most]])
    matrix = np.zeros((len(kept), len(kept)), int)
    rows, columns = np.searchsorted(kept, truths), np.searchsorted(kept, answers)
    rows, columns = rows.clip(max=len(kept) - 1), columns.clip(max=len(kept) - 1)
    both = (kept[rows] == truths) & (kept[columns] == answers)
    np.add.at(matrix, (rows[both], columns[both]), 1)
    return matrix, [int(number) for number in kept]


def _named(number: int, classes: tuple[str, ...] | None) -> str:
    return classes[number] if classes and 0 <= number < len(classes) else str(number)


def _document(title: str, subtitle: str, matrix: Array, names: list[str]) -> dict[str, Any]:
    of_label = matrix.sum(axis=1)
    rows = [
        {
            "label": label,
            "predicted": predicted,
            "count": int(matrix[row, column]),
            "share": round(float(matrix[row, column] / max(1, of_label[row])), 4),
        }
        for row, label in enumerate(names)
        for column, predicted in enumerate(names)
        if matrix[row, column]
    ]
    cell = max(LEAST_CELL, SIDE // len(names)) if len(names) > WRITTEN else 34
    opacity = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [0.06, 1]},
        "legend": {"format": ".0%", "title": "share of the label"},
    }
    layers: list[dict[str, Any]] = [{"mark": {"type": "rect", "color": MAIN}, "encoding": {"opacity": opacity}}]
    if len(names) <= WRITTEN:
        white = {"condition": {"test": "datum.share > 0.6", "value": "white"}}
        written = {"text": {"field": "count", "type": "quantitative"}, "color": white}
        layers.append({"mark": {"type": "text", "fontSize": 11}, "encoding": written})
    size = {"width": {"step": cell}, "height": {"step": cell}}
    return chart(title, subtitle, **size, data={"values": rows}, encoding=_encoding(names, cell), layer=layers)


def _encoding(names: list[str], cell: int) -> dict[str, Any]:
    font = min(10, cell - 2)
    turned = -90 if cell < font * max(map(len, names)) / 1.5 else 0
    axis = {"type": "nominal", "sort": names, "scale": {"domain": names}}
    return {
        "x": {
            "field": "predicted",
            **axis,
            "title": "predicted",
            "axis": {"labelAngle": turned, "labelLimit": 120, "labelFontSize": font},
        },
        "y": {"field": "label", **axis, "title": "label", "axis": {"labelLimit": 160, "labelFontSize": font}},
        "tooltip": [
            {"field": "label"},
            {"field": "predicted"},
            {"field": "count", "type": "quantitative", "format": ","},
            {"field": "share", "type": "quantitative", "format": ".1%", "title": "share of the label"},
        ],
    }
