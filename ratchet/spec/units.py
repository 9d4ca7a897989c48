"""Durations and sizes as pipeline.yaml writes them, with units: `90s`, `1h30m`, `5ms`, `30GiB`."""

from __future__ import annotations

import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
GIB = {"GiB": 1, "TiB": 1024}

_DURATION = re.compile(r"(?:\d+[smhd])+")
_DURATION_PART = re.compile(r"(\d+)([smhd])")
_SHORT = re.compile(r"(\d+)(ms|s)")
_MILLISECONDS = {"ms": 1, "s": 1000}
_SIZE = re.compile(r"(\d+)\s?([A-Za-z]+)")

DURATION_PATTERN = r"^(\d+[smhd])+$"
SHORT_PATTERN = r"^\d+(ms|s)$"
SIZE_PATTERN = r"^\d+ ?(GiB|TiB)$"


def seconds(text: object) -> int:
    """`90s`, `15m`, `1h30m`, `7d` in seconds.

    Raises:
        ValueError: it isn't a duration, has no unit or an unknown one; the message says what would be right.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"has no unit: write {text}s for seconds, or {text}m, {text}h, {text}d")
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip()):
        raise ValueError(
            f"is not a duration: {text!r}; write a whole number and a unit (s, m, h or d), as 30s, 15m, 1h30m"
        )
    return sum(int(number) * SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def milliseconds(text: object, right: str) -> int:
    """`500ms`, `2s` in milliseconds.

    Raises:
        ValueError: it isn't so short a duration, or has no unit; the message says that `right` would be right.
    """
    match = _SHORT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"is {text!r}; write a whole number and ms or s, as {right}")
    return int(match[1]) * _MILLISECONDS[match[2]]


def gib(text: object) -> int:
    """`30GiB`, `2TiB` in GiB, the unit of SageMaker's volumes.

    Raises:
        ValueError: it isn't a size, has no unit or one that SageMaker can't give; the message says what would be right.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"has no unit: write {text}GiB")
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"is not a size: {text!r}; write a whole number and GiB or TiB, as 30GiB")
    number, unit = match.groups()
    if unit not in GIB:
        raise ValueError(f"has the unit {unit!r}; SageMaker's volumes are in GiB: write {number}GiB (or TiB)")
    return int(number) * GIB[unit]


def duration_text(seconds: int) -> str:
    """Seconds as pipeline.yaml writes them, in the largest unit that fits: 3600 is `1h`."""
    largest = next((name for name in "dhm" if seconds and seconds % SECONDS[name] == 0), "s")
    return f"{seconds // SECONDS[largest]}{largest}"


def size_text(gib: int) -> str:
    """GiB as pipeline.yaml writes them."""
    return f"{gib}GiB"
