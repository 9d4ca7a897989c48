"""GLISTER-online: the examples whose gradients lower the loss of a validation set the most, one after another.

Killamsetty et al., "GLISTER: Generalization based Data Subset Selection for Efficient and Robust Learning" (2021). To
train on the subset S for one step moves the last layer against the sum of its gradients there; by Taylor's first order
example e lowers the validation loss by

    gain(e) = (gradient of e's loss) . (gradient of the validation loss, after the steps of those that are chosen)

The gradients are the last layer's, of cross-entropy: with the residual r = softmax(scores) - target and what goes into
the layer x, r of its biases and r x' of its weights. So no gradient is ever written down: r and x are enough. Each
choice is the best of a random few (stochastic greedy: Mirzasoleiman et al., "Lazier Than Lazy Greedy", 2015).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.subsets.errors import SubsetError

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

# The share of cases in which the best of the few isn't among the best of all, as the original has it.
MISSED = 0.01
CLASS, BATCH, ALL = "class", "batch", "all"


@dataclass(frozen=True)
class LastLayer:
    """Of some examples: what goes into the last layer (n, d), the scores that come out (n, classes), the classes (n,).

    smoothing: the share of a target that goes to all classes alike.
    """

    inputs: Array
    scores: Array
    targets: Array
    smoothing: float = 0.0

    def of(self, which: Array) -> LastLayer:
        """The same of some of them."""
        return LastLayer(self.inputs[which], self.scores[which], self.targets[which], self.smoothing)

    def residuals(self, scores: Array | None = None) -> Array:
        """The loss's gradient with regard to the scores, (n, classes)."""
        scores = self.scores if scores is None else scores
        likely = np.exp(scores - scores.max(1, keepdims=True))
        likely /= likely.sum(1, keepdims=True)
        likely -= self.smoothing / likely.shape[1]
        likely[np.arange(len(likely)), self.targets] -= 1 - self.smoothing
        return likely

    def losses(self) -> Array:
        """The cross-entropy of each, (n,)."""
        scores = self.scores - self.scores.max(1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        of_target = logs[np.arange(len(logs)), self.targets]
        return -(1 - self.smoothing) * of_target - self.smoothing * logs.mean(1)


@dataclass(frozen=True)
class Greedy:
    """How examples are chosen.

    per: within each `class`, of whole `batch`es, or of `all` at once. step: how far the last layer is moved for each
    that is chosen; over the mean square of what goes into it, where its weights move, too, or else a step that suits
    its biases would throw them far beyond any minimum. biases_only: leaves the weights' gradients out. batch: examples
    of a batch.
    """

    per: str = CLASS
    step: float = 0.01
    biases_only: bool = False
    batch: int = 64

    def choose(self, candidates: LastLayer, validation: LastLayer, most: int, random: np.random.Generator) -> Array:
        """`most` of the candidates, by their numbers.

        Raises:
            SubsetError: a class has no example in the validation set, or there are more classes than may be chosen.
        """
        if self.per == CLASS:
            parts = [
                which[self._chosen(candidates.of(which), validation.of(judges), share, random)]
                for which, judges, share in _of_classes(candidates, validation, most)
            ]
            return np.concatenate(parts)
        return self._chosen(candidates, validation, most, random)

    def _chosen(self, candidates: LastLayer, validation: LastLayer, most: int, random: np.random.Generator) -> Array:
        size = self.batch if self.per == BATCH else 1
        if size > len(candidates.targets):
            raise SubsetError(f"batches of {size} can't be chosen from {len(candidates.targets)} examples")
        order = random.permutation(len(candidates.targets))
        elements = order[: len(order) // size * size].reshape(-1, size)
        picked = self._greedy(candidates, validation, elements, math.ceil(most / size), random)
        found = elements[picked].ravel()
        # Whole batches may leave out the last few examples that were asked for.
        left = np.setdiff1d(order, found, assume_unique=True)
        return np.concatenate([found, left])[:most]

    def _greedy(
        self, candidates: LastLayer, validation: LastLayer, elements: Array, most: int, random: np.random.Generator
    ) -> list[int]:
        """The elements (each some examples, whose gradient is their mean) that are chosen, in order."""
        residuals, inputs = candidates.residuals(), candidates.inputs
        judged = validation.scores.astype(float)
        left = list(range(len(elements)))
        few = max(1, math.ceil(len(left) / most * math.log(1 / MISSED)))
        chosen: list[int] = []
        while left and len(chosen) < most:
            places = random.integers(len(left), size=few) if few < len(left) else np.arange(len(left))
            examples = elements[[left[place] for place in places]]
            gains = self._gains(residuals[examples], inputs[examples], validation, judged)
            place = int(places[int(gains.argmax())])
            chosen.append(left[place])
            self._move(judged, validation, residuals[elements[left[place]]], inputs[elements[left[place]]])
            left[place] = left[-1]
            left.pop()
        return chosen

    def _gains(self, residuals: Array, inputs: Array, validation: LastLayer, judged: Array) -> Array:
        """How much each element (m, size, …) lowers the validation loss, per step."""
        wrong = validation.residuals(judged)
        gains = residuals @ wrong.mean(0)
        if not self.biases_only:
            weights = wrong.T @ validation.inputs / len(wrong)
            gains = gains + (residuals * (inputs @ weights.T)).sum(-1)
        return gains.mean(-1)

    def _move(self, judged: Array, validation: LastLayer, residuals: Array, inputs: Array) -> None:
        """Changes the validation set's scores as a step on one element, (size, …), would."""
        factors = np.ones((len(judged), len(residuals)))
        if not self.biases_only:
            factors += validation.inputs @ inputs.T
        judged -= self.step / self.scale(validation) * factors @ residuals / len(residuals)

    def scale(self, validation: LastLayer) -> float:
        """What the step is divided by: the mean squared length of the layer's inputs, the bias's 1 among them."""
        return 1.0 if self.biases_only else 1 + float((validation.inputs**2).sum(1).mean())


def _of_classes(candidates: LastLayer, validation: LastLayer, most: int) -> Iterator[tuple[Array, Array, int]]:
    """(candidates, validation examples, how many to choose) of each class."""
    classes, counts = np.unique(candidates.targets, return_counts=True)
    for number, share in zip(classes, shares(counts, most)):
        judges = np.flatnonzero(validation.targets == number)
        if not len(judges):
            raise SubsetError(
                f"the validation set has no example of class {number}, so nothing says which of that class to choose; "
                "give it some of each class, or per='all'"
            )
        yield np.flatnonzero(candidates.targets == number), judges, share


def shares(counts: Array, most: int) -> list[int]:
    """`most` divided as `counts` are, but at least one each: the remainders decide who is rounded up.

    Raises:
        SubsetError: there are more of them than `most`.
    """
    if most < len(counts):
        raise SubsetError(
            f"{most} examples can't hold one of each of {len(counts)} classes; raise the fraction, or give per='all'"
        )
    exact = counts / counts.sum() * most
    found = np.maximum(1, np.floor(exact).astype(int))
    while found.sum() < most:
        found[np.argmax(np.where(found < counts, exact - found, -np.inf))] += 1
    while found.sum() > most:
        found[np.argmax(np.where(found > 1, found - exact, -np.inf))] -= 1
    return [int(each) for each in found]
