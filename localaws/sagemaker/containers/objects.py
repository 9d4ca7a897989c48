"""S3 as a job's platform uses it, with the job's execution role; errors name action, resource and role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from localaws.sagemaker.core.wire import error_code

_PARALLEL = 8  # requests at once; more don't help on loopback
_SINGLE_PUT = 64 * 1024 * 1024  # bytes; larger files go up in parts
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
    """An object and the file that it becomes."""

    source: S3Object
    target: Path


class _Bounded:
    """The next `size` bytes of a file, for a reader that goes on to the end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


class Objects:
    """S3 through one role's client. Thread-safe."""

    def __init__(self, client: Any, role_arn: str) -> None:
        self._client = client
        self.role_arn = role_arn

    def list(self, bucket: str, prefix: str, limit: int | None = None) -> Iterator[S3Object]:
        """Objects whose key starts with `prefix`, at most `limit`; folder markers (keys that end in /) left out."""
        found = 0
        arguments: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = self._call("s3:ListBucket", f"arn:aws:s3:::{bucket}", self._client.list_objects_v2, **arguments)
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):
                    yield S3Object(bucket, item["Key"], item["Size"])
                    found += 1
                    if found == limit:
                        return
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, source: S3Object) -> bytes:
        """An object's content, 64 MiB at most."""
        response = self._call("s3:GetObject", source.arn, self._client.get_object, Bucket=source.bucket, Key=source.key)
        content: bytes = response["Body"].read(_MAX_READ + 1)
        if len(content) > _MAX_READ:
            response["Body"].close()
            raise TransferError(f"s3://{source.bucket}/{source.key} has more than {_MAX_READ} bytes", "EntityTooLarge")
        return content

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
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        arn = f"arn:aws:s3:::{bucket}/{key}"
        if size > _SINGLE_PUT:
            self._upload_parts(_Bounded(file, size), bucket, key, extra)
            return
        content = file.read(size)
        self._call("s3:PutObject", arn, self._client.put_object, Bucket=bucket, Key=key, Body=content, **extra)

    def bucket_exists(self, bucket: str) -> bool:
        """False when it doesn't; True also when the role may not look."""
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            return error_code(error) not in ("404", "NoSuchBucket")
        return True

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _fetch(self, download: Download) -> None:
        source, target = download.source, download.target
        response = self._call("s3:GetObject", source.arn, self._client.get_object, Bucket=source.bucket, Key=source.key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for chunk in response["Body"].iter_chunks(1024 * 1024):
                    file.write(chunk)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise TransferError(
                f"s3://{source.bucket}/{source.key} can't be a file beside another object that makes it a directory",
                "KeyConflict",
            ) from error

    def _upload_parts(self, file: _Bounded, bucket: str, key: str, extra: dict[str, str]) -> None:
        from s3transfer.manager import TransferManager  # type: ignore[import-untyped]  # noqa: PLC0415 - rarely needed

        def upload() -> None:
            with TransferManager(self._client) as transfers:
                transfers.upload(file, bucket, key, extra_args=extra).result()

        self._call("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", upload)

    def _call(self, action: str, resource: str, request: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return request(*args, **kwargs)
        except ClientError as error:
            raise self._explained(error, action, resource) from error
        except BotoCoreError as error:
            raise TransferError(f"{action} on {resource} failed: {error}", type(error).__name__) from error

    def _explained(self, error: ClientError, action: str, resource: str) -> TransferError:
        code = error_code(error)
        said = error.response.get("Error", {}).get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        if code in _DENIED:
            text = (
                f"AccessDenied (403): role {self.role_arn} is not authorized to perform: {action} "
                f'on resource: "{resource}"'
            )
            if said and action not in said:
                text += f" ({said})"
            return TransferError(text, "AccessDenied")
        return TransferError(f"{code} ({status}): {said} ({action} on {resource})", code)
