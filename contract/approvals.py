"""Approval by a person: what is kept of a run that waits for one, and how it is told.

A run of a pipeline with `approval: manual` registers its model as PENDING, and waits. Whoever changes the model
package's ModelApprovalStatus, in the console, by AWS's own command or by `ratchet approve`, has decided; nothing else
decides. The run's item has, while it waits,

    approval    {"since", "until", "package", "token": the task token of its machine}

and its record has, of a run that came to wait,

    approval    {"status": the model registry's, or SUPERSEDED of contract.outcomes, "reason", "since"?, "until"?}
    said_later  {"status", "reason", "at", "came_to"}: what a person said of its model afterwards, and what came of it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract import names

# approval of pipeline.yaml.
AUTOMATIC, MANUAL = "automatic", "manual"
# ModelApprovalStatus, and the longest ApprovalDescription (UpdateModelPackage, API reference).
APPROVED, NOT_APPROVED, PENDING = "Approved", "Rejected", "PendingManualApproval"
DESCRIPTION_LENGTH = 1024
# The field of a run's item, and the variable of its machine.
APPROVAL = "approval"
SAID_LATER = "said_later"
# The message by which a run's machine asks; it carries the task token.
ASK = "ask"
# The stack's output that says how a pipeline is approved, where that is by a person.
OUTPUT = "Approval"
# "Events that Amazon SageMaker AI sends to Amazon EventBridge": of a model package whose status has changed.
EVENT = "SageMaker Model Package State Change"
# Of a rollback's detail: the model package of the champion whose approval a person has taken back.
WITHDRAWN = "withdrawn"


def waits(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a run waits for, by its item; None where it waits for nobody."""
    approval = item.get(APPROVAL)
    return approval if isinstance(approval, Mapping) and approval.get("token") else None


def commands(run_id: str, environment: str = names.LOCAL) -> tuple[str, str]:
    """The two commands that answer a run that waits."""
    approve, reject = (names.command(f"{verb} {run_id} --reason '…'", environment) for verb in ("approve", "reject"))
    return approve, reject


def sentence(run_id: str, approval: Mapping[str, Any], environment: str = names.LOCAL) -> str:
    """What a run that waits waits for, and which commands answer it."""
    approve, _ = commands(run_id, environment)
    return f"waits for approval since {approval['since']}, until {approval['until']}: `{approve}`, or `ratchet reject`"
