"""Records on disk that survive `kill -9`: one SQLite file, one transaction a commit; see `localaws.database`.

Each record has a checksum, so that one that was changed on disk is never taken for what was written.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.database import DamagedStateError, Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    service TEXT NOT NULL, store TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, sum INTEGER,
    PRIMARY KEY (service, store, key)
) WITHOUT ROWID
"""

# What MiniStack's state consists of, besides plain containers, strings and numbers.
_ALLOWED_TYPES = {
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "bytearray"),
    ("builtins", "dict"),
    ("builtins", "list"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "deque"),
    ("datetime", "datetime"),
    ("datetime", "date"),
    ("datetime", "timezone"),
    ("datetime", "timedelta"),
    ("decimal", "Decimal"),
    ("ministack.core.responses", "AccountScopedDict"),
    ("ministack.core.responses", "AccountRegionScopedDict"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One part of a service's state. `key` and `value` are packed; a value of None says that the record is gone."""

    service: str
    store: str
    key: bytes
    value: bytes | None


def pack(value: object) -> bytes:
    """Bytes of a value that consists of plain data. In one step as other threads see it: C code holds the GIL."""
    return pickle.dumps(value, protocol=5)


def unpack(data: bytes) -> Any:
    """The value of `pack`'s bytes. Nothing but plain data is ever made of them, whatever the file holds."""
    return _PlainUnpickler(io.BytesIO(data)).load()


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED_TYPES:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in a journal")
        return super().find_class(module, name)


class Journal:
    """The records of one state folder. Not thread-safe: its user commits under a lock."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)
        self._connection = self._database.connection
        if "sum" not in [row[1] for row in self._connection.execute("PRAGMA table_info(record)")]:
            raise DamagedStateError(
                f"{path} was written by an earlier version, which kept less of what it should. Take down what is "
                "there with that version, or delete the whole folder to begin anew"
            )

    def commit(self, records: Iterable[Record]) -> None:
        """Write and delete these records, all or none."""
        written, deleted = [], []
        for record in records:
            if record.value is None:
                deleted.append((record.service, record.store, record.key))
            else:
                written.append((record.service, record.store, record.key, record.value, _sum(record)))
        if not written and not deleted:
            return
        with self._database.transaction():
            self._connection.executemany("DELETE FROM record WHERE service = ? AND store = ? AND key = ?", deleted)
            self._connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", written)

    def services(self) -> list[str]:
        return [name for (name,) in self._rows("SELECT DISTINCT service FROM record ORDER BY service")]

    def records(self, service: str) -> Iterator[Record]:
        """A service's records. Raises DamagedStateError where one isn't what was written."""
        for store, key, value, checksum in self._rows(
            "SELECT store, key, value, sum FROM record WHERE service = ?", service
        ):
            record = Record(service, store, key, value)
            if _sum(record) != checksum:
                raise DamagedStateError(
                    f"{self._database.path}: a record of {service} ({store}) isn't what was written. Put the file back "
                    "from a copy, or delete the whole folder to begin anew"
                )
            yield record

    def fold(self) -> None:
        """Bring what was committed onto the disk itself, and shorten the log; from any thread."""
        self._database.fold()

    def shrink(self) -> bool:
        """Give some of what was freed back to the disk; whether there is more."""
        return self._database.shrink()

    def close(self) -> None:
        self._database.close()

    def _rows(self, query: str, *values: str) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise DamagedStateError(
                f"{self._database.path}: it can't be read ({error}). Put it and its log back from a copy, or delete "
                "the whole folder to begin anew"
            ) from error


def _sum(record: Record) -> int:
    """A record's checksum, over all that it says."""
    place = zlib.crc32(record.key, zlib.crc32(f"{record.service}\0{record.store}\0".encode()))
    return zlib.crc32(record.value or b"", place)
