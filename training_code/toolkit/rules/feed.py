"""The tensors of a job in the order in which they were saved, for the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.probe.layout import Record, rank_of
from toolkit.probe.trial import Trial
from toolkit.rules.rule import Saved

if TYPE_CHECKING:
    import numpy as np

# A step's tensors come with one append to the index, so this much history is for rules that look back.
_MOMENTS_KEPT = 64


@dataclass(frozen=True)
class Moment:
    """One step of one mode as it was saved. at: seconds since 1970, on the trainer's clock. train_step: at which
    training step an evaluation step was."""

    step: int
    mode: str
    saved: tuple[Saved, ...]
    at: float
    train_step: int | None = None


class _Ordered(Trial):
    """A trial that keeps what is new until somebody takes it."""

    def __init__(self, place: str | Path) -> None:
        super().__init__(place)
        self.arrived: list[tuple[int, Record]] = []

    def _add(self, rank: int, record: Record) -> None:
        super()._add(rank, record)
        self.arrived.append((rank, record))


class Feed:
    """A job's tensors, followed while it runs: `moments()` gives what is new, in order.

    It reads like a Trial (whatever isn't said here is a Trial's own). Where several workers save the same, the lowest
    rank's is judged.
    """

    def __init__(self, place: str | Path) -> None:
        self._trial = _Ordered(place)
        self._moments: dict[tuple[int, str], Sequence[Saved]] = {}
        self._seen: dict[str, Saved] = {}

    def moments(self) -> Iterator[Moment]:
        """The moments since the last call. Raises ProbeError when the index can't be read."""
        self._trial.refresh()
        arrived, self._trial.arrived = self._trial.arrived, []
        lowest = min((rank_of(Path(name).stem) for name in self._trial._read), default=0)
        for moment in _by_step([record for rank, record in arrived if rank == lowest]):
            self._remember(moment)
            yield moment

    def at(self, step: int, mode: str) -> Sequence[Saved]:
        """The tensors of a step, if it is among the last that came."""
        return self._moments.get((step, mode), ())

    @property
    def seen(self) -> list[Saved]:
        """Every tensor that was ever saved, once."""
        return list(self._seen.values())

    def value(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any]:
        """The whole tensor. Raises NotSavedError."""
        return self._trial.value(name, step, mode)

    def reduction(self, name: str, step: int, reduction: str, mode: str) -> float:
        """A number of it. Raises NotSavedError."""
        return float(self._trial.reduction(name, step, reduction, mode))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def _remember(self, moment: Moment) -> None:
        self._moments.pop((moment.step, moment.mode), None)
        self._moments[moment.step, moment.mode] = moment.saved
        if len(self._moments) > _MOMENTS_KEPT:
            del self._moments[next(iter(self._moments))]
        self._seen.update((saved.name, saved) for saved in moment.saved)


def _by_step(records: Sequence[Record]) -> Iterator[Moment]:
    """Moments of neighbouring records of one step and mode; a tensor and its reductions are one tensor."""
    start = 0
    for end in range(1, len(records) + 1):
        first = records[start]
        if end < len(records) and (records[end].step, records[end].mode) == (first.step, first.mode):
            continue
        yield Moment(first.step, first.mode, _saved(records[start:end]), records[end - 1].at, first.train_step)
        start = end


def _saved(records: Sequence[Record]) -> tuple[Saved, ...]:
    found: dict[str, Saved] = {}
    for record in records:
        whole = record.reduction is None and not record.dropped
        before = found.get(record.name)
        whole = whole or (before is not None and before.whole)
        found[record.name] = Saved(record.name, record.kind, record.collections, whole, record.layer)
    return tuple(found.values())
