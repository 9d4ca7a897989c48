"""A model folder's sample data: `sample/<channel>/` stands in for a channel that has no data yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ratchet import channels
from ratchet.account import Account


@contextlib.contextmanager
def uploaded(
    account: Account, folder: Path, prefixes: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[list[str]]:
    """Uploads the sample of each channel that has no object; yields the keys. They go again if what they are for fails.

    prefixes: channel → prefix.
    """
    s3, bucket = account.client("s3"), account.shared()["DataBucketName"]
    versions: dict[str, str] = {}
    try:
        for channel in channels.empty(account, prefixes):
            files, prefix = _files(folder / "sample" / channel), prefixes[channel]
            for name, path in files.items():
                answer = s3.put_object(Bucket=bucket, Key=prefix + name, Body=path.read_bytes())
                versions[prefix + name] = answer["VersionId"]
            if files:
                say(f"data            {prefix} was empty; uploaded {len(files)} files of sample/{channel}/")
        yield list(versions)
    except BaseException:
        for key, version in versions.items():
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        raise


def _files(folder: Path) -> dict[str, Path]:
    """A folder's files by their names below it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
