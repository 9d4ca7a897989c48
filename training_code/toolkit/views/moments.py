"""The tensors as they were at a picture's step, so that it is the same whenever it is drawn."""

from __future__ import annotations

from pathlib import Path

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN, Record, mode_of
from toolkit.probe.trial import Trial


class TrialUntil(Trial):
    """A trial that knows nothing of later training steps than `until`, nor of evaluation after them."""

    def __init__(self, place: str | Path) -> None:
        super().__init__(place)
        self.until = -1

    def _is_later(self, step: int, mode: str) -> bool:
        return (self._passes.get(step, 0) if mode == EVAL else step) > self.until

    def names(self, regex: str | None = None, collection: str | None = None, kind: str | None = None) -> list[str]:
        found = super().names(regex, collection, kind)
        there = {
            name
            for (mode, name, _), steps in list(self._records.items())
            if any(not self._is_later(step, mode) for step in steps)
        }
        return [name for name in found if name in there]

    def steps(
        self, name: str | None = None, mode: str = TRAIN, *, whole: bool = False, reduction: str | None = None
    ) -> list[int]:
        mode = mode_of(mode)
        found = super().steps(name, mode, whole=whole, reduction=reduction)
        return [step for step in found if not self._is_later(step, mode)]

    def passes(self) -> dict[int, list[int]]:
        return {step: steps for step, steps in super().passes().items() if step <= self.until}

    def numbers(self, name: str, mode: str = TRAIN, reduction: str | None = None) -> dict[int, float]:
        mode = mode_of(mode)
        found = super().numbers(name, mode, reduction)
        return {step: number for step, number in found.items() if not self._is_later(step, mode)}

    def last_step(self, mode: str = TRAIN) -> int | None:
        return max(self.steps(mode=mode), default=None)

    def _find(self, name: str, step: int, mode: str, reduction: str | None, worker: int | None) -> Record | None:
        found = super()._find(name, step, mode, reduction, worker)
        if self._is_later(step, mode_of(mode)):
            raise NotSavedError(f"{name}: {mode_of(mode)} step {step} is later than the picture's step {self.until}")
        return found
