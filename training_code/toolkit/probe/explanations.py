"""Explains in a sentence why a tensor isn't there. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit.probe.layers import layer_of
from toolkit.probe.settings import Collection, Settings


@dataclass
class Known:
    """The collections that the workers were to save, the names that they knew, by kind, and the layers' types."""

    kinds: dict[str, str] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)

    def add(self, document: Mapping[str, Any]) -> None:
        """Adds a worker's collections file: {"collections": {…}, "names": {name: kind}, "layers": {…}}."""
        settings = Settings.of({"collections": {name: _quiet(said) for name, said in document["collections"].items()}})
        self.kinds.update(document["names"])
        self.layers.update(document.get("layers", {}))
        self.collections.update({c.name: c for c in settings.collections if c.name in document["collections"]})

    def of(self, name: str) -> list[Collection]:
        """The collections that a known name belongs to."""
        layer = layer_of(name, self.layers)
        return [c for c in self.collections.values() if c.holds(name, self.kinds[name], layer)]


def _quiet(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Question:
    """A tensor that was asked for, with all that the index says of it.

    step: None asks for any. saved: all names that were saved, at whatever step and mode. steps: by reduction (None: the
    whole tensor), those at which this one was saved in this mode. dropped: what happened to it at this step, if the
    index says so. last: the mode's last step so far (-1 before the first); ended: there will be no other.
    """

    name: str
    step: int | None
    mode: str
    saved: Sequence[str]
    steps: Mapping[str | None, Sequence[int]]
    dropped: str | None
    last: int
    ended: bool


def why_not(asked: Question, known: Known) -> str:
    """The explanation, without its full stop."""
    what = f"{asked.name} is not saved" + ("" if asked.step is None else f" at {asked.mode} step {asked.step}")
    if asked.dropped:
        return f"{what}: it was dropped, because {asked.dropped}"
    if not known.collections and not asked.saved:
        return f"{what}: nothing is; either no probe runs, or it hasn't started yet"
    if asked.name not in known.kinds and asked.name not in asked.saved:
        return f"{what}: there is no tensor of that name{_alike(asked.name, sorted({*known.kinds, *asked.saved}))}"
    collections = known.of(asked.name) if asked.name in known.kinds else []
    if not collections and asked.name not in asked.saved:
        have = ", ".join(sorted(known.collections))
        return f"{what}: it is of kind {known.kinds[asked.name]}, in none of the collections ({have}) of `probe:`"
    return f"{what}: {_not_due(collections, asked) or _due_but_absent(asked)}"


def _not_due(collections: Sequence[Collection], asked: Question) -> str | None:
    """Why none of its collections was due; None when one was."""
    if asked.step is None:
        return None
    reasons = [(c.name, c.not_due(asked.mode, asked.step)) for c in collections]
    if any(reason is None for _, reason in reasons):
        return None
    return "; ".join(f"its collection {name} {reason}" for name, reason in reasons)


def _due_but_absent(asked: Question) -> str:
    reduced = sorted(r for r, steps in asked.steps.items() if r is not None and asked.step in steps)
    if reduced:
        numbers = ", ".join(reduced)
        return f"only numbers of it are saved ({numbers}); say `values: true` in its collection for the whole tensor"
    if asked.step is None or asked.step > asked.last:
        last = f"the last step saved is {asked.last}" if asked.last >= 0 else "no step has been saved"
        return f"the job has ended, and {last}" if asked.ended else f"not yet, {last}"
    at = sorted({step for steps in asked.steps.values() for step in steps})
    if at:
        return f"the model produced none then; it is saved at {len(at)} steps, from {at[0]} to {at[-1]}"
    return "the model produced none (a module that isn't called, or a parameter without a gradient)"


def _alike(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:3]
    return f"; there are {len(names)}, such as {', '.join(close)}" if close else ""
