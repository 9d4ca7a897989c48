"""What a method is told besides the data, the fraction and the seed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from toolkit.subsets.errors import SubsetError
from toolkit.subsets.glister import ALL, BATCH, CLASS

# Arguments of torch's DataLoader that say what a batch is made of.
_OWN = frozenset({"batch_size", "shuffle", "sampler", "batch_sampler", "drop_last", "generator"})


@dataclass(frozen=True)
class Settings:
    """A loader's options.

    loss: the training's, a module with reduction="none"; what it computes of a batch is remembered (all methods show
        it, infobatch needs it, trimmed and glister need its kind). model: trimmed and glister look with it.
    validation: examples that glister lowers the loss of; never those by which the result is reported.
    plain: the dataset without augmentation, for looking at all of it; by default the dataset.
    probe: saves what was chosen (docs/subsets.md: its names).
    epochs: of the training, which tells infobatch when to stop pruning.
    select_every: epochs between two selections of trimmed and glister. warm_up: epochs before the first one, which
        train on the re-sampled part (`chosen.by` says so).
    per, step, biases_only: glister's (glister.Greedy). The original's configuration for CIFAR-10 has "all" and the
        biases alone, which takes wrong labels for the best examples.
    last_layer: its path in the model; by default the last Linear.
    ratio: the probability by which infobatch skips. annealing: the share of the epochs at the end without skipping.
    trim: the share of the examples, those of the greatest losses, that trimmed leaves out.
    loading: more arguments of torch's DataLoader.
    """

    loss: Any = None
    model: Any = None
    validation: Any = None
    plain: Any = None
    probe: Any = None
    epochs: int | None = None
    select_every: int = 10
    warm_up: int = 1
    per: str = CLASS
    step: float = 0.01
    biases_only: bool = False
    last_layer: str | None = None
    ratio: float = 0.5
    annealing: float = 0.125
    trim: float = 0.2
    loading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.select_every >= 1, f"select_every is {self.select_every}; it is a number of epochs, at least 1")
        _check(self.warm_up >= 0, f"warm_up is {self.warm_up}; it is a number of epochs, or 0")
        _check(self.per in {CLASS, BATCH, ALL}, f"per is {self.per!r}; it is {CLASS!r}, {BATCH!r} or {ALL!r}")
        _check(self.step > 0, f"step is {self.step}; it is above 0")
        _check(0 <= self.ratio < 1, f"ratio is {self.ratio}; it is at least 0 and below 1")
        _check(0 <= self.annealing <= 1, f"annealing is {self.annealing}; it is from 0 to 1")
        _check(0 <= self.trim < 1, f"trim is {self.trim}; it is at least 0 and below 1")
        own = ", ".join(sorted(_OWN & self.loading.keys()))
        _check(not own, f"loading has {own}, which the loader itself decides; the others of DataLoader may be given")
        reduction = getattr(self.loss, "reduction", "none")
        _check(
            reduction == "none",
            f'the loss has reduction="{reduction}", one number a batch; with reduction="none" it has one an example, '
            "and the training takes (loss(model(x), y) * weight).mean()",
        )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """The settings of a loader's options. Raises SubsetError for one that there isn't."""
        names = [each.name for each in fields(cls)]
        for name in options:
            if name not in names:
                close = difflib.get_close_matches(name, names, 1) or [", ".join(names)]
                raise SubsetError(f"there is no option {name}; did you mean {close[0]}?")
        return cls(**options)

    def numbers(self) -> dict[str, Any]:
        """Those on which it depends what is chosen, as a checkpoint compares them."""
        names = ("epochs", "select_every", "warm_up", "per", "step", "biases_only", "ratio", "annealing", "trim")
        return {name: getattr(self, name) for name in names}


def _check(right: bool, message: str) -> None:
    if not right:
        raise SubsetError(message)
