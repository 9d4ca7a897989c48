"""Triggers: the reasons to run that the launcher takes, {"kind", "detail"?, "forced"?}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLLBACK, MANUAL, CODE, SCHEDULE, DATA = "rollback", "manual", "code", "schedule", "data"
# When several kinds are waiting, the run that they become is called after the first of these.
KINDS = (ROLLBACK, MANUAL, CODE, SCHEDULE, DATA)
# Not a trigger: the regular look for what a crash left behind.
RECONCILE = "reconcile"

# The launcher's answers: a run was started; one is on its way and another will follow; nothing waits.
STARTED, WAITING, IDLE = "started", "pending", "idle"


def message(kind: str, detail: Mapping[str, Any] | None = None, *, forced: bool = False) -> dict[str, Any]:
    """The launcher's event for a trigger."""
    return {"kind": kind, **({"detail": dict(detail)} if detail else {}), **({"forced": True} if forced else {})}
