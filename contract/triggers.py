"""Triggers: the reasons to run that the launcher takes, {"kind", "detail"?, "forced"?, "supersede"?}.

`forced` trains even if nothing is new. `supersede` does, too, and lets the challenger take the place of a champion that
can't answer the held-out data, if it reaches the floor.

A rollback's detail has TO, the run whose model comes back; the launcher fills in the champion before where it hasn't.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLLBACK, MANUAL, CODE, SCHEDULE, DATA = "rollback", "manual", "code", "schedule", "data"
# When several kinds are waiting, the run that they become is called after the first of these.
KINDS = (ROLLBACK, MANUAL, CODE, SCHEDULE, DATA)
# What a trigger may ask of its run, besides: each true or false.
ASKED = ("forced", "supersede")
# Of a trigger's detail: who asked, and the run whose model a rollback brings back.
BY, TO = "by", "to"
# The launcher's, and Plan's, refusal of a rollback; the message says why, for the person who asked.
ROLLBACK_REFUSED_ERROR = "RollbackRefusedError"
# Not a trigger: the regular look for what a crash left behind.
RECONCILE = "reconcile"

# The launcher's answers: a run was started; one is on its way and another will follow; nothing waits.
STARTED, WAITING, IDLE = "started", "pending", "idle"


def message(
    kind: str, detail: Mapping[str, Any] | None = None, *, forced: bool = False, supersede: bool = False
) -> dict[str, Any]:
    """The launcher's event for a trigger; it says only what there is to say."""
    told = {"detail": dict(detail or {}), "forced": forced, "supersede": supersede}
    return {"kind": kind, **{name: value for name, value in told.items() if value}}
