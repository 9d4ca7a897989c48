"""Whose turn it is, by weight: deterministic, so that shares hold over a few requests and not only over thousands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Smooth weighted round robin: each name earns its weight with every choice, and who has most pays for all.

    After any number of choices each name has had its share of them, give or take one or so; what comes between is
    spread evenly. Not thread-safe.
    """

    def __init__(self, weights: Mapping[T, float]) -> None:
        some = {name: weight for name, weight in weights.items() if weight > 0}
        self._weights: Mapping[T, float] = some or dict.fromkeys(weights, 1.0)
        self._total = sum(self._weights.values())
        self._earned = dict.fromkeys(self._weights, 0.0)

    def next(self) -> T:
        """The name whose turn it is."""
        earned = self._earned
        for name, weight in self._weights.items():
            earned[name] += weight
        chosen = max(earned, key=earned.__getitem__)
        earned[chosen] -= self._total
        return chosen
