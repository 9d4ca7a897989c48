"""What a batch came to: its files and rows, and the numbers of the rows that the model couldn't answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from common.artifacts import Artifacts

from contract import files
from contract.batches import BATCH, bad_rows

Document = dict[str, Any]

# Of one file so many numbers are told, and of so many files; all are counted.
MOST_NUMBERS, MOST_FILES = 100, 50
_ENDING, _CHUNK = ".out", 1 << 20


def answered(event: Mapping[str, Any], artifacts: Artifacts) -> Document | None:
    """The batch of a run that answered one, with what lies in its folder; None for any other run."""
    job = event.get(BATCH)
    if not job:
        return None
    folder = f"{files.BATCH_ANSWERS}/"
    found = ((name.removeprefix(folder).removesuffix(_ENDING), lines(artifacts, name)) for name in all_names(artifacts))
    return {"job": job["TransformJobName"], "answers": artifacts.uri(folder), **figures(found)}


def figures(results: Iterable[tuple[str, Iterable[str]]]) -> Document:
    """Counts, and by file the numbers of the first rows without an answer. Pure."""
    told: dict[str, list[int]] = {}
    count, rows, bad = 0, 0, 0
    for name, result in results:
        count += 1
        numbers: list[int] = []
        seen = _Counted(result)
        for number in bad_rows(seen):
            bad += 1
            if len(numbers) < MOST_NUMBERS:
                numbers.append(number)
        rows += seen.count
        if numbers and len(told) < MOST_FILES:
            told[name] = numbers
    return {"files": count, "rows": rows, "bad": bad, **({"bad_rows": told} if told else {})}


class _Counted:
    """Lines, counted as they go by."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self.count = lines, 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.count += 1
            yield line


def all_names(artifacts: Artifacts) -> Iterator[str]:
    """The results in a run's folder, however many."""
    pages = artifacts.client.get_paginator("list_objects_v2")
    prefix = artifacts.key(f"{files.BATCH_ANSWERS}/")
    for page in pages.paginate(Bucket=artifacts.bucket, Prefix=prefix):
        yield from (entry["Key"].removeprefix(artifacts.key("")) for entry in page.get("Contents", []))


def lines(artifacts: Artifacts, name: str) -> Iterator[str]:
    """A result's lines, while it is read: it may be larger than a function's memory."""
    body = artifacts.client.get_object(Bucket=artifacts.bucket, Key=artifacts.key(name))["Body"]
    held = b""
    for chunk in iter(lambda: body.read(_CHUNK), b""):
        *whole, held = (held + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if held:
        yield held.decode(errors="replace")
