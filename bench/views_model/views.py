"""Views of the benchmark's model: two that compute, on what a layer gave, and one that is slow."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from toolkit.views import png, to_pixels, vega

LAYER = "^2/output$"  # 64 channels of 16 × 16
SLEEP_SECONDS = 10.0
SHOWN = 500


def components(trial: Any, step: int) -> dict[str, Any]:
    """The first two principal components of what the layer gave, at 500 of its places."""
    output = trial.value(trial.names(LAYER)[0], step)
    places = np.moveaxis(output, 1, -1).reshape(-1, output.shape[1])
    centred = places - places.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    shown = (centred @ axes[:, -2:])[:: max(1, len(places) // SHOWN)]
    return {
        "$schema": vega.SCHEMA,
        "data": {"values": vega.values(first=shown[:, 1], second=shown[:, 0])},
        "mark": "point",
        "encoding": {
            "x": {"field": "first", "type": "quantitative"},
            "y": {"field": "second", "type": "quantitative"},
        },
    }


def channels(trial: Any, step: int) -> bytes:
    """The correlation of every two channels, as pixels."""
    output = trial.value(trial.names(LAYER)[0], step)
    places = np.moveaxis(output, 1, 0).reshape(output.shape[1], -1)
    return png(to_pixels(np.nan_to_num(np.corrcoef(places)), -1.0, 1.0))


def sleeps(_trial: Any, step: int) -> str:
    """Takes ten seconds."""
    time.sleep(SLEEP_SECONDS)
    return f'<svg xmlns="http://www.w3.org/2000/svg"><text>{step}</text></svg>'
