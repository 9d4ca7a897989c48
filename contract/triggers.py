"""Triggers: the reasons to run that the launcher takes, {"kind", "detail"?, "forced"?, "supersede"?, "tune"?}.

`forced` trains even if nothing is new. `supersede` does, too, and lets the challenger take the place of a champion that
can't answer the held-out data, if it reaches the floor. `tune` tunes the hyperparameters before, where the pipeline has
a `tune:`. Of a trigger of the kind drift, which whoever watches the data sends, `drift` is true by itself.

A repair only compares the endpoint with the run table, as every run does first, and does what follows a run's end; the
launcher asks for it after a run that ended without having done so. Its detail has AFTER, that run.
A rollback's detail has TO, the run whose model comes back; the launcher fills in the champion before where it hasn't.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REPAIR, ROLLBACK, MANUAL, DRIFT, CODE, SCHEDULE, DATA = (
    "repair",
    "rollback",
    "manual",
    "drift",
    "code",
    "schedule",
    "data",
)
# When several kinds are waiting, the run that they become is called after the first of these.
KINDS = (REPAIR, ROLLBACK, MANUAL, DRIFT, CODE, SCHEDULE, DATA)
# These train nothing and list no data, so they leave the triggers that do to a run of their own.
WITHOUT_DATA = (REPAIR, ROLLBACK)
# What a trigger may ask of its run, besides: each true or false.
ASKED = ("forced", "supersede", "tune", "drift")
# Of a trigger's detail: who asked, and the run whose model a rollback brings back.
BY, TO = "by", "to"
# Of a repair's detail: the run after which it is needed.
AFTER = "after"
# The launcher's, and Plan's, refusal of a rollback; the message says why, for the person who asked.
ROLLBACK_REFUSED_ERROR = "RollbackRefusedError"
# Not a trigger: the regular look for what a crash left behind.
RECONCILE = "reconcile"

# The launcher's answers: a run was started; one is on its way and another will follow; nothing waits.
STARTED, WAITING, IDLE = "started", "pending", "idle"


def message(
    kind: str,
    detail: Mapping[str, Any] | None = None,
    *,
    forced: bool = False,
    supersede: bool = False,
    tune: bool = False,
) -> dict[str, Any]:
    """The launcher's event for a trigger; it says only what there is to say."""
    told = {"detail": dict(detail or {}), "forced": forced, "supersede": supersede, "tune": tune}
    return {"kind": kind, **{name: value for name, value in told.items() if value}}
