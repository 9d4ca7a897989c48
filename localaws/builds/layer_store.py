"""Where buildah keeps images and their layers between builds: below the state folder, for all builds of it.

Without overlays each layer is a whole copy. Where the disk has little left, a build that is alone there begins with
none: what was pushed is in the registry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from localaws.sagemaker.containers import beneath

LEAST_FREE = 5 << 30
_STORAGE, _LOCK = "storage", "lock"


class LayerStore:
    """A build's use of the images below a folder, from `open` to `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1

    def open(self, say: Callable[[str], None], least_free: int = LEAST_FREE) -> None:
        """Begin to use them; those of earlier builds are let go of first where the disk needs it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        storage, free = self.folder / _STORAGE, shutil.disk_usage(self.folder).free
        if free < least_free and storage.exists() and self._is_alone():
            beneath.remove(storage)
            say(f"The disk has {free >> 20} MiB left: the layers of earlier builds were deleted.")
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        storage.mkdir(exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Use them no longer."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _is_alone(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
