"""What the recorder and the planner make of a person's word: the registry's last state, the record, the next run."""

from __future__ import annotations

from typing import Any

import pytest
from common.state import State
from planner import plan
from recorder import approvals, documents, handler

from contract import outcomes

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/prod-digits/3"
RUN: dict[str, Any] = {"run_id": "r2", "pipeline": "digits", "trigger": {"kind": "data"}, "forced": False}
WAITED = {"since": "2026-11-20T10:11:12.000Z", "until": "2026-11-27T10:11:12.000Z"}


def told(outcome: str, **approval: str) -> dict[str, Any]:
    """What the machine tells the recorder of a run that came to wait."""
    nothing = dict.fromkeys(("training", "evaluation", "candidate", "deployment", "verification", "failure"))
    decided = {"decision": {"promote": True, "reason": "better"}, "package": PACKAGE, "approval": approval or None}
    more = {"plan": {"fingerprint": "f2"}, "jobs": {}, "execution_arn": "arn", "repaired": None}
    return {**nothing, **decided, **more, "run": RUN, "outcome": outcome}


def updates(outcome: str, **approval: str) -> list[tuple[str, str]]:
    found = approvals.updates(told(outcome, **approval), outcome)
    return [(update["ModelApprovalStatus"], update["ApprovalDescription"]) for update in found]


def test_nothing_is_left_that_somebody_might_approve() -> None:
    assert updates(outcomes.EXPIRED, status="Expired", reason="nobody came") == [
        ("Rejected", "run r2: Expired: nobody came")
    ]
    assert updates(outcomes.SUPERSEDED, status="Superseded", reason="newer") == [
        ("Rejected", "run r2: Superseded: newer")
    ]
    assert updates(outcomes.REJECTED, status="PendingManualApproval", reason="") == [("Rejected", "run r2: Rejected: ")]


def test_a_persons_own_word_stands() -> None:
    assert updates(outcomes.REJECTED, status="Rejected", reason="too slow") == []
    assert updates(outcomes.PROMOTED, status="Approved", reason="fine") == []


def test_a_model_that_was_approved_and_came_to_grief_is_not_approved_any_more() -> None:
    assert updates(outcomes.ROLLED_BACK, status="Approved", reason="fine") == [("Rejected", "run r2: RolledBack: ")]


def test_the_record_has_the_word_the_reason_and_the_times_and_no_token() -> None:
    begun = {"approval": {**WAITED, "package": PACKAGE, "token": "t0ken"}}
    record = documents.run_record(
        told(outcomes.REJECTED, status="Rejected", reason="too slow"),
        begun=begun, state=State(), evaluation=None, timings={}, at="2026-11-21T00:00:00.000Z",
    )  # fmt: skip
    assert record["approval"] == {**WAITED, "status": "Rejected", "reason": "too slow"}
    assert outcomes.sentence(record).startswith("digits keeps its champion: its new model was rejected (too slow).")


@pytest.mark.parametrize(
    ("outcome", "again"), [(outcomes.REJECTED, False), (outcomes.EXPIRED, True), (outcomes.SUPERSEDED, True)]
)
def test_what_was_rejected_is_not_trained_again_and_what_nobody_saw_is(outcome: str, again: bool) -> None:
    before = State(running={"run_id": "r2", "trigger": RUN["trigger"]})
    after = handler.concluded(before, event=told(outcome), at="2026-11-21T00:00:00.000Z", retain=3)
    assert (after.last_judged_fingerprint != "f2") is again


def test_a_rollback_away_from_a_champion_that_serves_no_more_does_nothing() -> None:
    found = plan.overtaken(State(champion={"run_id": "r3"}))
    assert found["outcome"] == outcomes.UP_TO_DATE and "serves no more" in found["reason"]
