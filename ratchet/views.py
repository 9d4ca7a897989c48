"""A run's views as the bucket holds them: their documents, and their pictures.

Documents and pictures are a training job's, so that anything may stand in them: what isn't as contract/views.py has it
is left out, and said as a problem of the view.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from contract import files
from contract import views as words
from contract.times import moment
from ratchet.account import Account

# A document with all pictures that a view may have has a tenth of that.
DOCUMENT_BYTES = 8 << 20
# Documents and pictures that are asked for at once: no more connections than a client keeps (botocore,
# max_pool_connections).
AT_ONCE = 8
UNREADABLE = "unreadable"

_GONE = ("NoSuchKey", "404", "AccessDenied", "InvalidRange")
_ROUND = re.compile(r"round-(\d{1,6})/")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """One picture of a view. `file` is its place below the tensors' folder, `bytes` what its document says."""

    step: int
    ending: str
    file: str
    bytes: int
    at: datetime | None = None


@dataclass(frozen=True)
class Problem:
    """Why there is no picture, and of which step."""

    reason: str
    step: int | None = None


@dataclass(frozen=True)
class View:
    """A view's document. `status` is one of contract.views', or UNREADABLE; `pictures` are in the order of steps."""

    name: str
    function: str = ""
    every: int | str = ""
    parameters: Document = field(default_factory=dict)
    status: str = words.DRAWING
    pictures: tuple[Picture, ...] = ()
    skipped: int = 0
    failed: int = 0
    problems: tuple[Problem, ...] = ()
    seconds: float | None = None

    @property
    def newest(self) -> Picture | None:
        return self.pictures[-1] if self.pictures else None


# The documents that were read: by key, each one's ETag and its view.
Known = dict[str, tuple[str, View]]


def read(account: Account, bucket: str, folder: str, known: Known | None = None) -> tuple[View, ...]:
    """The views of a folder of tensors, by name; none where nothing was drawn, or it can't be read.

    folder: without a slash at its end, as contract.files has it.
    known: what was read before, and is now: a document that hasn't changed since isn't read again.
    """
    known = {} if known is None else known
    s3 = account.client("s3")
    prefix = files.views_folder(folder)
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/").get("Contents", ())
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return ()
        raise
    documents = {entry["Key"][len(prefix) :]: entry for entry in listed if entry["Size"]}
    found = [(file.removesuffix(".json"), entry) for file, entry in sorted(documents.items()) if file.endswith(".json")]
    read_now: Known = {}
    for name, entry in [each for each in found if words.is_name(each[0])][: words.MOST]:
        key, tag = entry["Key"], entry["ETag"]
        is_known = key in known and known[key][0] == tag
        read_now[key] = known[key] if is_known else (tag, _view(name, _body(s3, bucket, key, DOCUMENT_BYTES)))
    known.clear()
    known.update(read_now)
    return tuple(view for _, view in read_now.values())


def content(account: Account, bucket: str, folder: str, picture: Picture) -> bytes | None:
    """A picture's content; None where it is no longer there, or is larger than its document says: of those that a page
    has room for all are read."""
    return _body(account.client("s3"), bucket, f"{folder}/{picture.file}", picture.bytes)


def folder_of(account: Account, bucket: str, tensors: str) -> str:
    """The folder of the tensors that a run in progress writes: its newest round's, where it trains in rounds."""
    s3 = account.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{tensors}/", Delimiter="/")
    below = [part["Prefix"][len(tensors) + 1 :] for page in pages for part in page.get("CommonPrefixes", ())]
    rounds = [int(found[1]) for found in map(_ROUND.fullmatch, below) if found]
    return files.of_round(tensors, max(rounds, default=None))


def _body(s3: Any, bucket: str, key: str, most: int) -> bytes | None:
    """An object's content; None where there is none, or more than `most` bytes."""
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{most}")["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    return body if len(body) <= most else None


def _view(name: str, body: bytes | None) -> View:
    try:
        document = json.loads(body or b"")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return View(name, status=UNREADABLE, problems=(Problem("its document can't be read"),))
    return of_document(name, document)


def of_document(name: str, document: Document) -> View:
    """A view from its document; `name` is its file's, whatever the document says."""
    entries = document.get("pictures")
    entries = entries if isinstance(entries, list) else []
    usable = list(_pictures(name, entries))
    found = {picture.step: picture for picture in usable}
    odd = len(entries) - len(usable)
    problems = list(_problems(document.get("problems")))
    if odd:
        problems.append(Problem(f"{odd} entries of its document name no picture of this view and are left out"))
    every = document.get("every")
    parameters = document.get("parameters")
    return View(
        name=name,
        function=str(document.get("view") or name)[: words.NAME_LENGTH * 2],
        every=every if isinstance(every, (int, str)) and words.is_every(every) else "",
        parameters=parameters if isinstance(parameters, dict) else {},
        status=str(document.get("status"))[: words.NAME_LENGTH],
        pictures=tuple(found[step] for step in sorted(found)),
        skipped=_count(document.get("skipped")) or 0,
        failed=_count(document.get("failed")) or 0,
        problems=tuple(problems),
        seconds=_number(document.get("seconds")),
    )


def _pictures(name: str, entries: list[Any]) -> Iterator[Picture]:
    """The entries that are pictures of this view, where a view's pictures lie."""
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        step, file = _count(entry.get("step")), entry.get("file")
        ending = words.ending_of(file) if isinstance(file, str) else None
        if step is None or ending is None or file != words.picture(name, step, ending):
            continue
        size = _count(entry.get("bytes"))
        yield Picture(
            step, ending, file, min(size or words.PICTURE_BYTES, words.PICTURE_BYTES), _moment(entry.get("at"))
        )


def _problems(found: Any) -> Iterator[Problem]:
    for entry in (found if isinstance(found, list) else [])[-words.PROBLEMS :]:
        if isinstance(entry, dict):
            yield Problem(str(entry.get("reason"))[: words.REASON_LENGTH], _count(entry.get("step")))


def _moment(value: Any) -> datetime | None:
    """A time in UTC; None of what is none, or has no time zone: ages are counted from it."""
    found = moment(value)
    try:
        return found.astimezone(UTC) if found and found.tzinfo else None
    except OverflowError:  # the year 1, somewhere east
        return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _number(value: Any) -> float | None:
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_one and abs(value) < 1e12 else None
