"""Hyperparameters' types for argparse: what can't be meant is refused by its name, before anything is read."""

import argparse
import operator

LIMITS = {
    "least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "most": ("at most", operator.le),
    "below": ("below", operator.lt),
}


def whole(least=1, **limits):
    """A whole number within limits: `least`, `above`, `most`, `below`."""
    return _within(int, "whole number", {"least": least, **limits})


def number(**limits):
    """A finite number within limits: `least`, `above`, `most`, `below`."""
    return _within(float, "number", limits)


def _within(convert, kind, limits):
    wanted = " and ".join(f"{LIMITS[name][0]} {limit}" for name, limit in limits.items())

    def parsed(text):
        try:
            found = convert(text)
        except ValueError:
            found = float("nan")
        if not (abs(found) < float("inf") and all(LIMITS[name][1](found, limit) for name, limit in limits.items())):
            raise argparse.ArgumentTypeError(f"is {text}; it must be a {kind}, {wanted}")
        return found

    return parsed
