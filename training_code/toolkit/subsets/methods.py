"""The methods: which examples an epoch is made of. Pure but for `look`, which asks the model about all examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.subsets import orders
from toolkit.subsets.glister import Greedy, LastLayer
from toolkit.subsets.settings import Settings

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# Walks of one seed that must not be the same: each selection has as many times through the examples to itself.
_TIMES = 1_000_000
RANDOM = "random"


@dataclass(frozen=True)
class Choice:
    """What an epoch is made of, how much each counts, and what chose it: the method, or `random` in a warm-up."""

    indices: Array
    weights: Array
    by: str


@dataclass(frozen=True)
class Given:
    """What a method works on: examples, how many of them make an epoch and a batch, their last losses (NaN: none yet).

    look: asks the model about all examples; judge: about the validation set.
    """

    count: int
    most: int
    batch: int
    seed: int
    settings: Settings
    losses: Array
    look: Callable[[], LastLayer]
    judge: Callable[[], LastLayer]


class Method:
    """A way to choose. `needs`: the settings that it can't do without."""

    name = ""
    needs: tuple[str, ...] = ()

    def __init__(self, given: Given) -> None:
        self.given = given

    def choose(self, epoch: int) -> Choice:
        """The epoch's examples; epochs are asked for in order."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What isn't known from the seed and the epoch."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""

    def _all_alike(self, indices: Array, by: str | None = None) -> Choice:
        return Choice(indices, np.ones(len(indices)), by or self.name)

    def _resampled(self, epoch: int, by: str | None = None) -> Choice:
        given = self.given
        return self._all_alike(orders.walk(np.arange(given.count), epoch * given.most, given.most, given.seed), by)


class Full(Method):
    """All examples. (A fraction is refused.)"""

    name = "full"

    def choose(self, epoch: int) -> Choice:
        return self._resampled(epoch)


class Fixed(Method):
    """A part that is drawn once."""

    name = "fixed"

    def choose(self, _epoch: int) -> Choice:
        return self._all_alike(orders.fixed(self.given.count, self.given.most, self.given.seed))


class Resampled(Method):
    """The next part of a walk through all examples (Okanovic et al., "Repeated Random Sampling", 2024: RS2)."""

    name = "resampled"

    def choose(self, epoch: int) -> Choice:
        return self._resampled(epoch)


class InfoBatch(Method):
    """The next part of a walk that skips what is learned already (orders.pruned_walk)."""

    name = "infobatch"
    needs = ("loss", "epochs")

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._place = 0

    def choose(self, epoch: int) -> Choice:
        given, settings = self.given, self.given.settings
        annealing = epoch >= round((1 - settings.annealing) * settings.epochs)
        losses = np.full(given.count, np.nan) if annealing else given.losses
        found = orders.pruned_walk(losses, self._place, given.most, settings.ratio, given.seed)
        self._place = found.place
        return Choice(found.indices, found.weights, RANDOM if annealing else self.name)

    def state(self) -> dict[str, Any]:
        return {"place": self._place}

    def load(self, state: Mapping[str, Any]) -> None:
        self._place = state["place"]


class Selecting(Method):
    """A method that looks at all examples every few epochs, after a warm-up of re-sampled ones."""

    needs = ("model", "loss")

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._selected = np.zeros(0, int)

    def choose(self, epoch: int) -> Choice:
        settings = self.given.settings
        if epoch < settings.warm_up:
            return self._resampled(epoch, RANDOM)
        selection, since = divmod(epoch - settings.warm_up, settings.select_every)
        if not since:
            self._selected = self.select(selection)
        return self._all_alike(self.part(selection, since))

    def select(self, selection: int) -> Array:
        """The examples of the next epochs, by the model as it is now."""
        raise NotImplementedError

    def part(self, _selection: int, _since: int) -> Array:
        """What an epoch has of them, `since` epochs after their selection."""
        return self._selected

    def state(self) -> dict[str, Any]:
        return {"selected": self._selected}

    def load(self, state: Mapping[str, Any]) -> None:
        self._selected = np.asarray(state["selected"], int)


class Trimmed(Selecting):
    """A walk through all but the examples of the greatest losses (Shen & Sanghavi, "Learning with Bad Training Data via
    Iterative Trimmed Loss Minimization", 2019)."""

    name = "trimmed"

    def select(self, _selection: int) -> Array:
        losses = self.given.look().losses()
        kept = max(self.given.most, round((1 - self.given.settings.trim) * len(losses)))
        return np.sort(np.argsort(losses, kind="stable")[:kept])

    def part(self, selection: int, since: int) -> Array:
        most, seed = self.given.most, self.given.seed
        return orders.walk(self._selected, since * most, most, seed, (selection + 1) * _TIMES)


class Glister(Selecting):
    """The examples that lower the validation loss (glister.py)."""

    name = "glister"
    needs = ("model", "loss", "validation")

    def select(self, selection: int) -> Array:
        given, settings = self.given, self.given.settings
        greedy = Greedy(settings.per, settings.step, settings.biases_only, given.batch)
        random = orders.generator(given.seed, orders.GREEDY, selection)
        return greedy.choose(given.look(), given.judge(), given.most, random)


_ALL = (Full, Fixed, Resampled, InfoBatch, Trimmed, Glister)
METHODS = tuple(method.name for method in _ALL)


def method_named(name: str) -> type[Method]:
    """The method; its name must be one of METHODS."""
    return _ALL[METHODS.index(name)]
