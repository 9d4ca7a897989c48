"""S3's state as records: a bucket's settings, and one record for all that a key is.

A key's record holds its current object, its versions and their tags, ACLs, annotations and locks, and names the bodies;
an unfinished upload is a record, and each of its parts. So whatever a request changes is one commit. MiniStack's own
containers are replaced by ones that tell which entries were changed.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

from localaws.ministack_adapter.journal import Record, pack, unpack
from localaws.ministack_adapter.s3_bodies import EMPTY, Bodies, joined, names_in
from localaws.ministack_adapter.s3_contents import Content, PartMark, joined_names
from localaws.ministack_adapter.service_state import ServiceState, Stores, join_whole, whole

Document = dict[str, Any]
# Has a body on disk; its name.
Write = Callable[[bytes | Content], str]
# ("keys", (account, bucket, key)), ("uploads", (account, id)), ("parts", (account, id, number)), ("completed", …).
Place = tuple[str, tuple[Any, ...]]

KEYS, UPLOADS, PARTS, COMPLETED = "keys", "uploads", "parts", "completed"
# What MiniStack keeps by (bucket, key, version), by its name in a key's record.
BY_VERSION = {
    "tags": "_object_tags",
    "acl": "_object_acl",
    "annotations": "_object_annotations",
    "retention": "_object_retention",
    "legal_hold": "_object_legal_hold",
}


class Telling(dict[Any, Any]):
    """A dictionary that tells of each entry that is set or removed."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self.tell = tell

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.tell(key)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self.tell(key)

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        self.tell(key)
        return value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        else:
            self.tell(key)  # what is asked for like this is about to be changed
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        for key, value in dict(*others, **named).items():
            self[key] = value


class Objects(Telling):
    """A bucket's objects. A body is on disk before its object is in here."""

    def __init__(self, tell: Callable[[Any], None], write: Write) -> None:
        super().__init__(tell)
        self._write = write

    def __setitem__(self, key: Any, record: Any) -> None:
        if "body_name" not in record and "parts" in record:
            record["body_name"] = joined(joined_names(record["body"]))
            record["size"] = sum(part["Size"] for part in record["parts"])
        elif "body_name" not in record:
            record["body_name"] = self._write(record["body"] or b"")
        record["body"] = None
        super().__setitem__(key, record)


class Part(dict[str, Any]):
    """An upload's part; its body is a mark when it is asked for: parts are joined by their names."""

    def __getitem__(self, name: str) -> Any:
        if name == "body":
            return PartMark.of(self["body_name"], self["size"], self["etag"])
        return super().__getitem__(name)


class Parts(Telling):
    """An upload's parts. A body is on disk before its part is in here."""

    def __init__(self, tell: Callable[[Any], None], write: Write) -> None:
        super().__init__(tell)
        self._write = write

    def __setitem__(self, number: Any, part: Any) -> None:
        members = {name: part[name] for name in part if name != "body"}
        if "body_name" not in members:
            members["body_name"] = self._write(part["body"])
        super().__setitem__(number, Part(members))


class Holding(Telling):
    """Buckets, or uploads: each entry's `member` is put into a container that tells."""

    def __init__(self, tell: Callable[[Any], None], member: str, wrapped: Callable[[Any, Any], Telling]) -> None:
        super().__init__(tell)
        self._member, self._wrapped = member, wrapped

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(value.get(self._member), Telling):
            held = self._wrapped(key, value)
            held.update(value.get(self._member) or {})
            value[self._member] = held
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove an entry, and tell of all that it held."""
        held: Telling | None = self[key][self._member] if key in self else None
        value = super().pop(key, *default)
        if held is not None:
            for each in held:
                held.tell(each)
        return value


class S3State(ServiceState):
    """S3's records. `lock` is held while a request changes S3: what is looked at is never half a change."""

    def __init__(self, stores: Callable[[], Stores], s3: Any, bodies: Bodies, lock: threading.RLock) -> None:
        super().__init__("s3", stores, whole, join_whole)
        self._s3, self._bodies, self._lock = s3, bodies, lock
        self._touched: deque[Place] = deque()
        self._written: deque[str] = deque()
        self._named: dict[Place, frozenset[str]] = {}
        self._uses: Counter[str] = Counter()
        # What was looked at and isn't committed yet: the places with the bodies that they name, and the bodies written.
        self._looked_at: dict[Place, frozenset[str]] = {}
        self._made: list[str] = []
        self._restored: list[tuple[Place, Any]] = []
        self._follow()

    def touched(self, account: str, bucket: str, key: str) -> None:
        """Say that something of a key was changed in place."""
        self._touched.append((KEYS, (account, bucket, key)))

    def changes(self) -> list[Record]:
        with self._lock:
            changed = super().changes()
            for place in _emptied(self._touched):
                self._looked_at[place] = frozenset()
            self._made += _emptied(self._written)
            return changed + [self._look_at(place) for place in self._looked_at]

    def forget(self) -> None:
        super().forget()
        self._touched.extend(self._looked_at)
        self._written.extend(self._made)
        self._looked_at, self._made = {}, []

    def committed(self) -> None:
        """Delete the bodies that nothing on disk names any more."""
        gone = set(self._made)
        for place, names in self._looked_at.items():
            before = self._named.pop(place, frozenset())
            self._uses.update(names)
            self._uses.subtract(before)
            gone |= before
            if names:
                self._named[place] = names
        unused = [name for name in gone if self._uses[name] <= 0]
        for name in unused:
            del self._uses[name]
        self._looked_at, self._made = {}, []
        self._bodies.remove(unused)

    def restored(self, records: Iterator[Record]) -> Stores:
        own = {KEYS, UPLOADS, PARTS, COMPLETED}
        settings = []
        for record in records:
            if record.store in own:
                self._restored.append(((record.store, unpack(record.key)[0]), unpack(record.value or b"")))
            else:
                settings.append(record)
        return super().restored(iter(settings))

    def loaded(self) -> None:
        """Put keys and uploads into the buckets that are there again. Nothing of it is a change."""
        for place, document in sorted(self._restored, key=lambda each: each[0][0] == PARTS):
            self._put(place, document)
            names = _names(place, document)
            if names:
                self._named[place] = names
                self._uses.update(names)
        self._restored = []
        self._touched.clear()
        self._bodies.sweep(frozenset(self._uses))
        self._s3._reschedule_restores()

    def _follow(self) -> None:
        s3 = self._s3
        s3._buckets._data = Holding(lambda _bucket: None, "objects", self._objects)
        s3._multipart_uploads._data = Holding(
            lambda place: self._touched.append((UPLOADS, place)), "parts", self._parts
        )
        s3._completed_multipart_uploads._data = Telling(lambda place: self._touched.append((COMPLETED, place)))
        s3._object_versions._data = Telling(lambda place: self.touched(place[0], *place[1]))
        for name in BY_VERSION.values():
            getattr(s3, name)._data = Telling(lambda place: self.touched(place[0], *place[1][:2]))

    def _objects(self, scoped: Any, _bucket: Document) -> Objects:
        return Objects(lambda key: self.touched(scoped[0], scoped[1], key), self._write)

    def _parts(self, scoped: Any, _upload: Document) -> Parts:
        return Parts(lambda number: self._touched.append((PARTS, (*scoped, number))), self._write)

    def _write(self, body: bytes | Content) -> str:
        name = self._bodies.keep(body)
        self._written.extend(names_in(name))
        return name

    def _look_at(self, place: Place) -> Record:
        document = self._now(place)
        self._looked_at[place] = frozenset() if document is None else _names(place, document)
        return Record(self.service, place[0], pack((place[1], ())), None if document is None else pack(document))

    def _now(self, place: Place) -> Any:
        """What a place holds in memory, as plain data; None for nothing."""
        store, key = place
        if store == KEYS:
            return self._key(*key)
        if store == COMPLETED:
            return self._s3._completed_multipart_uploads._data.get(key)
        upload = self._s3._multipart_uploads._data.get(key[:2])
        if upload is None or store == UPLOADS:
            return upload and {name: value for name, value in upload.items() if name != "parts"}
        part = upload["parts"].get(key[2])
        return part and dict(part)

    def _key(self, account: str, bucket: str, key: str) -> Document | None:
        held = self._s3._buckets._data.get((account, bucket), {})
        versions = self._s3._object_versions._data.get((account, (bucket, key)))
        ids = [None, "null", *(version["version_id"] for version in versions or ())]
        found = {"object": held.get("objects", {}).get(key), "versions": versions or None}
        for name, store in BY_VERSION.items():
            stored = getattr(self._s3, store)._data
            of_ids = {each: stored.get((account, (bucket, key, each))) for each in ids}
            found[name] = {each: value for each, value in of_ids.items() if value is not None} or None
        document = {name: value for name, value in found.items() if value is not None}
        return document if "object" in document or "versions" in document else None

    def _put(self, place: Place, document: Any) -> None:
        store, key = place
        if store == KEYS:
            self._put_key(*key, document=document)
        elif store == COMPLETED:
            self._s3._completed_multipart_uploads._data[key] = document
        elif store == UPLOADS:
            self._s3._multipart_uploads._data[key] = {**document, "parts": {}}
        else:
            self._s3._multipart_uploads._data[key[:2]]["parts"][key[2]] = document

    def _put_key(self, account: str, bucket: str, key: str, *, document: Document) -> None:
        if "object" in document:
            self._s3._buckets._data[account, bucket]["objects"][key] = document["object"]
        if "versions" in document:
            self._s3._object_versions._data[account, (bucket, key)] = document["versions"]
        for name, store in BY_VERSION.items():
            for version, value in document.get(name, {}).items():
                getattr(self._s3, store)._data[account, (bucket, key, version)] = value


def _emptied(waiting: deque[Any]) -> list[Any]:
    """What waits, taken out; others may put more in meanwhile."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _names(place: Place, document: Any) -> frozenset[str]:
    """The bodies that a record names."""
    if place[0] == PARTS:
        named = [document]
    elif place[0] == KEYS:
        named = [document.get("object", {}), *document.get("versions", ())]
    else:
        named = []
    return frozenset(name for each in named for name in names_in(each.get("body_name", EMPTY)))
