"""Uploads of a job: archives of its directories, files, and directories that are kept in step while it runs."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from localaws.sagemaker.containers.archives import files_below, pack
from localaws.sagemaker.containers.objects import Objects, TransferError
from localaws.sagemaker.core.wire import split_s3_uri

_log = logging.getLogger(__name__)

_SYNC_INTERVAL = 1.0  # seconds


def upload_archive(directory: Path, uri: str, objects: Objects, kms_key: str | None) -> bool:
    """`directory` as a tar.gz at `uri`; False, and nothing uploaded, when it holds no file."""
    if next(files_below(directory), None) is None:
        return False
    archive = directory.with_name(f"{directory.name}.tar.gz")
    with archive.open("wb") as file:
        pack(directory, file)
    bucket, key = split_s3_uri(uri)
    objects.upload(archive, bucket, key, kms_key)
    archive.unlink()
    return True


def upload_files(directory: Path, uri: str, objects: Objects, kms_key: str | None) -> int:
    """Every file of `directory` below `uri`, under its relative name; their number."""
    bucket, prefix = split_s3_uri(uri)
    count = 0
    for path in files_below(directory):
        objects.upload(path, bucket, _key(prefix, path, directory), kms_key)
        count += 1
    return count


class DirectorySync:
    """Uploads what is new or changed in a directory while a job runs, as SageMaker does with checkpoints.

    Use as a context manager; the last pass is at the end, and raises TransferError.
    """

    def __init__(self, directory: Path, uri: str, objects: Objects, kms_key: str | None = None) -> None:
        self._directory = directory
        self._bucket, self._prefix = split_s3_uri(uri)
        self._objects = objects
        self._kms_key = kms_key
        self._uploaded: dict[Path, tuple[int, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="directory-sync", daemon=True)

    def __enter__(self) -> DirectorySync:
        # What was downloaded to begin with is in S3 already.
        self._uploaded = {path: _version(path) for path in files_below(self._directory)}
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self._upload_changed()

    def _work(self) -> None:
        while not self._over.wait(_SYNC_INTERVAL):
            try:
                self._upload_changed()
            except TransferError as error:
                _log.warning("sync of %s: %s; the last pass will try again", self._directory, error)
            except OSError:
                pass  # a file went while it was read; the next pass sees what is there

    def _upload_changed(self) -> None:
        for path in files_below(self._directory):
            version = _version(path)
            if self._uploaded.get(path) != version:
                self._objects.upload(path, self._bucket, _key(self._prefix, path, self._directory), self._kms_key)
                self._uploaded[path] = version


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _key(prefix: str, path: Path, directory: Path) -> str:
    name = path.relative_to(directory).as_posix()
    return f"{prefix.rstrip('/')}/{name}" if prefix else name
