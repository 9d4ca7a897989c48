"""A project's source, fetched from S3 with its role's credentials, into an archive for the agent to unpack."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from localaws.sagemaker.core.s3_wire import NoAnswerError, Request, S3Error, S3Wire

LARGEST_BUILDSPEC = 1 << 20
_ARN = "arn:aws:s3:::"


class SourceError(Exception):
    """The source couldn't be fetched; the text is CodeBuild's."""


@dataclass(frozen=True)
class Location:
    """An object in S3, and the version of it where one is named."""

    bucket: str
    key: str
    version: str | None = None

    @property
    def arn(self) -> str:
        """As CodeBuild's messages name it."""
        return f"{_ARN}{self.bucket}/{self.key}"


def location_of(text: str, version: str | None) -> Location:
    """`bucket/key`, also as an ARN. Raises SourceError."""
    bucket, _, key = text.removeprefix(_ARN).removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise SourceError(f"source location is {text}; here it has to be bucket/key of a ZIP archive in S3")
    return Location(bucket, key, version or None)


def fetch(s3: S3Wire, location: Location, target: Path) -> None:
    """Write the source's archive to a file. Raises SourceError."""
    version = {"versionId": location.version} if location.version else {}
    asked = Request("GET", location.bucket, location.key, query=version)
    try:
        with s3.ask(asked) as answer, target.open("wb") as file:
            for chunk in answer.chunks():
                file.write(chunk)
    except S3Error as error:
        told = f"{error.code}: {error.message} status code: {error.status}"
        raise SourceError(f"{told} for primary source and source version {location.arn}") from error
    except NoAnswerError as error:
        raise SourceError(f"{error} for primary source and source version {location.arn}") from error
    if not zipfile.is_zipfile(target):
        raise SourceError(f"zip: not a valid zip file for primary source and source version {location.arn}")


def buildspec_of(archive: Path | None, name: str) -> str:
    """The text of the buildspec in a source. Raises SourceError."""
    if archive is not None:
        with zipfile.ZipFile(archive) as zipped:
            if name in zipped.namelist():
                if zipped.getinfo(name).file_size > LARGEST_BUILDSPEC:
                    raise SourceError(f"{name} is larger than {LARGEST_BUILDSPEC} bytes")
                return zipped.read(name).decode("utf-8", "replace")
    raise SourceError(f"stat /codebuild/output/src/{name}: no such file or directory")
