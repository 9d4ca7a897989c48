"""The process that saves: it writes tensors, copies them to S3, has rules judge and views drawn, says how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.probe import companion, layout
from toolkit.probe.batch import Batch
from toolkit.probe.problems import Problems, log
from toolkit.probe.settings import Settings
from toolkit.probe.sync import Sync
from toolkit.probe.writer import Writer

# At the end: for what waits to be written, and for the last copy to S3.
CLOSE_SECONDS = 60.0


class Worker:
    """One process's part of the folder.

    Raises:
        OSError: the folder can't be written.
    """

    def __init__(self, directory: Path, rank: int, settings: Settings, problems: Problems) -> None:
        self._directory, self._rank, self._settings, self._problems = directory, rank, settings, problems
        self._name = layout.worker(rank)
        self._writer = Writer(directory, self._name, settings.max_pending_bytes, problems)
        self._sync: Sync | None = None
        self._companions: list[companion.Companion] = []

    def begin(self, collections: Mapping[str, Any]) -> None:
        """Says what is to be saved; the copying starts, and on the first worker rules and views."""
        self.tell(collections)
        if self._settings.output:
            settings = self._settings
            self._sync = Sync(self._directory, settings.output, settings.sync_seconds, self._problems, self._rank)
        if self._rank == 0:
            started = [
                start(self._directory, self._problems) for start in (companion.start_views, companion.start_rules)
            ]
            self._companions = [found for found in started if found is not None]

    def put(self, batch: Batch) -> None:
        """Leaves a step to be written."""
        self._writer.put(batch)

    def wait(self, timeout: float) -> None:
        """Waits until the steps that have ended are in the folder."""
        if not self._writer.wait(timeout):
            self._problems.warn("flush", f"not all tensors were written within {timeout:g} s")

    def tell(self, collections: Mapping[str, Any]) -> None:
        """Writes the collections and the names that are known, for readers of the folder."""
        path = self._directory / layout.COLLECTIONS / f"{self._name}.json"
        layout.write_atomically(path, json.dumps(collections, indent=1).encode())

    def close(self, status: str, error: str | None, steps: Mapping[str, int], collections: Mapping[str, Any]) -> None:
        """Writes what waits and the end marker, waits for last verdicts and pictures, and copies the rest to S3."""
        whole = self._writer.close(CLOSE_SECONDS)
        self.tell(collections)
        self._mark_end(status if whole else "unfinished", error, steps)
        for beside in self._companions:
            beside.wait()
        if self._sync is not None:
            self._sync.close(CLOSE_SECONDS)

    def _mark_end(self, status: str, error: str | None, steps: Mapping[str, int]) -> None:
        problems = self._problems.counts()
        document = {
            "status": status,
            "error": error,
            "at": time.time(),
            "steps": steps,
            "dropped": self._writer.dropped,
            "waited_seconds": round(self._writer.waited_seconds, 3),
            "problems": problems,
        }
        path = self._directory / layout.END / f"{self._name}.json"
        layout.write_atomically(path, json.dumps(document).encode())
        if problems:
            log.warning("probe: ended with %s", json.dumps(problems))
