"""Which examples come when: orders that are known from a seed and a place, so that nothing of them has to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# What a generator is for, beside the seed: none draws the numbers of another.
FIXED, WALK, SKIP, SHUFFLE, GREEDY = range(5)


def generator(seed: int, purpose: int, number: int = 0) -> np.random.Generator:
    """The generator for a purpose, of its `number`-th use."""
    return np.random.default_rng([seed, purpose, number])


def fixed(count: int, most: int, seed: int) -> Array:
    """The same `most` of `count` examples whenever it is asked."""
    return np.sort(generator(seed, FIXED).choice(count, most, replace=False))


def walk(among: Array, begin: int, most: int, seed: int, first: int = 0) -> Array:
    """The places `begin` to `begin + most` of a walk through the examples, which takes all before it takes one again.

    Each time through is shuffled anew. first: the number of the first time, where a seed has several walks.
    """
    parts: list[Array] = []
    while most > 0:
        time, place = divmod(begin, len(among))
        part = among[generator(seed, WALK, first + time).permutation(len(among))][place : place + most]
        parts.append(part)
        begin, most = begin + len(part), most - len(part)
    return np.concatenate(parts)


@dataclass(frozen=True)
class Pruned:
    """What a walk has kept, how much each counts, and the place at which it goes on."""

    indices: Array
    weights: Array
    place: int


def pruned_walk(losses: Array, begin: int, most: int, ratio: float, seed: int) -> Pruned:
    """`most` examples of a walk that skips each with a loss below the mean with probability `ratio`.

    Those of them that are kept count 1 / (1 - ratio) times, so that the expected gradient is that of all (Qin et al.,
    "InfoBatch", 2024). An example of which no loss is known (NaN) is never skipped.
    """
    known = np.isfinite(losses)
    mean = float(losses[known].mean()) if known.any() else 0.0
    low = known & (losses < mean)
    everything, kept, place = np.arange(len(losses)), [], begin
    missing = most
    while missing:
        # To the end of this time through the examples: what is skipped is drawn once for each time and example.
        time, start = divmod(place, len(losses))
        rest = walk(everything, place, len(losses) - start, seed)
        skipped = low[rest] & (generator(seed, SKIP, time).random(len(losses))[rest] < ratio)
        places = np.flatnonzero(~skipped)[:missing]
        kept.append(rest[places])
        missing -= len(places)
        place += len(rest) if missing else int(places[-1]) + 1
    indices = np.concatenate(kept)
    return Pruned(indices, np.where(low[indices], 1 / (1 - ratio), 1.0), place)
