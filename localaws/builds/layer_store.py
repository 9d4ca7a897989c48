"""Where layers are kept between builds: below the state folder, a store for each role.

A build on CodeBuild begins with no images. So does one here: the images that earlier builds have left lose their names,
and are found by their layers alone, as a cache. What a role may not pull it doesn't get from another's store either.

Without overlays each layer is a whole copy. Where the disk has little left, a build that is alone with its store begins
with an empty one: what was pushed is in the registry.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from localaws.sagemaker.containers import beneath

LEAST_FREE = 5 << 30
_STORAGE, _LOCK = "storage", "lock"
_LARGEST = 64 << 20  # bytes of such a list
# Of containers/storage, by its vfs driver: a list of images with their names.
_IMAGES = Path("vfs-images") / "images.json"


class LayerStore:
    """A build's use of the store of its role, below a folder, from `open` to `close`."""

    def __init__(self, folder: Path, role_arn: str) -> None:
        self.folder = folder / hashlib.sha256(role_arn.encode()).hexdigest()[:16]
        self._lock = -1

    def open(self, say: Callable[[str], None], least_free: int = LEAST_FREE) -> None:
        """Begin to use it; what earlier builds have left is let go of where the disk needs that."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if self._is_alone():
            self._make_ready(say, least_free)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        """Use it no longer."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _is_alone(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _make_ready(self, say: Callable[[str], None], least_free: int) -> None:
        storage, free = self.folder / _STORAGE, shutil.disk_usage(self.folder).free
        if free < least_free and storage.exists():
            _remove(storage)
            say(f"The disk has {free >> 20} MiB left: the layers of earlier builds were deleted.")
        try:
            _take_names(storage)
        except (OSError, ValueError) as error:
            _remove(storage)
            say(f"The layers of earlier builds were deleted, for their list can't be read: {error}.")
        storage.mkdir(exist_ok=True, mode=0o700)


def _take_names(storage: Path) -> None:
    """Let the images of a store have no names. Raises OSError, ValueError.

    What is there was written by builds, of which one may have got out of the tool's chroot: no link is followed.
    """
    listed = beneath.read_file(storage, str(_IMAGES), _LARGEST) if os.path.lexists(storage) else None
    if listed is not None:
        new = storage / _IMAGES.with_suffix(".new")
        new.unlink(missing_ok=True)
        with new.open("x", encoding="utf-8") as file:
            file.write(unnamed(listed.decode("utf-8")))
        new.replace(storage / _IMAGES)


def _remove(storage: Path) -> None:
    if storage.is_symlink():
        storage.unlink()
    else:
        beneath.remove(storage)


def unnamed(images: str) -> str:
    """A store's images without their names. Pure. Raises ValueError."""
    listed = json.loads(images)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError("it is no list of images")
    return json.dumps([{key: value for key, value in each.items() if key != "names"} for each in listed])
