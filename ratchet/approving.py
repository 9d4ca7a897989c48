"""Approving and rejecting by hand: whether there is anything to decide about a run's model, and what follows.

The word goes into the model registry, as it would from the console; the pipeline's launcher hears it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract import outcomes, run_table
from contract.approvals import APPROVED, DESCRIPTION_LENGTH, MANUAL, OUTPUT, waits
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.runs import Run, RunTable


@dataclass(frozen=True)
class Decision:
    """A word about a run's model that may be said, and what follows from it, in a sentence."""

    package: str
    status: str
    follows: str


def checked_reason(given: str) -> str:
    """The reason in one line, as the registry takes it.

    Raises:
        UserError: it says nothing, or too much.
    """
    reason = " ".join(given.split())
    if not reason:
        raise UserError("--reason is empty; say why in a few words: it stands in the run's record and in the registry")
    if len(reason) > DESCRIPTION_LENGTH:
        raise UserError(f"--reason has {len(reason)} characters; the model registry keeps at most {DESCRIPTION_LENGTH}")
    return reason


def decision(account: Account, run: Run, status: str) -> Decision:
    """What may be said of the run's model.

    Raises:
        UserError: there is nothing to decide; the message says why, and what to do instead.
    """
    if account.pipeline(run.pipeline).get(OUTPUT) != MANUAL:
        how = "write `approval: manual` into its pipeline.yaml, and deploy it, to have a person decide"
        instead = account.command(f"rollback {run.pipeline}")
        raise UserError(
            f"{run.pipeline} approves by its gate alone; {how}. `{instead}` brings the champion before back"
        )
    waiting = waits(run.document)
    if run.outcome == outcomes.RUNNING:
        return _of_a_run_that_waits(account, run, waiting, status)
    if run.outcome != outcomes.PROMOTED:
        raise UserError(_over(account, run, status))
    return _of_a_champion(account, run, status)


def _of_a_run_that_waits(account: Account, run: Run, waiting: Mapping[str, Any] | None, status: str) -> Decision:
    if waiting is None:
        said = run.approval.get("status")
        why = f"it has been decided already: {said}" if said else "its model hasn't passed the gate yet"
        follow = account.command(f"logs {run.run_id} --follow")
        raise UserError(f"run {run.run_id} doesn't wait for approval: {why}; `{follow}` follows it")
    follows = "it is deployed now" if status == APPROVED else f"the run ends {outcomes.REJECTED}; the champion stays"
    return Decision(str(waiting["package"]), status, follows)


def _over(account: Account, run: Run, status: str) -> str:
    verb = "approved" if status == APPROVED else "rejected"
    start = account.command(f"run {run.pipeline} --force")
    why = {
        outcomes.EXPIRED: f"its time to be approved was over at {run.approval.get('until', 'its end')}",
        outcomes.SUPERSEDED: "a newer run took its place while it waited",
        outcomes.REJECTED: f"it was rejected: {run.approval.get('reason') or 'no reason is given'}",
    }.get(run.outcome, run.reason or "it made no model that may serve")
    return (
        f"the model of run {run.run_id} can't be {verb}: the run has ended {run.outcome} ({why}), and nothing of it "
        f"would be deployed. `{start}` trains anew"
    )


def _of_a_champion(account: Account, run: Run, status: str) -> Decision:
    candidate = run.document.get("candidate") or {}
    package, of = str(candidate.get("model_package_arn", "")), str(candidate.get("run_id", run.run_id))
    state = RunTable(account).state(run.pipeline)
    if (state.get(run_table.CHAMPION) or {}).get("model_package_arn") != package:
        back = account.command(f"rollback {run.pipeline} {of}")
        follows = (
            f"`{back}` may bring it back" if status == APPROVED else "no rollback brings it back until it is approved"
        )
        return Decision(package, status, follows)
    if status == APPROVED:
        raise UserError(f"the model of run {of} is approved already: it is the champion of {run.pipeline}, and serves")
    before = state.get(run_table.PREVIOUS_CHAMPION)
    if not before:
        return Decision(package, status, "there is no champion before it: it goes on serving until another is approved")
    return Decision(package, status, f"a rollback to the model of run {before['run_id']} starts, if that is approved")


def say(account: Account, decided: Decision, reason: str) -> None:
    """Writes it into the model registry."""
    account.client("sagemaker").update_model_package(
        ModelPackageArn=decided.package, ModelApprovalStatus=decided.status, ApprovalDescription=reason
    )
