"""Times as they stand in every document: ISO 8601, UTC, milliseconds, `Z`."""

from __future__ import annotations

from datetime import datetime, timezone


def text(moment: datetime) -> str:
    """`2026-11-26T14:35:15.000Z`."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(value: object) -> datetime | None:
    """The time that a document holds; None for a value that isn't one."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
