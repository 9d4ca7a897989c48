"""The recorder, to which tensors are handed. Frameworks' watchers know nothing else of the probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolkit.probe.arrays import Arrays
from toolkit.probe.batch import Item
from toolkit.probe.catalogue import Catalogue
from toolkit.probe.numpy_arrays import NUMPY
from toolkit.probe.problems import harmless
from toolkit.probe.settings import Collection
from toolkit.probe.steps import Steps
from toolkit.probe.watcher import Watcher


class Recorder:
    """Saves at once what a tensor's collections ask for at this step: a copy, numbers of it, or nothing.

    steps: which step it is, and how it ends. catalogue: the collections, and the names that are known.
    """

    def __init__(self, catalogue: Catalogue, steps: Steps) -> None:
        self.catalogue, self.steps, self.problems = catalogue, steps, steps.problems
        self._watchers: list[Watcher] = []

    def attach(self, watcher: Watcher) -> None:
        """Has a watcher told when the script ends a step, and at the end."""
        self._watchers.append(watcher)

    def detach(self) -> None:
        """Ends all watching."""
        for watcher in self._watchers:
            watcher.detach()

    def declare(self, kinds: Mapping[str, str], layers: Mapping[str, str] | None = None) -> frozenset[str]:
        """Makes names known, with their kinds; returns the collections that any of them belongs to."""
        return self.catalogue.declare(kinds, layers)

    def is_due(self, collections: frozenset[str]) -> bool:
        """Whether any of the collections is saved at this step. Costs next to nothing."""
        # In this order: most steps save nothing, and asking for the process is a call into the system.
        return not self._due.isdisjoint(collections) and self.steps.open

    @harmless("ending a step")
    def step(self) -> None:
        """Ends a step that no watched optimizer or callback ends."""
        if self.steps.open:
            for watcher in self._watchers:
                watcher.before_step_ends()
            self.steps.end()

    def offer(self, name: str, kind: str, tensor: Any, arrays: Arrays = NUMPY) -> None:
        """Saves a tensor if it is due."""
        self._save(name, kind, tensor, arrays, self.catalogue.collections_of(name, kind))

    def offer_by_hand(self, name: str, kind: str, tensor: Any, arrays: Arrays) -> None:
        """Saves a tensor that the script hands over, if it is due; one in no collection belongs to `tensors`."""
        self._save(name, kind, tensor, arrays, self.catalogue.by_hand(name, kind))

    def offer_number(self, name: str, kind: str, value: Any) -> None:
        """Saves one number if it is due."""
        self.offer_numbers((name,), kind, (value,))

    def offer_numbers(self, names: Iterable[str], kind: str, values: Iterable[Any]) -> None:
        """Saves those of the numbers that are due."""
        now = self._due if self.steps.open else frozenset()
        for name, value in zip(names, values):
            due = tuple([c.name for c in self.catalogue.collections_of(name, kind) if c.name in now])
            if due:
                self.catalogue.saw(name, kind)
                number = float(value.item() if hasattr(value, "item") else value)
                self.steps.keep(Item(name, kind, due, value=number))

    def _save(self, name: str, kind: str, tensor: Any, arrays: Arrays, collections: tuple[Collection, ...]) -> None:
        due = self._due_of(collections)
        if not due:
            return
        self.catalogue.saw(name, kind)
        shape, dtype = arrays.described(tensor)
        wanted = tuple(dict.fromkeys(reduction for c in due for reduction in c.reductions))
        whole = arrays.stored(tensor) if any(c.values for c in due) else None
        numbers = arrays.reduced(tensor, wanted) if wanted else {}
        layer = self.catalogue.layer_of(name)
        self.steps.keep(Item(name, kind, tuple(c.name for c in due), whole, numbers, None, shape, dtype, layer))

    @property
    def _due(self) -> frozenset[str]:
        return self.catalogue.due(self.steps.current)

    def _due_of(self, collections: tuple[Collection, ...]) -> list[Collection]:
        due = self._due if self.steps.open else ()
        return [collection for collection in collections if collection.name in due]
