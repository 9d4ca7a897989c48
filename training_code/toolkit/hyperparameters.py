"""Hyperparameters' types for argparse: what can't be meant is refused by its name, before anything is read.

parser.add_argument("--epochs", type=whole(), default=EPOCHS)
parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
"""

from __future__ import annotations

import argparse
import operator
from collections.abc import Callable, Mapping

_LIMITS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "most": ("at most", operator.le),
    "below": ("below", operator.lt),
}


def whole(least: int = 1, **limits: float) -> Callable[[str], float]:
    """A whole number within limits: `least`, `above`, `most`, `below`."""
    return _within(int, "whole number", {"least": least, **limits})


def number(**limits: float) -> Callable[[str], float]:
    """A finite number within limits: `least`, `above`, `most`, `below`."""
    return _within(float, "number", limits)


def _within(convert: Callable[[str], float], kind: str, limits: Mapping[str, float]) -> Callable[[str], float]:
    wanted = " and ".join(f"{_LIMITS[name][0]} {limit}" for name, limit in limits.items())

    def parsed(text: str) -> float:
        try:
            found = convert(text)
        except ValueError:
            found = float("nan")
        if not (abs(found) < float("inf") and all(_LIMITS[name][1](found, limit) for name, limit in limits.items())):
            raise argparse.ArgumentTypeError(f"is {text}; it must be a {kind}, {wanted}")
        return found

    return parsed
