"""Following the views of a run: what there is of them now, the newest picture of each as a file, until the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contract import files, outcomes, run_table
from ratchet import report, views
from ratchet.account import Account
from ratchet.runs import Run, RunTable
from ratchet.view_pages import saving
from ratchet.view_pages.vega import Drawer
from ratchet.views import Picture, View

LOCAL_POLL_SECONDS, ACCOUNT_POLL_SECONDS = 1.0, 3.0


@dataclass(frozen=True)
class Look:
    """What there was to see: the run, the folder of its tensors, its views, and each one's newest picture as a file."""

    run: Run
    folder: str
    views: tuple[View, ...] = ()
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.run.outcome != outcomes.RUNNING


def running_or_newest(table: RunTable, pipelines: list[str], named: str) -> Run:
    """The run that is meant: by its id; by its pipeline's name the one that runs, else the newest.

    Raises:
        UserError: there is none.
    """
    if named in pipelines:
        running = table.state(named).get(run_table.RUNNING) or {}
        found = table.run(named, str(running["run_id"])) if running.get("run_id") else None
        if found:
            return found
    return table.find(pipelines, named)


class Watcher:
    """Looks at the views of one run. home: below it the pictures are written."""

    def __init__(self, account: Account, run: Run, home: Path, drawer: Drawer) -> None:
        self._account, self._run, self._home, self._drawer = account, run, home, drawer
        self._tensors = files.run_folder(run.pipeline, run.run_id) + files.TENSORS
        self._bucket = account.shared()["ArtifactBucketName"]
        self._table = RunTable(account)
        self._known: views.Known = {}
        self._written: dict[str, tuple[Picture, Path]] = {}

    def to_the_end(self, show: Callable[[Look], None], pause: Callable[[float], None] = time.sleep) -> Look:
        """Looks again and again, until the run has ended; `show` sees each look, and the last is answered."""
        while True:
            look = self.look()
            show(look)
            if look.ended:
                return look
            pause(LOCAL_POLL_SECONDS if self._account.is_local else ACCOUNT_POLL_SECONDS)

    def look(self) -> Look:
        """What there is now. The run is asked first: of one that has ended nothing comes after."""
        run = self._table.run(self._run.pipeline, self._run.run_id) or self._run
        folder = self._folder(run)
        found = views.read(self._account, self._bucket, folder, self._known)
        paths = {view.name: path for view in found if (path := self._path(run, folder, view))}
        return Look(run, folder, found, paths)

    def content(self, folder: str, picture: Picture) -> bytes | None:
        """A picture's content; None where it is no longer there."""
        return views.content(self._account, self._bucket, folder, picture)

    def _folder(self, run: Run) -> str:
        if run.outcome != outcomes.RUNNING:
            return report.shown_tensors(run)
        return views.folder_of(self._account, self._bucket, self._tensors)

    def _path(self, run: Run, folder: str, view: View) -> Path | None:
        """The newest picture's file, which is written when it is new."""
        newest, place = view.newest, f"{folder}/{view.name}"
        if newest is None:
            return None
        if place not in self._written or self._written[place][0] != newest:
            content = self.content(folder, newest)
            if content is None:
                return None
            path = saving.place(self._home, run.run_id, folder, newest.file)
            self._written[place] = newest, saving.save(content, path, self._drawer)
        return self._written[place][1]
