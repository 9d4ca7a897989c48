"""Paths of input transformers with indices and quoted names, which MiniStack reads as text between dots."""

from __future__ import annotations

import re
from typing import Any

Document = dict[str, Any]
_BRACKETS = re.compile(r"\[(?:(\d+)|'([^']*)'|\"([^\"]*)\")\]")


def dotted(transformer: Document) -> Document:
    """The transformer with each path as names between dots: $.detail.l[1] as $.detail.l.1."""
    paths = {name: _BRACKETS.sub(_as_name, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    return {**transformer, "InputPathsMap": paths}


def _as_name(found: re.Match[str]) -> str:
    return "." + next(group for group in found.groups() if group is not None)


class IndexedView:
    """An event's view in which a list's elements can be asked for by name."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def event_with_detail(self) -> Any:
        return indexed(self._view.event_with_detail())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


class IndexedList(list[Any]):
    """A list whose elements are also found by their number as text."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(int(index) if isinstance(index, str) and index.isdecimal() else index)


def indexed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: indexed(each) for name, each in value.items()}
    return IndexedList(map(indexed, value)) if isinstance(value, list) else value
