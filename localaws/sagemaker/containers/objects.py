"""S3 as a job's platform uses it, with the job's execution role; errors name action, resource and role."""

from __future__ import annotations

import contextlib
import http.client
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from localaws.sagemaker.core.s3_wire import Answer, NoAnswerError, Request, S3Error, S3Wire, elements, members

_PARALLEL = 8  # requests at once; more don't help on loopback
_SINGLE_PUT = 8 * 1024 * 1024  # bytes, which are in memory meanwhile; larger files go up in parts
_PART, _MOST_PARTS = 8 * 1024 * 1024, 10_000
_ENCRYPTED = "x-amz-server-side-encryption"
_MAX_READ = 64 * 1024 * 1024  # bytes of an object that is read into memory: a manifest
INSUFFICIENT_SPACE = "Insufficient disk space"
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "Forbidden"})


class TransferError(Exception):
    """An S3 request of a job failed; the message names action, resource and role."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class InsufficientSpaceError(TransferError):
    """A job's files are larger than its volume."""

    def __init__(self) -> None:
        super().__init__(INSUFFICIENT_SPACE, "InsufficientSpace")


@dataclass(frozen=True)
class S3Object:
    """An object and its size in bytes."""

    bucket: str
    key: str
    size: int = 0

    @property
    def arn(self) -> str:
        """As IAM names it."""
        return f"arn:aws:s3:::{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Download:
    """An object and the file that it becomes; `most` is how many bytes it may have."""

    source: S3Object
    target: Path
    most: int | None = None


class Objects:
    """S3 through one role. Thread-safe."""

    def __init__(self, s3: S3Wire, role_arn: str) -> None:
        self._s3 = s3
        self.role_arn = role_arn

    def list(self, bucket: str, prefix: str, limit: int | None = None) -> Iterator[S3Object]:
        """Objects whose key starts with `prefix`, at most `limit`; folder markers (keys that end in /) left out."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        if limit is not None:
            query["max-keys"] = str(limit + 1)  # the first may be a marker
        found = 0
        while True:
            with self._ask("s3:ListBucket", Request("GET", bucket, query=query)) as answer:
                page = answer.read()
            for item in elements(page, "Contents"):
                key = unquote_plus(item["Key"])
                if not key.endswith("/"):
                    yield S3Object(bucket, key, int(item["Size"]))
                    found += 1
                    if found == limit:
                        return
            told = members(page)
            if told.get("IsTruncated") != "true":
                return
            query = {**query, "continuation-token": told["NextContinuationToken"]}

    def read(self, source: S3Object) -> bytes:
        """An object's content, 64 MiB at most."""
        with self._ask("s3:GetObject", Request("GET", source.bucket, source.key)) as answer:
            content = answer.read(_MAX_READ + 1)
        if len(content) > _MAX_READ:
            raise TransferError(_too_large(source, _MAX_READ), "EntityTooLarge")
        return content

    def pieces(self, source: S3Object) -> Iterator[bytes]:
        """An object's content, 8 MiB at a time, each asked for when it is wanted: a slow reader holds no connection."""
        start, size, tag = 0, 1, ""
        while start < size:
            content, size, tag = self._piece(source, start, tag)
            start += len(content)
            yield content

    def download(self, downloads: Sequence[Download], keep_going: Callable[[], None] = lambda: None) -> None:
        """Fetch all; `keep_going` is called before each and may raise. The first failure ends it."""

        def fetch(download: Download) -> None:
            keep_going()
            self._fetch(download)

        if len(downloads) <= 2:
            for download in downloads:
                fetch(download)
            return
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for future in [pool.submit(fetch, download) for download in downloads]:
                future.result()

    def upload(self, file: BinaryIO, size: int, bucket: str, key: str, kms_key: str | None = None) -> None:
        """Write the next `size` bytes of a file as an object, encrypted with `kms_key` if there is one.

        Not the file itself: of one that grows, more than the announced length would be sent, and be taken for the
        connection's next request.
        """
        self._upload(file, size, bucket, key, _encrypted_by(kms_key))

    def write(self, content: bytes, target: S3Object, content_type: str, kms_key: str | None = None) -> None:
        """Write an object that says of what type it is, encrypted with `kms_key` if there is one."""
        headers = {"content-type": content_type, **_encrypted_by(kms_key)}
        self._upload(io.BytesIO(content), len(content), target.bucket, target.key, headers)

    def _upload(self, file: BinaryIO, size: int, bucket: str, key: str, headers: dict[str, str]) -> None:
        if size > _SINGLE_PUT:
            self._upload_parts(file, size, bucket, key, headers)
            return
        self._written(Request("PUT", bucket, key, headers=headers, body=file.read(size)))

    def bucket_exists(self, bucket: str) -> bool:
        """False when it doesn't; True also when the role may not look."""
        try:
            with self._s3.ask(Request("HEAD", bucket)) as answer:
                answer.read()
        except S3Error as error:
            return error.status != http.client.NOT_FOUND
        return True

    def close(self) -> None:
        """Close the connections."""
        self._s3.close()

    def _piece(self, source: S3Object, start: int, tag: str) -> tuple[bytes, int, str]:
        """What is in an object from a byte on, how large the whole is, and its tag, which stays the same."""
        headers = {"range": f"bytes={start}-{start + _PART - 1}", **({"if-match": tag} if tag else {})}
        try:
            with self._ask("s3:GetObject", Request("GET", source.bucket, source.key, headers=headers)) as answer:
                return answer.read(), answer.whole_size, answer.etag
        except TransferError as error:
            if start == 0 and error.code == "InvalidRange":  # it is empty
                return b"", 0, ""
            raise

    def _fetch(self, download: Download) -> None:
        source, target = download.source, download.target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                self._ask("s3:GetObject", Request("GET", source.bucket, source.key)) as answer,
                target.open("wb") as file,
            ):
                for chunk in answer.chunks():
                    file.write(chunk)
                    if download.most is not None and file.tell() > download.most:
                        raise TransferError(_too_large(source, download.most), "EntityTooLarge")
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise TransferError(
                f"s3://{source.bucket}/{source.key} can't be a file beside another object that makes it a directory",
                "KeyConflict",
            ) from error

    def _upload_parts(self, file: BinaryIO, size: int, bucket: str, key: str, headers: dict[str, str]) -> None:
        """A larger object, part by part; nothing is left of one that can't be written whole."""
        with self._ask("s3:PutObject", Request("POST", bucket, key, {"uploads": ""}, headers)) as answer:
            upload = {"uploadId": members(answer.read())["UploadId"]}
        try:
            tags = list(self._parts(file, size, Request("PUT", bucket, key, upload)))
            parts = [f"<Part><PartNumber>{n}</PartNumber><ETag>{escape(tag)}</ETag></Part>" for n, tag in tags]
            whole = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"
            self._written(Request("POST", bucket, key, upload, body=whole.encode()))
        except BaseException:
            with contextlib.suppress(TransferError):
                self._written(Request("DELETE", bucket, key, upload))
            raise

    def _parts(self, file: BinaryIO, size: int, request: Request) -> Iterator[tuple[int, str]]:
        """Write the next `size` bytes of a file in parts: their numbers and tags."""
        left, step = size, max(_PART, -(-size // _MOST_PARTS))
        for number in itertools.count(1):
            content = file.read(min(step, left))
            if not content:
                return
            left -= len(content)
            query = {**request.query, "partNumber": str(number)}
            yield number, self._written(replace(request, query=query, body=content)).etag

    def _written(self, request: Request) -> Answer:
        """The answer to a request that writes, once that is done."""
        with self._ask("s3:PutObject", request) as answer:
            answer.read()
            return answer

    @contextmanager
    def _ask(self, action: str, request: Request) -> Iterator[Answer]:
        arn = f"arn:aws:s3:::{request.bucket}"
        resource = f"{arn}/{request.key}" if request.key else arn
        try:
            with self._s3.ask(request) as answer:
                yield answer
        except S3Error as error:
            raise self._explained(error, action, resource) from error
        except NoAnswerError as error:
            raise TransferError(f"{action} on {resource} failed: {error}", type(error).__name__) from error

    def _explained(self, error: S3Error, action: str, resource: str) -> TransferError:
        if error.code in _DENIED:
            text = (
                f"AccessDenied (403): role {self.role_arn} is not authorized to perform: {action} "
                f'on resource: "{resource}"'
            )
            if error.message and action not in error.message:
                text += f" ({error.message})"
            return TransferError(text, "AccessDenied")
        return TransferError(f"{error} ({action} on {resource})", error.code)


def _too_large(source: S3Object, most: int) -> str:
    return f"s3://{source.bucket}/{source.key} has more than {most} bytes"


def _encrypted_by(kms_key: str | None) -> dict[str, str]:
    return {_ENCRYPTED: "aws:kms", f"{_ENCRYPTED}-aws-kms-key-id": kms_key} if kms_key else {}
