"""The program of an image's own: found and started in its file system as Docker's runtime does it, with its errors.

Imported before the image is the root: there is no Python of ours in it.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Docker's exit codes: not there, there but not to be run; and its runtime's, where the kernel couldn't start it.
NOT_FOUND, CANNOT_RUN, NOT_STARTED = 127, 126, 255
_TEXTS = {errno.ENOENT: "no such file or directory", errno.ENOEXEC: "exec format error"}


class CannotStartError(Exception):
    """The program can't be started; the message is Docker's. status: the container's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def start(words: list[str], variables: Mapping[str, str]) -> None:
    """Become the program. Raises CannotStartError."""
    path = found(words[0], variables.get("PATH", ""))
    try:
        os.execve(path, words, variables)  # noqa: S606 - no shell is the point
    except OSError as error:
        text = _TEXTS.get(error.errno or 0, (error.strerror or "").lower())
        raise CannotStartError(f"exec {path}: {text}", NOT_STARTED) from error


def found(name: str, search: str) -> str:
    """Where a program is, looked for in a PATH if its name has no slash. Raises CannotStartError."""
    if "/" in name:
        if not os.path.exists(name):
            raise CannotStartError(f'exec: "{name}": stat {name}: no such file or directory', NOT_FOUND)
        if not _can_run(name):
            raise CannotStartError(f'exec: "{name}": permission denied', CANNOT_RUN)
        return name
    for folder in search.split(":"):
        path = f"{folder or '.'}/{name}"
        if _can_run(path):
            return path
    raise CannotStartError(f'exec: "{name}": executable file not found in $PATH', NOT_FOUND)


def _can_run(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
