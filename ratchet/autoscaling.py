"""How a run's endpoint is scaled, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.scaling import OTHERWISE, SCALING

Document = Mapping[str, Any]


def sentence(record: Document) -> str:
    """`1 to 4 instances, by 1000 requests each a minute, 2 scheduled actions`; empty of a run that hasn't looked."""
    found = record.get(SCALING)
    if not isinstance(found, Mapping) or "in_force" not in found:
        return ""
    if not found["in_force"]:
        return f"not as pipeline.yaml says: {found.get('reason') or 'no reason is given'}"
    limits = f"{found.get('min', '?')} to {found.get('max', '?')} instances"
    return ", ".join(filter(None, [limits, _by_requests(found), _by_the_clock(found), _found_otherwise(found)]))


def _by_requests(found: Document) -> str:
    each = found.get("invocations_per_instance")
    return f"by {each} requests each a minute" if each is not None else ""


def _by_the_clock(found: Document) -> str:
    times = found.get("times") or 0
    return f"{times} scheduled action{'s' if times > 1 else ''}" if times else ""


def _found_otherwise(found: Document) -> str:
    """Somebody else had changed it."""
    return "put back by this run, which found it otherwise" if found.get("was") == OTHERWISE else ""
