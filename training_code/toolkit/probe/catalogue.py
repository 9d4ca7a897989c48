"""The tensors that a training has, by name, and the collections that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.probe import layers
from toolkit.probe.settings import Collection, Settings, kinds_of


class Catalogue:
    """The names known so far with their kinds, and each one's collections. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds: dict[str, str] = {}
        self._layers: dict[str, str] = {}
        self._always = frozenset(c.name for c in settings.collections if c.is_always_due)
        self._at_times = [c for c in settings.collections if not c.is_always_due]
        self._found: dict[tuple[str, str], tuple[Collection, ...]] = {}
        # One value, since threads read it while another decides anew.
        self._decided: tuple[tuple[str, int] | None, frozenset[str]] = (None, frozenset())

    def declare(self, kinds: Mapping[str, str], layers_: Mapping[str, str] | None = None) -> frozenset[str]:
        """Makes names known, with their kinds; returns the collections that any of them belongs to.

        layers_: of inputs and outputs, the type of the layer.
        """
        self._layers.update(layers_ or {})
        self._kinds.update(kinds)
        return frozenset(c.name for name, kind in kinds.items() for c in self.collections_of(name, kind))

    def saw(self, name: str, kind: str) -> None:
        """Makes a name known that nobody declared."""
        self._kinds.setdefault(name, kind)

    def layer_of(self, name: str) -> str | None:
        """The type of the layer whose input or output a tensor is."""
        return layers.layer_of(name, self._layers)

    def collections_of(self, name: str, kind: str) -> tuple[Collection, ...]:
        """The collections that a tensor belongs to."""
        found = self._found.get((name, kind))
        if found is None:
            found = self._found[name, kind] = self._settings.collections_of(name, kind, self.layer_of(name))
        return found

    def by_hand(self, name: str, kind: str) -> tuple[Collection, ...]:
        """The collections of a tensor that the script hands over: `tensors`, unless it belongs to others."""
        usual = tuple(c for c in self._settings.collections if c.name == "tensors")
        return self.collections_of(name, kind) or usual

    def that_may_hold(self, kind: str) -> frozenset[str]:
        """The collections that tensors of a kind can belong to, for those whose names aren't known beforehand."""
        return frozenset(c.name for c in self._settings.collections if kind in (kinds_of(c.name) or {kind}))

    def are_sparse(self, collections: frozenset[str]) -> bool:
        """Whether nobody asked for any of the collections."""
        return all(found.sparse for found in self._settings.collections if found.name in collections)

    def due(self, moment: tuple[str, int]) -> frozenset[str]:
        """The collections that are saved at a mode and step. Costs next to nothing within one step."""
        decided, due = self._decided
        if decided != moment:
            now = [c.name for c in self._at_times if c.due(*moment)]
            due = self._always.union(now) if now else self._always
            self._decided = (moment, due)
        return due

    def document(self) -> dict[str, Any]:
        """The collections and the known names, as readers of the folder find them."""
        return {**self._settings.document(), "names": dict(self._kinds), "layers": dict(self._layers)}

    def unmatched(self) -> Iterator[str]:
        """A sentence for each collection whose expressions find none of the known names."""
        for collection in self._settings.collections:
            if collection.include and not any(
                collection.holds(name, kind, self.layer_of(name)) for name, kind in self._kinds.items()
            ):
                sought = " or ".join(map(repr, collection.include))
                there = ", ".join(list(self._kinds)[:5]) or "none yet"
                yield f"collection {collection.name}: {sought} matches no tensor; there are {there}"
