"""Where SageMaker's resources live: one SQLite file of JSON documents by (kind, name), and tags by ARN.

Every method that returns has committed: nothing is lost when the process is killed, see `localaws.database`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localaws.database import Database
from localaws.sagemaker.core.request import Document

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tag (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)
) WITHOUT ROWID;
"""

Change = Callable[[Document], Document]


class Store:
    """Thread-safe; documents that go in and come out are copies."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._file = Database(path, _SCHEMA)
        self._database = self._file.connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several reads and writes as one; nests (the outermost commits)."""
        with self._lock, self._file.transaction():
            yield

    def create(self, kind: str, name: str, document: Document) -> bool:
        """Add a resource; False, and nothing written, when the name is taken."""
        with self.transaction():
            cursor = self._database.execute(
                "INSERT OR IGNORE INTO resource VALUES (?, ?, ?)", (kind, name, json.dumps(document))
            )
            return cursor.rowcount == 1

    def get(self, kind: str, name: str) -> Document | None:
        """The document, or None."""
        with self._lock:
            row = self._database.execute(
                "SELECT document FROM resource WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else _document(row[0])

    def update(self, kind: str, name: str, change: Change) -> Document | None:
        """Replace a document by what `change` makes of it, read and write in one transaction; None if there is none.

        `change` may raise to refuse; nothing is written then.
        """
        with self.transaction():
            before = self.get(kind, name)
            if before is None:
                return None
            after = change(before)
            self._database.execute(
                "UPDATE resource SET document = ? WHERE kind = ? AND name = ?", (json.dumps(after), kind, name)
            )
            return after

    def delete(self, kind: str, name: str) -> bool:
        """Remove a resource; False when there was none."""
        with self.transaction():
            cursor = self._database.execute("DELETE FROM resource WHERE kind = ? AND name = ?", (kind, name))
            return cursor.rowcount == 1

    def list(self, kind: str, prefix: str = "") -> list[Document]:
        """All documents of a kind whose names begin so, by name."""
        last = prefix + chr(sys.maxunicode)
        with self._lock:
            rows = self._database.execute(
                "SELECT document FROM resource WHERE kind = ? AND name >= ? AND name < ? ORDER BY name",
                (kind, prefix, last),
            ).fetchall()
        return [_document(row[0]) for row in rows]

    def tags(self, arn: str) -> dict[str, str]:
        """A resource's tags by key."""
        with self._lock:
            return dict(self._database.execute("SELECT key, value FROM tag WHERE arn = ? ORDER BY key", (arn,)))

    def add_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Add tags, or give new values to those that are there."""
        with self.transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(arn, key, value) for key, value in tags.items()]
            )

    def delete_tags(self, arn: str, keys: Iterable[str] | None = None) -> None:
        """Remove the named tags, or all of a resource's."""
        with self.transaction():
            if keys is None:
                self._database.execute("DELETE FROM tag WHERE arn = ?", (arn,))
            else:
                self._database.executemany("DELETE FROM tag WHERE arn = ? AND key = ?", [(arn, key) for key in keys])

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        with self._lock:
            self._file.close()


def _document(text: str) -> Document:
    document: Document = json.loads(text)
    return document
