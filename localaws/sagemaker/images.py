"""A framework image is an environment: image URI -> a cached virtual environment with the image's pins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]


class ImageNotFoundError(Exception):
    """The image isn't in the table, so it can't be pulled. The message names it."""


class ImageBuildError(Exception):
    """The environment of an image (or of a requirements.txt on it) couldn't be made; the message says what pip said."""


@dataclass(frozen=True)
class ImageEnvironment:
    """python: the interpreter with the image's packages. notes: where versions at hand differ from the image's."""

    python: Path
    notes: tuple[str, ...] = ()


class Images:
    """Environments under `root`, made at first use. Thread-safe, and safe with other processes on the same root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self, image_uri: str) -> None:
        """Raise ImageNotFoundError when the image isn't in the table; makes nothing."""
        raise ImageNotFoundError(image_uri)

    def environment(self, image_uri: str, progress: Progress) -> ImageEnvironment:
        """The image's environment, made now if need be, with lines about that to `progress`."""
        raise ImageNotFoundError(image_uri)

    def with_requirements(self, image_uri: str, requirements: Path, progress: Progress) -> ImageEnvironment:
        """The image's environment plus a requirements.txt, cached by the content of both."""
        raise ImageNotFoundError(image_uri)
