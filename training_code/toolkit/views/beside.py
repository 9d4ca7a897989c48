"""Draws beside the training: follows its steps, has due pictures drawn by processes that may hang or die, and never
makes it wait."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from contract import views
from toolkit.beside_training import LAST_WORDS_SECONDS, Stop, Trainer
from toolkit.probe.layout import TRAIN
from toolkit.views.artist import Artist, Failure, Limits, Picture
from toolkit.views.configuration import Configuration
from toolkit.views.documents import Document
from toolkit.views.due import Due
from toolkit.views.following import Following
from toolkit.views.loading import module_of

log = logging.getLogger("ratchet.views")

# How often it looks for new steps; and for an answer while something is drawn.
LOOK_SECONDS, ANSWER_SECONDS = 0.1, 0.05
NICENESS = 15


class Shown:
    """One view as it is drawn beside a training."""

    def __init__(self, document: Document, module: str) -> None:
        self.document, self.configuration = document, document.configuration
        every = self.configuration.every
        self.due = Due(every if isinstance(every, int) else None)
        # Views of one module are drawn by one process; one that has broken it, by a process of its own.
        self.artist: tuple[str, str] = (module, "")
        self.drawing: int | None = None
        self.last_drawn = -1.0
        self._failures = 0

    @property
    def is_wanted(self) -> bool:
        """Whether it is due, and not drawn right now."""
        return self.due.step is not None and self.drawing is None and self.document.status == views.DRAWING

    def saw(self, mode: str, step: int) -> None:
        """A step was saved: of training, or of evaluation after so many steps of training."""
        if self.document.status == views.DRAWING:
            saw = self.due.trained if mode == TRAIN else self.due.evaluating
            saw(step, self.document.pictures)

    def took(self, step: int, picture: Picture) -> None:
        """A picture was drawn."""
        try:
            self.document.took(step, picture)
            self._failures = 0
        except OSError as error:
            self.failed(step, Failure(f"the picture can't be written: {error}", picture.seconds))

    def failed(self, step: int | None, failure: Failure) -> None:
        """A drawing went wrong; after some in a row, or where others would, too, there will be no more."""
        # What isn't saved yet may be later.
        self._failures += not failure.absent
        self.document.failed_at(step, failure)
        where = "" if step is None else f" at step {step}"
        if failure.final or self._failures >= views.FAILURES:
            self.document.status, self.due.step = views.GIVEN_UP, None
            after = "" if failure.final else f", after {self._failures} failures in a row"
            log.warning("views: %s is not drawn any more%s: %s", self.configuration.name, after, failure.reason)
        elif self.document.failed == 1:
            log.warning(
                "views: %s%s: %s (further ones are in its document)", self.configuration.name, where, failure.reason
            )
        if failure.broke:
            self.artist = (self.artist[0], self.configuration.name)

    def write(self) -> None:
        """Writes the document; raises OSError."""
        self.document.skipped += self.due.skipped
        self.due.skipped = 0
        self.document.write()


class Beside:
    """Draws a job's views until its training has ended. `run` returns then.

    Args:
        directory: the tensors' folder.
        code: the model's folder.
        trainer: the training process, whose child this one is; None: until the worker has ended.
        earlier: documents of an interrupted job, by name.
    """

    def __init__(  # noqa: PLR0913 - each an edge, which tests replace
        self,
        directory: Path,
        configurations: Iterable[Configuration],
        code: Path,
        *,
        trainer: Trainer | None = None,
        stop: Stop | None = None,
        limits: Limits | None = None,
        earlier: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._directory, self._code, self._trainer = directory, code, trainer or Trainer(None)
        self._stop, self._limits = stop or Stop(), limits or Limits()
        self._following = Following(directory)
        before = earlier or {}
        self._shown = [
            Shown(Document(found, directory, before.get(found.name)), module_of(found.view, code))
            for found in configurations
        ]
        self._artists: dict[tuple[str, str], Artist] = {}
        self._unwritten = False

    def run(self) -> int:
        """Draws; the exit code is 0, or 1 when not all could be written."""
        for shown in self._shown:
            self._write(shown)
        try:
            while not self._looked():
                self._wait(LOOK_SECONDS)
            self._last_pictures()
        finally:
            for artist in self._artists.values():
                artist.kill()
        for shown in self._shown:
            self._end(shown)
        return 1 if self._unwritten else 0

    # Steps

    def _looked(self) -> bool:
        """One look at what is new, and at what is drawn; whether the training has ended."""
        finished, gone, stopped = self._following.finished, self._trainer.gone(), self._stop.asked
        if gone and not finished:
            self._wait_for_last_words()
        self._follow()
        self._draw()
        given_up = all(shown.document.status == views.GIVEN_UP for shown in self._shown)
        return finished or gone or stopped or given_up

    def _wait_for_last_words(self) -> None:
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while not self._following.finished and time.monotonic() < deadline:
            time.sleep(ANSWER_SECONDS)

    def _follow(self) -> None:
        try:
            for mode, step in self._following.news():
                for shown in self._shown:
                    shown.saw(mode, step)
        except OSError as error:  # a folder that is gone
            log.warning("views: the tensors can't be read any more: %s", error)
            self._stop.asked = True

    def _last_pictures(self) -> None:
        """Draws what is still due, within a few seconds; what is left is for later, by hand."""
        deadline = time.monotonic() + self._limits.last_seconds
        for shown in self._shown:
            shown.due.evaluated(shown.document.pictures)
        self._draw()
        while self._is_drawing() and (left := deadline - time.monotonic()) > 0:
            self._wait(min(left, ANSWER_SECONDS))
            self._draw()

    def _end(self, shown: Shown) -> None:
        if shown.drawing is not None:
            shown.document.skipped += 1
        if shown.document.status == views.DRAWING:
            shown.due.give_up()
            shown.document.status = views.ENDED
        self._write(shown)
        document = shown.document
        more = f", {document.skipped} skipped, {document.failed} failed" if document.skipped or document.failed else ""
        log.info("views: %s: %d pictures%s", shown.configuration.name, document.pictures, more)

    # Drawing

    def _draw(self) -> None:
        """Takes what is drawn, and has drawn what is due, as far as somebody is free for it."""
        for shown in self._shown:
            if shown.drawing is not None:
                self._take(shown)
        for shown in self._by_turns():
            artist = self._artist_of(shown)
            if not artist.is_busy:
                self._ask(shown, artist)

    def _by_turns(self) -> Iterator[Shown]:
        wanted = [shown for shown in self._shown if shown.is_wanted]
        yield from sorted(wanted, key=lambda shown: shown.last_drawn)

    def _artist_of(self, shown: Shown) -> Artist:
        if shown.artist not in self._artists:
            self._artists[shown.artist] = Artist(str(self._directory), self._code, self._directory, self._limits)
        return self._artists[shown.artist]

    def _ask(self, shown: Shown, artist: Artist) -> None:
        step, shown.last_drawn = shown.due.take(), time.monotonic()
        try:
            artist.ask(shown.configuration, step)
            shown.drawing = step
        except OSError as error:
            shown.failed(step, Failure(f"it can't be drawn: {error}", 0.0))
            self._write(shown)

    def _take(self, shown: Shown) -> None:
        found = self._artist_of(shown).answer()
        if found is None:
            return
        step, shown.drawing = shown.drawing, None
        if isinstance(found, Failure):
            shown.failed(step, found)
        else:
            shown.took(step, found)  # type: ignore[arg-type]
        self._write(shown)

    def _is_drawing(self) -> bool:
        return any(shown.drawing is not None or shown.is_wanted for shown in self._shown)

    def _wait(self, seconds: float) -> None:
        """Until something is drawn, or so long."""
        busy = [artist for artist in self._artists.values() if artist.is_busy]
        if busy:
            select.select(busy, (), (), min(seconds, ANSWER_SECONDS))
        else:
            time.sleep(seconds)

    def _write(self, shown: Shown) -> None:
        try:
            shown.write()
        except OSError as error:
            if not self._unwritten:
                log.warning("views: the documents can't be written in %s: %s", self._directory, error)
            self._unwritten = True
        else:
            self._unwritten = False
