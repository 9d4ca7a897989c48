"""The places that a trial is read from: a folder, or a prefix in S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit


class Store(Protocol):
    """Files by their names within it."""

    where: str
    # Asking it costs so little that every question may.
    near: bool

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each finished file of a folder, by the name within the store; empty when there is no such folder."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """A part of a file, from `start` on. Raises FileNotFoundError."""


class Folder:
    """A folder of this machine."""

    near = True

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            found = [path for path in (self._path / folder).iterdir() if not path.name.startswith(".")]
            return {f"{folder}/{path.name}": path.stat().st_size for path in sorted(found)}
        except FileNotFoundError:
            return {}

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        with (self._path / name).open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)


class Bucket:
    """A prefix in S3, read in ranges."""

    near = False

    def __init__(self, uri: str, client: Any = None) -> None:
        import boto3

        self.where = uri
        parts = urlsplit(uri)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._client = client or boto3.client("s3")

    def sizes(self, folder: str) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2")
        prefix = f"{self._prefix}/{folder}/"
        listed = pages.paginate(Bucket=self._bucket, Prefix=prefix)
        objects = [found for page in listed for found in page.get("Contents", [])]
        return {found["Key"][len(f"{self._prefix}/") :]: found["Size"] for found in objects}

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        end = "" if length is None else start + length - 1
        wanted = {"Range": f"bytes={start}-{end}"} if start or length is not None else {}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}", **wanted)
        except self._client.exceptions.NoSuchKey:
            raise FileNotFoundError(f"{self.where}/{name}") from None
        content: bytes = answer["Body"].read()
        return content


def store(place: str | Path) -> Store:
    """The store of a path or of an s3:// URI."""
    return Bucket(str(place)) if str(place).startswith("s3://") else Folder(Path(place))
