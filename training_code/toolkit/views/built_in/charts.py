"""What the built-in views have in common: colours for light and dark pages, and data made small."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.views.vega import SCHEMA

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# At least 3:1 against white and against nearly black alike (WCAG 2.2, 1.4.11), and told apart without red and green.
COLOURS = ("#2f81f7", "#d9730d", "#a371f7", "#1a9988", "#d6409f", "#94813b", "#6e7781", "#e5534b")
MAIN = COLOURS[0]
_DIGITS = re.compile(r"(\d+)")


def chart(title: str, subtitle: str = "", **parts: Any) -> dict[str, Any]:
    """A Vega-Lite document; colours of axes and text are the page's."""
    said = {"text": title, "anchor": "start", **({"subtitle": subtitle} if subtitle else {})}
    return {"$schema": SCHEMA, "description": title, "title": said, "background": None, **parts}


def colours(names: Sequence[str]) -> dict[str, Any]:
    """A scale that gives each name a colour, by its place."""
    return {"domain": list(names), "range": [COLOURS[place % len(COLOURS)] for place, _ in enumerate(names)]}


def in_order(names: Iterable[str]) -> list[str]:
    """Names sorted as people count: layer.2 before layer.10."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in _DIGITS.split(name)])


def spread(count: int, most: int) -> list[int]:
    """At most `most` places out of `count`, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def ends_of(steps: Sequence[int]) -> list[int]:
    """Where each step's cell of a heat map ends: at the next one; the last is as wide as the one before."""
    if len(steps) == 1:
        return [steps[0] + 1]
    return [*steps[1:], 2 * steps[-1] - steps[-2]]
