"""What an endpoint's variants have captured, and which of the shadow's answers are the champion's.

A line is as the developer guide has it ("Capture data from real-time endpoint"). AWS doesn't tell whether the copy of a
request has the original's event id: answers are paired by it, and where the copy has another one, by what was asked.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from common.log import Log

from comparer.agreement import agree

Document = dict[str, Any]

# Of each variant's captures so many bytes are read: what is beyond would take a function's memory.
MOST_BYTES = 24 << 20
# Of answers that differ, and of each, so much is told.
EXAMPLES, TOLD = 10, 80


@dataclass(frozen=True)
class Answered:
    """A captured answer: to which request, to what question (a digest), and its text."""

    event_id: str
    question: bytes
    answer: str


@dataclass
class Comparison:
    """Pairs of answers, those that differ, and the shadow's answers without one to compare with."""

    pairs: int = 0
    differ: int = 0
    unpaired: int = 0
    examples: list[Document] = field(default_factory=list)


def read(s3: Any, bucket: str, prefix: str, log: Log) -> Iterator[Answered]:
    """A variant's captured answers, the earliest first; `s3` is a boto3 client."""
    left = MOST_BYTES
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            if left <= 0:
                log.info("captures left out", prefix=prefix, read=MOST_BYTES)
                return
            # Of a busy endpoint one object may be larger than all that is read: its beginning is compared.
            with closing(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"]) as body:
                text = body.read(left)
            left -= len(text)
            yield from answered(text.decode(errors="replace").split("\n"))


def answered(lines: Iterable[str]) -> Iterator[Answered]:
    """The answers of captured lines; one that isn't a whole exchange is nothing to compare."""
    for line in lines:
        try:
            document = json.loads(line)
            data, event = document["captureData"], document["eventMetadata"]["eventId"]
            asked, told = data["endpointInput"], data["endpointOutput"]
            question = sha256(f"{asked['encoding']} {asked['data']}".encode()).digest()
            yield Answered(str(event), question, _text(told))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _text(part: Mapping[str, Any]) -> str:
    """A captured body as text; one that is no text stays base64."""
    if part["encoding"] != "BASE64":
        return str(part["data"])
    try:
        return base64.b64decode(part["data"]).decode()
    except ValueError:
        return str(part["data"])


def compare(served: Iterable[Answered], copies: Iterable[Answered]) -> Comparison:
    """Each copy's answer beside the one that was served to the same request, or to the same question."""
    by_event = {one.event_id: one for one in served}
    by_question: dict[bytes, deque[Answered]] = {}
    for one in by_event.values():
        by_question.setdefault(one.question, deque()).append(one)
    found = Comparison()
    for copy in copies:
        original = by_event.get(copy.event_id) or _next(by_question.get(copy.question))
        _count(found, original, copy)
    return found


def _next(served: deque[Answered] | None) -> Answered | None:
    """Answers to one question take turns, since a copy may come to any of them."""
    if not served:
        return None
    served.rotate(-1)
    return served[-1]


def _count(found: Comparison, original: Answered | None, copy: Answered) -> None:
    if original is None:
        found.unpaired += 1
        return
    found.pairs += 1
    if agree(copy.answer, original.answer):
        return
    found.differ += 1
    if len(found.examples) < EXAMPLES:
        told = {"served": original.answer[:TOLD], "shadow": copy.answer[:TOLD]}
        found.examples.append({"event_id": original.event_id, **told})
