"""A MiniStack service's state as small records, and which of them changed since the last look.

A service keeps its state in module-level containers. One entry of a container is one record; entries that grow (a
queue's messages, a table's items, a log stream's events, a metric's data points) are split further, so that a change
costs what changed and not what is there. A look begins with a glance at each entry, which costs a part of it.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from localaws.database import DamagedStateError
from localaws.ministack_adapter.journal import Record, pack, unpack

Document = dict[str, Any]
# Containers of the service by name: MiniStack's scoped dictionaries, or plain values.
Stores = dict[str, Any]
Key = tuple[Any, ...]

CHUNK = 256


class Part(NamedTuple):
    """A piece of an entry. Pieces with the same `token` as last time are taken as unchanged and not packed again."""

    sub: Key
    token: Any
    value: Any


Splitter = Callable[[str, Any], Iterator[Part]]
# Of a store's entry a value that is another one wherever one of its parts is; it costs less than the parts.
Glance = Callable[[str, Any], Any]
Joiner = Callable[[dict[Key, Any]], Any]


def packed(_store: str, value: Any) -> int:
    """The glance at an entry that is small, all of it."""
    return hash(pack(value))


class ServiceState:
    """The records of one service. `stores` answers its live containers; nothing is copied."""

    def __init__(
        self,
        service: str,
        stores: Callable[[], Stores],
        split: Splitter,
        join: Joiner,
        glance: Glance = packed,
    ) -> None:
        self.service = service
        self._stores = stores
        self._split = split
        self._join = join
        self._glance = glance
        # By store, and there by (an entry's key, a part's): what the part was when it was looked at last.
        self._tokens: dict[str, dict[tuple[Any, Key], Any]] = {}
        self._glances: dict[str, dict[Any, Any]] = {}

    def changes(self) -> list[Record]:
        """The changes since the last call; they must be committed, or `forget` be called."""
        changed: list[Record] = []
        stores = self._stores()
        for store in [*stores, *(self._tokens.keys() - stores.keys())]:
            found = entries(stores[store]) if store in stores else []
            # Before the entries themselves: what changes meanwhile is seen with the next call.
            glances = {key: self._glance(store, value) for key, value in found}
            if glances != self._glances.get(store):
                self._changes_of(store, found, glances, changed)
        return changed

    def forget(self) -> None:
        """Take everything as changed the next time, because what was found could not be committed."""
        self._tokens = {store: dict.fromkeys(tokens) for store, tokens in self._tokens.items()}
        self._glances = {}

    def committed(self) -> None:
        """Take note that what `changes` found is on disk."""

    def loaded(self) -> None:
        """Take note that the service has the stores back that `restored` made."""

    def restored(self, records: Iterator[Record]) -> Stores:
        """The stores as they were, of the kinds that the service has now. Raises DamagedStateError."""
        parts: dict[str, dict[Any, dict[Key, Any]]] = {}
        for record in records:
            key, sub = unpack(record.key)
            try:
                parts.setdefault(record.store, {}).setdefault(key, {})[sub] = unpack(record.value or b"")
            except pickle.UnpicklingError as error:
                raise DamagedStateError(
                    f"the journal's records of {self.service} ({record.store}) can't be read: {error}. Put the journal "
                    "back from a copy, or delete the whole folder to begin anew"
                ) from error
            self._seed(record, key, sub)
        stores = {name: _empty(container) for name, container in self._stores().items()}
        for name, found in parts.items():
            joined = {key: value for key, entry in found.items() if (value := self._join(entry)) is not None}
            stores[name] = _filled(stores.get(name), joined)
        return stores

    def _seed(self, record: Record, key: Any, sub: Key) -> None:
        """Know what is on disk, so that it is deleted when it is gone."""
        self._tokens.setdefault(record.store, {})[(key, sub)] = hash(record.value)

    def _changes_of(
        self, store: str, found: list[tuple[Any, Any]], glances: dict[Any, Any], changed: list[Record]
    ) -> None:
        """Adds a store's changes, of those entries that are others than before at a glance."""
        before, tokens = self._glances.get(store, {}), self._tokens.get(store, {})
        kept = {key for key, glance in glances.items() if key in before and glance == before[key]}
        seen = {place: token for place, token in tokens.items() if place[0] in kept}
        for key, value in found:
            if key not in kept:
                for part in self._split(store, value):
                    self._look(store, key, part, seen, changed)
        changed += [Record(self.service, store, pack(place), None) for place in tokens.keys() - seen.keys()]
        self._tokens[store], self._glances[store] = seen, glances

    def _look(self, store: str, key: Any, part: Part, seen: dict[tuple[Any, Key], Any], changed: list[Record]) -> None:
        last = self._tokens.get(store, {}).get((key, part.sub))
        if part.token is not None and part.token == last:
            seen[key, part.sub] = last
            return
        data = pack(part.value)
        token = part.token if part.token is not None else hash(data)
        seen[key, part.sub] = token
        if token != last:
            changed.append(Record(self.service, store, pack((key, part.sub)), data))


def whole(_store: str, value: Any) -> Iterator[Part]:
    """An entry that is one record."""
    yield Part((), None, value)


def join_whole(parts: dict[Key, Any]) -> Any:
    return parts.get(())


def chunks(name: Key, items: list[Any], fingerprint: Callable[[Any], Any]) -> Iterator[Part]:
    """A list that grows at its end, in pieces of which only the last one changes."""
    for start in range(0, len(items), CHUNK):
        chunk = items[start : start + CHUNK]
        yield Part((*name, start), (len(chunk), fingerprint(chunk[0]), fingerprint(chunk[-1])), chunk)


def join_chunks(parts: dict[Key, Any]) -> list[Any]:
    """The list of `chunks`, from its pieces by where they start."""
    return [item for _, chunk in sorted(parts.items()) for item in chunk]


def live_stores(module: types.ModuleType) -> Stores:
    """The answer of the module's `get_state`, without its deep copies: records are packed in one step instead."""
    get_state = module.get_state
    without_copies = types.FunctionType(get_state.__code__, {**vars(module), "copy": _NoCopy})
    stores: Stores = without_copies() or {}
    return stores


class _NoCopy:
    """Stands in for the module `copy`."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value

    copy = deepcopy


def entries(container: Any) -> list[tuple[Any, Any]]:
    """(key, value) of a container; a plain value is one entry under an empty key."""
    if isinstance(container, dict):
        return list(container.items())
    if hasattr(container, "_data"):
        return list(container._data.items())
    return [((), container)]


def _empty(container: Any) -> Any:
    if isinstance(container, dict):
        return {}
    return type(container)() if hasattr(container, "_data") else None


def _filled(container: Any, found: dict[Any, Any]) -> Any:
    if container is None:
        return found.get((), found)
    if isinstance(container, dict):
        container.update(found)
    else:
        container._data.update(found)
    return container
