"""The parts that all frameworks' watchers have. Each follows one model and hands its tensors to the recorder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from toolkit.probe.steps import Steps


class Watcher:
    """Follows one model. callback: to train with, where the framework takes one; else None."""

    callback: Any = None

    def before_step_ends(self) -> None:
        """Saves the rest of a step that the script ends by itself. A callback has seen it all by then."""

    def detach(self) -> None:
        """Leaves the model as it was. Callbacks are dropped by their frameworks."""


class Calls:
    """Counts the calls within a step, of any number of things by name."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._moment: tuple[str, int] | None = None
        self._counts: Counter[str] = Counter()

    def next(self, what: str) -> str:
        """The number of this call in the step, as names hold it: nothing for the first, then :1, :2, …"""
        if self._moment != self._steps.current:
            self._moment = self._steps.current
            self._counts.clear()
        self._counts[what] += 1
        return f":{self._counts[what] - 1}" if self._counts[what] > 1 else ""


def tensors_in(found: Any, is_tensor: Callable[[Any], bool], place: str = "") -> Iterator[tuple[str, Any]]:
    """Tensors of numbers, each with its place: "" for one by itself, [0], [1][logits], … within others."""
    if isinstance(found, Mapping):
        for key, part in found.items():
            yield from tensors_in(part, is_tensor, f"{place}[{key}]")
    elif isinstance(found, (tuple, list)):
        for number, part in enumerate(found):
            yield from tensors_in(part, is_tensor, f"{place}[{number}]")
    elif is_tensor(found):
        yield place, found
