"""The loader that a training holds."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.checkpoint import peers
from toolkit.subsets import orders
from toolkit.subsets.errors import SubsetError
from toolkit.subsets.methods import METHODS, Choice, Given, method_named
from toolkit.subsets.record import Chosen, chosen
from toolkit.subsets.settings import Settings

if TYPE_CHECKING:
    from toolkit.subsets.glister import LastLayer

FULL = METHODS[0]


class SubsetLoader:
    """Yields an epoch's batches (x, y, weight) whenever it is iterated; which examples those are, a method chooses.

    epoch: how many are done. chosen: what the last one was made of. seconds: that all selections took.

    Args:
        dataset: examples (x, y), with a length, as torch's DataLoader takes them.
        method: one of METHODS.
        fraction: of the examples, in an epoch.
        options: see Settings.

    Raises:
        SubsetError: what is missing, or can't be.
    """

    def __init__(
        self, dataset: Any, method: str, fraction: float = 1.0, *, batch_size: int, seed: int = 0, **options: Any
    ) -> None:
        self.settings = Settings.of(options)
        count = _check(dataset, method, fraction, batch_size, seed)
        self._check_needs(method)
        self._dataset, self.batch_size, self._seed, self.fraction = dataset, batch_size, seed, fraction
        losses = np.full(count, np.nan)
        most = max(1, round(fraction * count))
        given = Given(count, most, batch_size, seed, self.settings, losses, self._look, self._judge)
        self._given, self._method = given, method_named(method)(given)
        self.targets = _targets(dataset)
        self.epoch, self.chosen, self.seconds = 0, Chosen.nothing(), 0.0
        self._choice: Choice | None = None
        self._batch, self._out = 0, np.zeros(0, int)
        if self.settings.loss is not None:
            self.settings.loss.register_forward_hook(self._heard)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        batches = self._given.most / self.batch_size
        return max(1, math.floor(batches) if self.settings.drop_last else math.ceil(batches))

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        """The batches that are left of the epoch; all of the next one's, where none are.

        Raises:
            SubsetError: of infobatch, at the end: the loss wasn't asked about every batch.
        """
        import torch
        from torch.utils.data import DataLoader

        if self._choice is None:
            self._begin()
        choice = self._choice
        assert choice is not None  # noqa: S101 - for type checkers
        places = [slice(at, at + self.batch_size) for at in range(0, len(choice.indices), self.batch_size)][: len(self)]
        left = [choice.indices[place].tolist() for place in places[self._batch :]]
        # A generator of its own: torch's is the training's, and a checkpoint's.
        own = torch.Generator().manual_seed(self._seed + self.epoch)
        loaded = DataLoader(self._dataset, batch_sampler=left, generator=own, **self.settings.loading)
        for place, batch in zip(places[self._batch :], loaded):
            weights = torch.from_numpy(choice.weights[place].astype(np.float32))
            self._out = choice.indices[place]
            self._batch += 1
            x, y = batch
            yield x, y, weights
        self._end(choice)

    def saw(self, losses: Any) -> None:
        """Takes the losses of the batch that was yielded last, an example each; by itself where `loss` was given."""
        found = losses.detach().float().cpu().numpy() if hasattr(losses, "detach") else np.asarray(losses, float)
        if found.shape != self._out.shape:
            raise SubsetError(f"losses of the shape {found.shape} for a batch of {len(self._out)}; give one an example")
        self._given.losses[self._out] = found
        self._out = self._out[:0]

    def state_dict(self) -> dict[str, Any]:
        """Where it is, for a checkpoint; in the middle of an epoch, too."""
        choice = self._choice or Choice(np.zeros(0, int), np.zeros(0), "")
        return {
            "of": self._identity(),
            "epoch": self.epoch,
            "batch": self._batch,
            "begun": self._choice is not None,
            "choice": {"indices": choice.indices, "weights": choice.weights, "by": choice.by},
            "losses": self._given.losses.copy(),
            "method": self._method.state(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from where another one was. Raises SubsetError when that chose from other data, or otherwise."""
        theirs, ours = state["of"], self._identity()
        if theirs != ours:
            differing = [name for name in ours if theirs.get(name) != ours[name]]
            told = "; ".join(f"{name} is {theirs.get(name)} there, {ours[name]} here" for name in differing)
            raise SubsetError(f"the state is of another loader: {told}; begin with an empty checkpoint folder")
        self.epoch, self._batch, self.seconds = state["epoch"], state["batch"], state["seconds"]
        choice = state["choice"]
        restored = Choice(np.asarray(choice["indices"]), np.asarray(choice["weights"]), choice["by"])
        self._choice = restored if state["begun"] else None
        self._given.losses[:] = state["losses"]
        self._method.load(state["method"])

    def _identity(self) -> dict[str, Any]:
        given = self._given
        sizes = {"examples": given.count, "of an epoch": given.most, "batch_size": self.batch_size}
        return {"method": self._method.name, **sizes, "seed": self._seed, **self.settings.numbers()}

    def _begin(self) -> None:
        """Chooses the epoch's examples, and saves which."""
        started = time.monotonic()
        choice = self._method.choose(self.epoch)
        order = orders.generator(self._seed, orders.SHUFFLE, self.epoch).permutation(len(choice.indices))
        self._choice = Choice(choice.indices[order], choice.weights[order], choice.by)
        self._batch = 0
        took = time.monotonic() - started
        self.seconds += took
        self.chosen = chosen(self.epoch, self._choice, self._given.losses, self.targets, took)
        if self.settings.probe is not None:
            self.chosen.save(self.settings.probe)

    def _end(self, choice: Choice) -> None:
        if "loss" in self._method.needs and np.isnan(self._given.losses[choice.indices]).all():
            raise SubsetError(
                f"{self._method.name} goes by losses, and in epoch {self.epoch} none was seen: compute them by calling "
                "the module that the loader was given as `loss`, or hand them over by loader.saw(losses)"
            )
        self.epoch += 1
        self._choice, self._batch, self._out = None, 0, self._out[:0]

    def _heard(self, _loss: Any, _inputs: Any, output: Any) -> None:
        """The loss module was called: in training, with the batch that was yielded last."""
        import torch

        if torch.is_grad_enabled() and output.requires_grad and output.shape == self._out.shape and len(self._out):
            self.saw(output)

    def _check_needs(self, name: str) -> None:
        needs = method_named(name).needs
        missing = [need for need in needs if getattr(self.settings, need) is None]
        if missing:
            raise SubsetError(f"{name} needs {', '.join(missing)}: SubsetLoader(…, {missing[0]}=…)")
        if "model" in needs:
            from toolkit.subsets import looking

            looking.check_loss(self.settings.loss)
            self._layer = looking.last_layer(self.settings.model, self.settings.last_layer)

    def _look(self) -> LastLayer:
        """All examples, as the model sees them now; their losses are remembered."""
        seen = self._seen(self._dataset if self.settings.plain is None else self.settings.plain)
        self._given.losses[:] = seen.losses()
        return seen

    def _judge(self) -> LastLayer:
        return self._seen(self.settings.validation)

    def _seen(self, dataset: Any) -> LastLayer:
        from toolkit.subsets import looking

        settings = self.settings
        # To the probe a call of the model would be a step of evaluation.
        paused = contextlib.nullcontext() if settings.probe is None else settings.probe.paused()
        with paused:
            smoothing = settings.loss.label_smoothing
            return looking.look(settings.model, self._layer, dataset, settings.loading, smoothing)


def _check(dataset: Any, name: str, fraction: float, batch_size: int, seed: int) -> int:
    """How many examples there are. Raises SubsetError for what can't be."""
    if name not in METHODS:
        raise SubsetError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    if not 0 < fraction <= 1:
        raise SubsetError(f"fraction is {fraction}; it is above 0 and at most 1, the share of the examples in an epoch")
    if name == FULL and fraction != 1:
        raise SubsetError(f"{FULL} takes all examples, and fraction is {fraction}; it must be 1, or another method")
    if batch_size < 1 or seed < 0:
        raise SubsetError(f"batch_size is {batch_size} and seed {seed}; they are at least 1 and 0")
    if peers.count() > 1:
        raise SubsetError(f"{peers.count()} processes train together; a subset is chosen for one: instance_count: 1")
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise SubsetError(f"the dataset is a {type(dataset).__name__} without a length or an order to choose from")
    count = len(dataset)
    if round(fraction * count) < 1:
        raise SubsetError(f"a fraction of {fraction} of {count} examples is none")
    first = dataset[0]
    if not isinstance(first, (tuple, list)) or len(first) != 2:
        raise SubsetError(f"the dataset's examples are {type(first).__name__}, not pairs (x, y): targets are missing")
    return count


def _targets(dataset: Any) -> Any:
    """The classes of a dataset that says them all at once, as torchvision's and TensorDataset do; else None."""
    found = getattr(dataset, "targets", None)
    if found is None and getattr(dataset, "tensors", None):
        found = dataset.tensors[-1]
    found = None if found is None else np.asarray(found)
    return found if found is not None and found.ndim == 1 and found.dtype.kind in "iu" else None
