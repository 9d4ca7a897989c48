"""ExpectAlarms: the user's alarms that are to watch the deployment exist, before training costs anything."""

from __future__ import annotations

from infra.workflow.conditions import equals
from infra.workflow.guardrails import look_for_alarms
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import Surroundings


def expect_alarms(at: Surroundings, *, then: str) -> Step:
    """Goes on to `then`; nothing at all where the spec names no alarm. One that sounds may be quiet by Deploy."""
    alarms = at.spec.deploy.rollback_on
    if not (alarms and alarms.alarms):
        return NOTHING
    there = equals("$alarms.missing", "")
    return Step(states=look_for_alarms("ExpectAlarms", list(alarms.alarms), quiet=there, then=then))
