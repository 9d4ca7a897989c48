"""Draws views of saved tensors by hand: while a job goes on, or long after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from contract import views
from toolkit.errors import ToolkitError
from toolkit.probe.layout import TRAIN
from toolkit.probe.trial import Trial
from toolkit.views.artist import Artist, Failure, Limits, Picture
from toolkit.views.configuration import Configuration
from toolkit.views.documents import Document
from toolkit.views.due import Due
from toolkit.views.loading import module_of

LOOK_SECONDS = 0.02


class ByHand:
    """Draws a finished job's pictures, one after the other, none left out.

    Args:
        place: the tensors, a folder or an s3:// prefix.
        say: takes the path of each picture. warn: takes a sentence about each that there isn't.

    Raises:
        ToolkitError: there are no tensors, or they can't be read.
    """

    def __init__(  # noqa: PLR0913 - each an edge, which tests replace
        self,
        place: str,
        code: Path,
        output: Path,
        *,
        limits: Limits | None = None,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._place, self._code, self._output = place, code, output
        self._limits, self._say, self._warn = limits or Limits(), say, warn
        self._trial = self._opened(place)
        self._artists: dict[str, Artist] = {}

    @staticmethod
    def _opened(place: str) -> Trial:
        try:
            trial = Trial(place)
            there = trial.last_step() is not None or trial.passes()
        except Exception as error:
            if isinstance(error, ToolkitError):
                raise
            # boto3's: no such bucket, no permission, no credentials, no network; or it isn't installed.
            raise ToolkitError(f"{place} can't be read: {error}") from error
        if not there:
            raise ToolkitError(f"there are no tensors in {place}; it must be the folder that holds index/")
        return trial

    def draw(self, configurations: Sequence[Configuration], steps: Sequence[int] | None = None) -> bool:
        """Draws the views at these steps, else at all that are due; whether all of it could be drawn.

        Raises:
            OSError: the output can't be written.
        """
        try:
            drawn = [self._draw(configuration, steps) for configuration in configurations]
        finally:
            for artist in self._artists.values():
                artist.kill()
        return all(drawn)

    def _draw(self, configuration: Configuration, steps: Sequence[int] | None) -> bool:
        wanted = list(steps) if steps is not None else self._due(configuration)
        document = Document(configuration, self._output)
        if not wanted:
            self._warn(f"{configuration.name}: nothing is due; {self._how_far(configuration)}")
            return False
        self._draw_all(document, self._artist_of(configuration), wanted)
        document.status = views.ENDED if document.status == views.DRAWING else document.status
        document.write()
        return not document.failed

    def _artist_of(self, configuration: Configuration) -> Artist:
        """The process that draws the views of a module, so that it is imported, and the tensors are read, once."""
        module = module_of(configuration.view, self._code)
        if module not in self._artists:
            self._artists[module] = Artist(self._place, self._code, self._output, self._limits)
        return self._artists[module]

    def _draw_all(self, document: Document, artist: Artist, steps: Sequence[int]) -> None:
        failures = 0
        for step in steps:
            found = _drawn(artist, document.configuration, step)
            if isinstance(found, Picture):
                document.took(step, found)
                failures = 0
                self._say(str(document.file_of(step)))
                continue
            document.failed_at(step, found)
            failures += not found.absent  # what isn't saved yet may be at a later step
            self._warn(f"{document.configuration.name} at step {step}: {found.reason}")
            if found.final or failures >= views.FAILURES:
                document.status = views.GIVEN_UP
                return

    def _due(self, configuration: Configuration) -> list[int]:
        """The steps at which it would have been drawn beside the training, had there been time."""
        if configuration.every == views.EVALUATION:
            return sorted(self._trial.passes())
        due, found = Due(int(configuration.every)), []
        for step in self._trial.steps(mode=TRAIN):
            due.trained(step, len(found))
            if due.step is not None:
                found.append(due.take())
        return found

    def _how_far(self, configuration: Configuration) -> str:
        last = self._trial.last_step()
        if configuration.every == views.EVALUATION:
            return f"there was no evaluation until training step {last}"
        return f"it is drawn every {configuration.every} steps, and the last one saved is {last}"


def _drawn(artist: Artist, configuration: Configuration, step: int) -> Picture | Failure:
    artist.ask(configuration, step)
    while (found := artist.answer()) is None:
        time.sleep(LOOK_SECONDS)
    return found


def chosen(view: str, every: str | None, parameters: dict[str, object]) -> Configuration:
    """One view, as the command line says it. Raises ViewError."""
    found = Configuration.of({"view": view, "parameters": parameters})
    return (
        found if every is None else replace(found, every=Configuration.of({"view": view, "every": _every(every)}).every)
    )


def _every(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
