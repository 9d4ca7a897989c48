"""A view's document: its pictures and what went wrong, as contract/views.py says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from contract import times, views
from toolkit.probe.layout import write_atomically
from toolkit.views.artist import Failure, Picture
from toolkit.views.configuration import Configuration


class Document:
    """One view's document, kept in memory and written whole.

    Args:
        output: the tensors' folder, or another that has its form.
        earlier: the document of an interrupted job, which goes on; None where there is none.
    """

    def __init__(self, configuration: Configuration, output: Path, earlier: Mapping[str, Any] | None = None) -> None:
        self.configuration, self._output = configuration, output
        before: Mapping[str, Any] = earlier or {}
        self.status = views.DRAWING
        self._pictures: dict[int, dict[str, Any]] = {found["step"]: found for found in before.get("pictures", ())}
        self._problems: list[dict[str, Any]] = list(before.get("problems", ()))
        self._seconds = float(before.get("seconds", 0.0))
        self.skipped, self.failed = int(before.get("skipped", 0)), int(before.get("failed", 0))

    @property
    def pictures(self) -> int:
        """How many there are."""
        return len(self._pictures)

    def has(self, step: int) -> bool:
        """Whether there is a picture of a step."""
        return step in self._pictures

    def file_of(self, step: int) -> Path:
        """A picture's file."""
        return self._output / self._pictures[step]["file"]

    def took(self, step: int, picture: Picture) -> None:
        """Gives a picture its own name, and adds it. Raises OSError."""
        file = views.picture(self.configuration.name, step, picture.ending)
        picture.unfinished.replace(self._output / file)
        self._pictures[step] = {
            "step": step,
            "file": file,
            "bytes": picture.size,
            "seconds": picture.seconds,
            "at": _now(),
        }
        self._seconds += picture.seconds

    def failed_at(self, step: int | None, failure: Failure) -> None:
        """Adds what went wrong."""
        self.failed += 1
        self._seconds += failure.seconds
        self.says(step, failure.reason)

    def says(self, step: int | None, reason: str) -> None:
        """Adds a problem."""
        problem = {"step": step, "reason": reason[: views.REASON_LENGTH], "at": _now()}
        self._problems = [*self._problems, problem][-views.PROBLEMS :]

    def content(self) -> dict[str, Any]:
        """As it is written."""
        configuration = self.configuration
        return {
            "name": configuration.name,
            "view": configuration.view,
            "every": configuration.every,
            "parameters": dict(configuration.parameters),
            "status": self.status,
            "pictures": [self._pictures[step] for step in sorted(self._pictures)],
            "skipped": self.skipped,
            "failed": self.failed,
            "problems": self._problems,
            "seconds": round(self._seconds, 3),
        }

    def write(self) -> None:
        """Writes it. Raises OSError."""
        text = json.dumps(self.content(), ensure_ascii=False)
        write_atomically(self._output / views.document(self.configuration.name), text.encode("utf-8", "replace"))


def earlier(text: bytes | None, configuration: Configuration) -> Mapping[str, Any] | None:
    """What an earlier document holds; None where it is none, or another view's of that name."""
    try:
        document = json.loads(text or b"null")
        steps = [int(found["step"]) for found in document["pictures"]]
        files = [views.ending_of(found["file"]) for found in document["pictures"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    same = (document.get("view"), document.get("parameters")) == (configuration.view, dict(configuration.parameters))
    return document if same and len(set(steps)) == len(steps) and all(files) else None


def _now() -> str:
    return times.text(datetime.now(timezone.utc))
