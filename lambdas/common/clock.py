"""The time, as UTC and as documents hold it."""

from __future__ import annotations

from datetime import UTC, datetime

from contract import times


def now() -> datetime:
    return datetime.now(UTC)


def stamp() -> str:
    """Now, as every document holds its times."""
    return times.text(now())
