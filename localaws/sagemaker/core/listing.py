"""List operations: filters, order and pages over stored documents."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

_DEFAULT_PAGE = 10  # "The default value is 10." (MaxResults, API reference)


def page(
    request: Document,
    documents: Sequence[Document],
    *,
    name: str,
    status: str | None = None,
    default_order: str = "Descending",
) -> tuple[list[Document], Document]:
    """The documents of one page, and ``{"NextToken": ...}`` when there are more, or ``{}``.

    `name` and `status` are the document members that NameContains, StatusEquals and SortBy look at. Honours
    NameContains, StatusEquals, WarmPoolStatusEquals, CreationTimeAfter/Before, LastModifiedTimeAfter/Before, SortBy,
    SortOrder, MaxResults and NextToken; raises a ValidationException for a token that isn't ours.
    """
    kept = [document for document in documents if _matches(request, document, name, status)]
    sort_key = {"Name": name, "Status": status or name}.get(request.get("SortBy", "CreationTime"), "CreationTime")
    descending = request.get("SortOrder", default_order) == "Descending"
    kept.sort(key=lambda document: (document[sort_key], document[name]), reverse=descending)
    return cut(request, kept)


def cut(request: Document, kept: Sequence[Document]) -> tuple[list[Document], Document]:
    """The page of `kept` that MaxResults and NextToken ask for, and ``{"NextToken": ...}`` where there are more."""
    start = _offset(request.get("NextToken"))
    end = start + int(request.get("MaxResults", _DEFAULT_PAGE))
    return list(kept[start:end]), ({"NextToken": _token(end)} if end < len(kept) else {})


def summary(document: Document, members: Sequence[str]) -> Document:
    """The members of a document that its summary shape has, those that are there."""
    return {member: document[member] for member in members if member in document}


def epoch_seconds(value: Any) -> float:
    """A time as it may arrive (epoch seconds, or ISO 8601 from a state machine) in epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(value)


def _matches(request: Document, document: Document, name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in document[name].lower():
        return False
    if status and request.get("StatusEquals", document.get(status)) != document.get(status):
        return False
    pool = document.get("WarmPoolStatus", {}).get("Status")
    if request.get("WarmPoolStatusEquals", pool) != pool:
        return False
    return all(_within(request, document, member) for member in ("CreationTime", "LastModifiedTime"))


def _within(request: Document, document: Document, member: str) -> bool:
    moment = float(document[member] if member in document else document["CreationTime"])
    after, before = request.get(f"{member}After"), request.get(f"{member}Before")
    return (after is None or moment > epoch_seconds(after)) and (before is None or moment < epoch_seconds(before))


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        word, number = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        if word == "offset":
            return int(number)
    except ValueError:
        pass
    raise errors.validation("Invalid NextToken")
