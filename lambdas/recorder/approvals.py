"""Approvals in the model registry: `Approved` is what serves or may serve; what came to grief in production isn't.

Register has approved what the gate let through. Whoever takes the newest approved version, as tools do, mustn't get a
model that a person went back from, or that never passed Verify.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contract import outcomes, triggers
from contract.approvals import APPROVAL, APPROVED, DESCRIPTION_LENGTH, NOT_APPROVED
from contract.causes import readable

Document = dict[str, Any]


def updates(event: Mapping[str, Any], outcome: str) -> Iterator[Document]:
    """UpdateModelPackage's requests after a run; none where Register's word stands."""
    run, decision = event["run"], event["decision"] or {}
    if run["trigger"]["kind"] == triggers.ROLLBACK:
        if outcome == outcomes.PROMOTED:
            left = (event["plan"] or {}).get("champion") or {}
            yield _update(event["candidate"], APPROVED, decision["reason"], run)
            if left and left["model_package_arn"] != event["candidate"]["model_package_arn"]:
                yield _update(left, NOT_APPROVED, decision["reason"], run)
    elif event["package"] and decision.get("promote") and outcome != outcomes.PROMOTED:
        approval = event.get(APPROVAL) or {}
        if outcome in outcomes.NOT_APPROVED and approval.get("status") == NOT_APPROVED:
            # A person's own word, with its reason, stands.
            return
        failure = readable(event["failure"])["cause"] if event["failure"] else ""
        why = approval.get("reason") if outcome in outcomes.NOT_APPROVED else failure
        yield _update({"model_package_arn": event["package"]}, NOT_APPROVED, f"{outcome}: {why}", run)


def _update(model: Mapping[str, Any], status: str, why: str, run: Mapping[str, Any]) -> Document:
    return {
        "ModelPackageArn": model["model_package_arn"],
        "ModelApprovalStatus": status,
        "ApprovalDescription": f"run {run['run_id']}: {why}"[:DESCRIPTION_LENGTH],
    }
