"""Records on disk that survive `kill -9`: one SQLite file, one transaction a commit.

SQLite's write-ahead log with `synchronous=NORMAL` keeps every committed transaction when the process is killed; only a
crash of the whole machine may lose the last ones, never the file ("Write-Ahead Logging" in SQLite's documentation).
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    service TEXT NOT NULL, store TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
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
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)

    def commit(self, records: Iterable[Record]) -> None:
        """Write and delete these records, all or none."""
        written, deleted = [], []
        for record in records:
            if record.value is None:
                deleted.append((record.service, record.store, record.key))
            else:
                written.append((record.service, record.store, record.key, record.value))
        if not written and not deleted:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", written)
            self._connection.executemany("DELETE FROM record WHERE service = ? AND store = ? AND key = ?", deleted)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def services(self) -> list[str]:
        return [name for (name,) in self._connection.execute("SELECT DISTINCT service FROM record ORDER BY service")]

    def records(self, service: str) -> Iterator[Record]:
        rows = self._connection.execute("SELECT store, key, value FROM record WHERE service = ?", (service,))
        return (Record(service, store, key, value) for store, key, value in rows)

    def close(self) -> None:
        self._connection.close()
