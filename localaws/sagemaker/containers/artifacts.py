"""Uploads of a job: archives of its directories, files, and directories that are kept in step while it runs."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence

from localaws.sagemaker.containers.archives import pack
from localaws.sagemaker.containers.beneath import File, Folder, OpenFolder, Refused, TooLargeError
from localaws.sagemaker.containers.objects import InsufficientSpaceError, Objects, TransferError
from localaws.sagemaker.core.wire import split_s3_uri

_log = logging.getLogger(__name__)

_SYNC_INTERVAL = 1.0  # seconds


def upload_archive(
    folders: Sequence[Folder], uri: str, objects: Objects, kms_key: str | None, refused: Refused
) -> bool:
    """Containers' folders as one tar.gz at `uri`; False, and nothing uploaded, when they hold no file."""
    # Beside what a container sees: a name in there may be a link by now.
    beside = folders[0].root.parent
    with _in_room(), _merged(folders, refused) as files, tempfile.TemporaryFile(dir=beside) as archive:
        if pack(files, archive) == 0:
            return False
        size = archive.tell()
        archive.seek(0)
        objects.upload(archive, size, *split_s3_uri(uri), kms_key)
    return True


def upload_files(folders: Sequence[Folder], uri: str, objects: Objects, kms_key: str | None, refused: Refused) -> int:
    """Every file of containers' folders below `uri`, under its relative name; their number."""
    bucket, prefix = split_s3_uri(uri)
    count = 0
    with _in_room(), _merged(folders, refused) as files:
        for file in files:
            with file.open() as content:
                size = os.fstat(content.fileno()).st_size
                objects.upload(content, size, bucket, _key(prefix, file.name), kms_key)
            count += 1
    return count


@contextlib.contextmanager
def _merged(folders: Sequence[Folder], refused: Refused) -> Iterator[Iterable[File]]:
    """The files of folders that lie one over another, the first on top: by name, as each of them has them."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(folder.open(refused)) for folder in folders]
        found = [folder for folder in opened if folder is not None]
        yield found[0].files() if len(found) == 1 else _first_of_each_name(found, refused)


def _first_of_each_name(folders: Iterable[OpenFolder], refused: Refused) -> Iterator[File]:
    named: dict[str, File] = {}
    clashing: dict[str, None] = {}
    for folder in folders:
        for file in folder.files():
            if named.setdefault(file.name, file) is not file:
                clashing[f"{folder.seen_at}/{file.name}"] = None
    for name in clashing:
        refused(f"{name} was left by several hosts; that of the first of them is taken.")
    yield from (named[name] for name in sorted(named))


class DirectorySync:
    """Uploads what is new or changed in a folder while a job runs, as SageMaker does with checkpoints.

    Use as a context manager; the last pass is at the end, raises TransferError, and tells `refused` what is left out.
    """

    def __init__(
        self, folder: Folder, uri: str, objects: Objects, refused: Refused, kms_key: str | None = None
    ) -> None:
        self._folder = folder
        self._bucket, self._prefix = split_s3_uri(uri)
        self._objects = objects
        self._refused = refused
        self._kms_key = kms_key
        self._uploaded: dict[str, tuple[int, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="directory-sync", daemon=True)

    def __enter__(self) -> DirectorySync:
        # What was downloaded to begin with is in S3 already.
        with _in_room(), self._folder.open(_in_silence) as found:
            self._uploaded = {file.name: _version(file) for file in found.files()} if found else {}
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self._upload_changed(self._refused)

    def _work(self) -> None:
        while not self._over.wait(_SYNC_INTERVAL):
            try:
                self._upload_changed(_in_silence)
            except TransferError as error:
                _log.warning("sync of %s: %s; the last pass will try again", self._folder.name, error)
            except OSError:
                pass  # a file went while it was read; the next pass sees what is there

    def _upload_changed(self, refused: Refused) -> None:
        with _in_room(), self._folder.open(refused) as found:
            for file in found.files() if found else ():
                version = _version(file)
                if self._uploaded.get(file.name) != version:
                    with file.open() as content:
                        size, key = os.fstat(content.fileno()).st_size, _key(self._prefix, file.name)
                        self._objects.upload(content, size, self._bucket, key, self._kms_key)
                    self._uploaded[file.name] = version


@contextlib.contextmanager
def _in_room() -> Iterator[None]:
    """What is larger than its volume is an upload that fails."""
    try:
        yield
    except TooLargeError as error:
        raise InsufficientSpaceError from error


def _in_silence(_line: str) -> None:
    """The last pass says it, once, in the job's own thread."""


def _version(file: File) -> tuple[int, int]:
    return file.status.st_mtime_ns, file.status.st_size


def _key(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('/')}/{name}" if prefix else name
