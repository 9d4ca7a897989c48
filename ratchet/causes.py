"""What an error's cause says to a person: Step Functions gives a job's description, or a function's error, as JSON."""

from __future__ import annotations

import json

_TOLD = ("FailureReason", "ExitMessage", "errorMessage")


def reason(cause: str | None) -> str:
    """The reason inside a cause, with what stands before the JSON; the cause itself where it is none."""
    before, brace, rest = (cause or "").partition("{")
    try:
        described = json.loads(brace + rest) if brace else None
    except ValueError:
        return cause or ""
    if isinstance(described, dict):
        told = next((str(described[name]) for name in _TOLD if described.get(name)), None)
        if told is not None:
            return before + told
    return cause or ""
