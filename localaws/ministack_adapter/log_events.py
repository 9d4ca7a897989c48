"""Log events on disk: a row an event in one SQLite file, so that a log of any size costs memory for a page only.

A row is written and committed when the event arrives, before who sent it is answered, as safely as the journal's
records. Streams are known by a number that their record in the journal holds: what belongs to no stream any more, since
its group was deleted, goes in the background.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from localaws.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    stream INTEGER NOT NULL, timestamp INTEGER NOT NULL, number INTEGER NOT NULL,
    ingestion INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (stream, timestamp, number)
) WITHOUT ROWID
"""
_COLUMNS = "stream, timestamp, number, ingestion, message"
_FIRST_PAGE, _LARGEST_PAGE = 32, 512
_DELETED_AT_ONCE = 20_000
_AFTER_ALL = 1 << 62

Place = tuple[int, int]  # of an event in its stream: timestamp and number


class LogEvent(NamedTuple):
    """A line of a log. `number` tells events of one millisecond apart, in the order of their arrival."""

    stream: int
    timestamp: int
    number: int
    ingestion: int
    message: str

    @property
    def place(self) -> Place:
        return self.timestamp, self.number

    @property
    def id(self) -> str:
        """56 digits, as AWS's: the event can be found by them."""
        return f"{self.timestamp:014d}{self.stream:020d}{self.number:022d}"


class Found(NamedTuple):
    """An event and the name of its stream."""

    name: str
    event: LogEvent


BEFORE_ALL: Place = (-1, -1)
END: Place = (_AFTER_ALL, _AFTER_ALL)


class LogEvents:
    """The events of all streams. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reading_lock = threading.Lock()
        # Above every number of before, without a look at them.
        self._next = time.time_ns() // 1000
        if path.exists():
            self._database  # noqa: B018 - it is whole, or the server doesn't begin

    @cached_property
    def _database(self) -> Database:
        """The file; made for the first event, since most servers end without one."""
        return Database(self._path, _SCHEMA)

    @property
    def _writing(self) -> sqlite3.Connection:
        return self._database.connection

    @cached_property
    def _reading(self) -> sqlite3.Connection:
        self._database  # noqa: B018 - the table is there
        return sqlite3.connect(self._path, check_same_thread=False)

    def append(self, stream: int, events: Iterable[tuple[int, int, str]]) -> None:
        """Keep events: (timestamp, ingestion time, message)."""
        with self._lock, self._database.transaction():
            rows = [
                (stream, timestamp, number, ingestion, message)
                for number, (timestamp, ingestion, message) in enumerate(events, self._next)
            ]
            self._next += len(rows)
            self._writing.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)

    def after(self, stream: int, place: Place, limit: int, end: int = _AFTER_ALL) -> list[LogEvent]:
        """The next events of a stream behind a place, before the time `end`."""
        return self._read(
            f"SELECT {_COLUMNS} FROM event WHERE stream = ? AND (timestamp, number) > (?, ?) AND timestamp < ? "  # noqa: S608
            "ORDER BY timestamp, number LIMIT ?",
            (stream, *place, end, limit),
        )

    def before(self, stream: int, place: Place, limit: int, start: int = -1) -> list[LogEvent]:
        """The last events of a stream before a place, from the time `start` on; the oldest first."""
        found = self._read(
            f"SELECT {_COLUMNS} FROM event WHERE stream = ? AND (timestamp, number) < (?, ?) AND timestamp >= ? "  # noqa: S608
            "ORDER BY timestamp DESC, number DESC LIMIT ?",
            (stream, *place, start, limit),
        )
        return found[::-1]

    def every(self, stream: int, place: Place, end: int) -> Iterator[LogEvent]:
        """All events of a stream behind a place and before the time `end`, a page in memory at a time."""
        size = _FIRST_PAGE
        while page := self.after(stream, place, size, end):
            yield from page
            place = page[-1].place
            size = min(size * 2, _LARGEST_PAGE)

    def find(self, identifier: str) -> LogEvent | None:
        """The event of an id."""
        if not (identifier.isascii() and identifier.isdigit() and len(identifier) == 56):
            return None
        timestamp, stream, number = int(identifier[:14]), int(identifier[14:34]), int(identifier[34:])
        if max(stream, number) >= _AFTER_ALL:
            return None
        found = self.after(stream, (timestamp, number - 1), 1)
        return found[0] if found and found[0].place == (timestamp, number) else None

    def forget(self, stream: int, before: int = _AFTER_ALL) -> None:
        """Delete a stream's events up to a time; others may write meanwhile."""
        deleted = _DELETED_AT_ONCE
        while deleted == _DELETED_AT_ONCE:
            with self._lock, self._database.transaction():
                deleted = self._writing.execute(
                    "DELETE FROM event WHERE stream = ?1 AND (timestamp, number) IN (SELECT timestamp, number "
                    "FROM event WHERE stream = ?1 AND timestamp < ?2 ORDER BY timestamp, number LIMIT ?3)",
                    (stream, before, _DELETED_AT_ONCE),
                ).rowcount
        with self._lock:
            self._writing.executescript("PRAGMA incremental_vacuum")  # `execute` gives one page back

    def streams(self) -> Iterator[int]:
        """The numbers of the streams that have events."""
        last = -1
        while True:
            with self._reading_lock:
                found = self._reading.execute("SELECT MIN(stream) FROM event WHERE stream > ?", (last,)).fetchone()[0]
            if found is None:
                return
            last = int(found)
            yield last

    def _read(self, query: str, values: tuple[int, ...]) -> list[LogEvent]:
        with self._reading_lock:
            return list(map(LogEvent._make, self._reading.execute(query, values)))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, self._reading_lock:
            if "_reading" in self.__dict__:
                self._reading.close()
            if "_database" in self.__dict__:
                self._database.close()
