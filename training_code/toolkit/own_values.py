"""Truths and answers as values: the numbers, texts and documents that a metric of the user's own is called with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contract.held_out_tables import csv_fields
from toolkit import metrics


def truths(texts: Sequence[str]) -> list[Any]:
    """The right answers: a list or an object from its JSON; numbers if all others are numbers, else text."""
    documents = [_document(text) for text in texts]
    plain = _plain([text for text, document in zip(texts, documents) if document is None])
    return [next(plain) if document is None else document for document in documents]


def answers(texts: Sequence[str], labels: Sequence[str]) -> list[Any]:
    """A model's answers: as `truths`, and lists of what stands between commas, unless that is a held-out label."""
    known = frozenset(labels)
    documents = [_document(text) for text in texts]
    rows = [None if found is not None else _fields(text, known) for text, found in zip(texts, documents)]
    plain = _plain([field for row in rows if row is not None for field in row])
    values = [document if row is None else [next(plain) for _ in row] for document, row in zip(documents, rows)]
    return [value[0] if row is not None and len(row) == 1 else value for value, row in zip(values, rows)]


def _document(text: str) -> list[Any] | dict[str, Any] | None:
    """A text that is a JSON list or object; None for any other."""
    if text[:1] not in ("[", "{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (list, dict)) else None


def _fields(text: str, known: frozenset[str]) -> list[str]:
    return [text] if text in known else [field.strip() for field in csv_fields(text)] or [text]


def _plain(texts: Sequence[str]) -> Any:
    """One after another: Python's own numbers if all of them are numbers, whole ones as int; else the texts."""
    found = metrics.numbers(texts) if texts else None
    return iter(list(texts) if found is None else found.tolist())
