"""Copies the folder to S3 as the job goes, on a thread of its own.

When a rule beside the training has found issues it copies at once, and marks that it has: the job may be stopped, and
what led there is what everybody will look at. The rules wait a moment for the mark.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contract import files, verdicts
from toolkit.probe import layout
from toolkit.probe.errors import ProbeError
from toolkit.probe.problems import Problems

# What isn't there in time is copied the next time; a job must not hang on its network.
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 2
# How often it looks whether a rule has found issues.
LOOK_SECONDS = 0.05


class Sync:
    """Copies every `seconds` whatever is new or has grown; the index and the views' documents after what they name.

    Processes that share the folder (one on each GPU) copy each what its own rank has written, and the first one the
    rules' files and the views'.
    """

    def __init__(self, directory: Path, output: str, seconds: float, problems: Problems, rank: int = 0) -> None:
        parts = urlsplit(output)
        self._rank = rank
        self._directory, self._bucket, self._prefix = directory, parts.netloc, parts.path.strip("/")
        self._output, self._seconds, self._problems = output, seconds, problems
        self._copied: dict[str, tuple[int, int]] = {}
        self._issues: set[Path] = set()
        # Now, since a script that never closes its probe has its last copy made while Python ends, when no module that
        # has threads can be loaded any more.
        self._client = self._connected()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ratchet-probe-sync", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Copies one last time, for at most `timeout` seconds."""
        self._end.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._problems.warn("copying to S3", f"not all tensors reached {self._output} within {timeout:g} s")

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._wait()
            found = self._new_issues()
            self._issues.update(found)
            try:
                self.copy()
                for path in found if self._rank == 0 else ():
                    layout.mark_of_copy(path).touch()
            except Exception as error:  # noqa: BLE001 - no network, no bucket, no permission: training goes on
                self._problems.caught(f"copying to {self._output}", error)

    def _wait(self) -> bool:
        """Waits until it is time for a copy; whether that is the last one."""
        due = time.monotonic() + self._seconds
        while (left := due - time.monotonic()) > 0 and not self._new_issues():
            if self._end.wait(min(left, LOOK_SECONDS)):
                return True
        return self._end.is_set()

    def _new_issues(self) -> list[Path]:
        """Files of rules that have found issues since the last copy."""
        known = self._issues
        return [path for path in (self._directory / files.RULES).glob("*.json") if path not in known and _issues(path)]

    def copy(self) -> None:
        """Copies what differs from the last time: whole tensors, the index that names them, the rest. Raises boto3's
        errors."""
        # Read before tensors and pictures are listed, so that what the copied index or document names is copied too.
        indexes = self._read(layout.INDEX, "*.jsonl")
        documents = self._read(files.VIEWS, "*.json")
        files_ = [path for path in self._files() if path not in indexes and path not in documents]
        # Pictures first: they are small, and somebody may be looking, or the job about to be stopped.
        for path in files_:
            if self._folder(path) == files.VIEWS:
                self._copy_file(path)
        for path, content in documents.items():
            self._put(path, content)
        for path in files_:
            if self._folder(path) == layout.TENSORS:
                self._copy_file(path)
        for path, content in indexes.items():
            self._put(path, content[: content.rfind(b"\n") + 1])
        for path in files_:
            if self._folder(path) != layout.END:
                self._copy_file(path)
        # A job that has ended has nothing to come.
        for path in files_:
            if self._folder(path) == layout.END:
                self._copy_file(path)

    def _read(self, folder: str, pattern: str) -> dict[Path, bytes]:
        """The files of a folder that are ours, as they are now."""
        written = sorted((self._directory / folder).glob(pattern))
        return {path: path.read_bytes() for path in written if self._is_ours(path)}

    def _files(self) -> Iterator[Path]:
        found = self._directory.rglob("*")
        return (
            path for path in sorted(found) if path.is_file() and not path.name.startswith(".") and self._is_ours(path)
        )

    def _is_ours(self, path: Path) -> bool:
        """Whether this process's rank has written it; what no worker has is the first one's."""
        return layout.rank_in(path.relative_to(self._directory)) == self._rank

    def _folder(self, path: Path) -> str:
        return path.relative_to(self._directory).parts[0]

    def _copy_file(self, path: Path) -> None:
        status = path.stat()
        state, key = (status.st_size, status.st_mtime_ns), self._key(path)
        if self._copied.get(key) != state:
            # Not upload_file: it has threads of its own. Of an event file, which grows, exactly what it held when seen:
            # more than the announced length would be taken for the connection's next request.
            with path.open("rb") as file:
                body = file.read(status.st_size) if layout.EVENTS in path.parts else file
                self._s3().put_object(Bucket=self._bucket, Key=key, Body=body)
            self._copied[key] = state

    def _put(self, path: Path, content: bytes) -> None:
        state, key = (len(content), zlib.crc32(content)), self._key(path)
        if self._copied.get(key) != state:
            self._s3().put_object(Bucket=self._bucket, Key=key, Body=content)
            self._copied[key] = state

    def _key(self, path: Path) -> str:
        return f"{self._prefix}/{path.relative_to(self._directory).as_posix()}".lstrip("/")

    def _s3(self) -> Any:
        self._client = self._client or self._connected()
        if self._client is None:
            raise ProbeError("there is no client of S3")
        return self._client

    def _connected(self) -> Any:
        """A client; None where none can be made, which is logged, and tried again with the next copy."""
        try:
            import boto3
            from botocore.config import Config

            retries = {"max_attempts": ATTEMPTS, "mode": "standard"}
            config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
            return boto3.client("s3", config=config)
        except Exception as error:  # noqa: BLE001 - no boto3 in an image of one's own, no region: training goes on
            self._problems.caught("connecting to S3", error)
            return None


def _issues(path: Path) -> bool:
    try:
        return verdicts.ISSUES_FOUND.encode() in path.read_bytes()
    except OSError:
        return False
