"""The tensors of one step, as they wait to be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.probe.layout import Record
from toolkit.probe.tensor_files import Stored


@dataclass(frozen=True)
class Item:
    """One tensor: a copy of the whole, or numbers of it, or both; or one number by itself (`value`).

    layer: the type of the module whose input or output it is.
    """

    name: str
    kind: str
    collections: tuple[str, ...]
    whole: Stored | None = None
    reductions: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "F64"
    layer: str | None = None


@dataclass(frozen=True)
class Batch:
    """A step's tensors; at: seconds since 1970; train_step: of an evaluation step, the training step it followed."""

    step: int
    mode: str
    at: float
    items: tuple[Item, ...]
    train_step: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the copies that wait to be written."""
        return sum(item.whole.nbytes for item in self.items if item.whole is not None)

    def wholes(self) -> dict[str, Stored]:
        """The whole tensors, by name."""
        return {item.name: item.whole for item in self.items if item.whole is not None}

    def records(self, file: str | None, dropped: str | None = None) -> Iterator[Record]:
        """Lines of the index. dropped: why the whole tensors aren't in a file; numbers are there all the same."""
        for item in self.items:
            common: dict[str, Any] = {
                "step": self.step,
                "mode": self.mode,
                "name": item.name,
                "kind": item.kind,
                "collections": item.collections,
                "shape": item.shape,
                "dtype": item.dtype,
                "at": self.at,
                "train_step": self.train_step,
                "layer": item.layer,
            }
            if item.whole is not None:
                yield Record(**common, file=None if dropped else file, dropped=dropped)
            if item.value is not None:
                yield Record(**common, value=item.value)
            for reduction, value in item.reductions.items():
                yield Record(**common, reduction=reduction, value=value)
