"""A run's item, cut to what DynamoDB holds ("Service, account, and table quotas": 400 KB an item)."""

from __future__ import annotations

import json
from typing import Any

from contract.verdicts import short

# Names and values in UTF-8, and a byte or three an entry: about as many as in JSON.
MOST_BYTES = 350_000
# The longest text and list that may stay, if all that is allowed before is still too much.
STEPS = ((20_000, 10_000), (4_000, 1_000), (1_000, 100), (200, 20))


def fitted(document: dict[str, Any]) -> dict[str, Any]:
    """The document if an item holds it, else with its longest texts and lists cut."""
    found = document
    for text, entries in STEPS:
        if len(json.dumps(found, ensure_ascii=False, default=str).encode("utf-8", "replace")) <= MOST_BYTES:
            return found
        found = _cut(document, text, entries)
    return found


def _cut(value: Any, text: int, entries: int) -> Any:
    if isinstance(value, str):
        return short(value, text)
    if isinstance(value, dict):
        return {key: _cut(entry, text, entries) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(entry, text, entries) for entry in value[:entries]]
    return value
