"""SQLite files that keep what was committed, and notice at their start when it isn't all there.

Write-ahead logging with `synchronous=NORMAL` keeps every committed transaction when the process is killed, `kill -9`
included; only a machine that loses its power may lose the last ones, never the file ("Write-Ahead Logging" in SQLite's
documentation). SQLite itself says nothing of a log that was cut short, emptied or deleted: it goes on with what is
left. So every transaction has a number, and the last one is noted beside the file, with the boot of the machine: where
the file is behind its mark and the machine wasn't started anew meanwhile, somebody has changed the files.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

# What a log may grow to before it is folded into its file, and what stays of it on disk.
LOG_BYTES = 1 << 20
# Pages that are free are given back this many at a time.
_FREED_PAGES = 512
_MARK_BYTES = 64
_SCHEMA = "CREATE TABLE IF NOT EXISTS sequence (number INTEGER NOT NULL)"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DamagedStateError(RuntimeError):
    """A file of the state isn't as it was written; the message says which, and what to do."""


class Database:
    """One SQLite file. Not thread-safe: its user holds a lock while it is used, except for `fold`."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._mark = Mark(path.with_suffix(".mark"))
        with _damage_told(path):
            self._sequence = _checked(path, self._mark)
            self.connection = _opened(path, schema)
        self._mark.write(self._sequence)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several reads and writes as one; nests (the outermost commits)."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("UPDATE sequence SET number = ?", (self._sequence + 1,))
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # SQLite itself rolls back where the disk is full
                self.connection.execute("ROLLBACK")
            raise
        self._sequence += 1
        self._mark.write(self._sequence)

    def fold(self) -> None:
        """Write the log into its file and onto the disk itself, and shorten it. By a connection of its own, so that
        nobody who commits waits for the disk."""
        log = self.path.with_name(f"{self.path.name}-wal")
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            if log.stat().st_size > 0:
                with contextlib.closing(sqlite3.connect(self.path, isolation_level=None, timeout=0.05)) as other:
                    other.execute("PRAGMA wal_checkpoint(PASSIVE)")
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shrink(self) -> bool:
        """Give some of the file's free pages back to the disk; whether there are more."""
        (free,) = self.connection.execute("PRAGMA freelist_count").fetchone()
        if free > _FREED_PAGES:
            self.connection.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
        return bool(free > 2 * _FREED_PAGES)

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        self.connection.close()
        self._mark.close()


class Mark:
    """The number of the last transaction and the boot in which it was, in a small file that is overwritten in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._boot = _boot()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> tuple[int, bool]:
        """The number, and whether it was written since the machine was started."""
        words = os.pread(self._descriptor, _MARK_BYTES, 0).decode(errors="replace").split()
        if len(words) != 2 or not words[0].isdigit():
            return 0, False
        return int(words[0]), words[1] == self._boot

    def write(self, number: int) -> None:
        # A full disk takes nothing away: the file has its block. What can't be written is only noticed less well.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, f"{number:020d} {self._boot}".ljust(_MARK_BYTES).encode(), 0)

    def close(self) -> None:
        os.close(self._descriptor)


def check(path: Path) -> None:
    """Raises DamagedStateError where a file isn't what its mark says."""
    mark = Mark(path.with_suffix(".mark"))
    with _damage_told(path):
        _checked(path, mark)
    mark.close()


def _checked(path: Path, mark: Mark) -> int:
    """The number of the file's last transaction. Raises DamagedStateError when it isn't the last one that there was."""
    number = _number(path)
    marked, same_boot = mark.read()
    if number >= marked:
        return number
    if same_boot:
        raise DamagedStateError(
            f"{path}: the last {marked - number} of {marked} commits are gone, though this machine has been running "
            f"since: the file or its log ({path.name}-wal) was emptied, cut short, changed or deleted. Put both back "
            f"from a copy; or delete {mark.path} to go on with what is left; or delete the whole folder to begin anew"
        )
    logger.error(
        "%s: the machine was started anew, and the last %d of %d commits had not reached the disk",
        path,
        marked - number,
        marked,
    )
    return number


def _number(path: Path) -> int:
    """The number of the last transaction of a file. By a connection that may only read: it leaves the log as it is,
    where one that may write would fold what it can read of it into the file."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader:
        tables = reader.execute("SELECT name FROM sqlite_master WHERE name = 'sequence'").fetchall()
        row = reader.execute("SELECT number FROM sequence").fetchone() if tables else None
    return int(row[0]) if row else 0


def _opened(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    connection.executescript(f"{_SCHEMA};{schema}")
    if connection.execute("SELECT number FROM sequence").fetchone() is None:
        connection.execute("INSERT INTO sequence VALUES (0)")
    return connection


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Say of a file that SQLite can't read which it is and what to do."""
    try:
        yield
    except sqlite3.OperationalError:
        raise  # no damage: a full disk, no permission
    except sqlite3.DatabaseError as error:
        raise DamagedStateError(
            f"{path}: it can't be read ({error}). Put it and {path.name}-wal back from a copy, or delete the whole "
            "folder to begin anew"
        ) from error


def _boot() -> str:
    """What names the machine's last start; "?" where nothing does, as on macOS."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "?"
