"""Approve: the run waits until a person has decided about its model, in the model registry.

The machine asks through the pipeline's queue, with a task token; the launcher, which hears of every change of a model
package, lets it go on. What was decided the machine reads in the registry itself, and nothing but APPROVED deploys:
neither an answer from elsewhere, nor an event that is late. A rollback's model must be approved, too.
"""

from __future__ import annotations

from contract import outcomes
from contract.approvals import APPROVAL, APPROVED, ASK
from contract.states import APPROVE, RECORD
from infra.grants import Grant
from infra.workflow.conditions import equals, goes_back
from infra.workflow.expressions import expression, jsonata
from infra.workflow.language import RETRY_SQS, States, caught, choice, failure, task, when
from infra.workflow.requests import Document
from infra.workflow.run_grants import look_at_packages
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import QUEUE_URL, Surroundings

LOOK, DECIDED = "LookAtApproval", "DecidedByAPerson"


def approve(at: Surroundings, *, then: str, otherwise: str) -> Step:
    """Goes on to `then` with an approved `$candidate`, else to `otherwise`; no states where nobody needs to approve."""
    if not at.spec.approval.manual:
        return NOTHING
    return Step(states={**_wait(at, otherwise), **_look(then, otherwise)}, grants=_grants(at))


def _grants(at: Surroundings) -> list[Grant]:
    return [
        Grant(actions=["sqs:SendMessage"], resources=[at.queue_arn]),
        look_at_packages(at),
    ]


def _wait(at: Surroundings, otherwise: str) -> States:
    seconds = at.spec.approval.expires
    expired = {
        "outcome": outcomes.EXPIRED,
        "failure": None,
        APPROVAL: {"status": outcomes.EXPIRED, "reason": f"nobody has decided within {seconds} seconds"},
    }
    waits = task(
        APPROVE,
        "sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": str(QUEUE_URL), "MessageBody": question(at)},
        then="Answered",
        timeout=seconds,
        retries=RETRY_SQS,
        assign={APPROVAL: expression("$states.result")},
        catches=[caught(APPROVE, otherwise, ["States.Timeout"], expired)],
    )
    superseded = equals(f"${APPROVAL}.status", outcomes.SUPERSEDED)
    answered = [when(superseded, RECORD, {"outcome": outcomes.SUPERSEDED})]
    return {**waits, **choice("Answered", answered, default=LOOK)}


def question(at: Surroundings) -> str:
    """The message to the launcher: what it keeps, and what of the run the person needs who is asked."""
    train = at.spec.train
    asked: Document = {
        "kind": ASK,
        "run_id": expression("$run.run_id"),
        "package": expression("$package"),
        "token": expression("$states.context.Task.Token"),
        "since": expression("$now()"),
        "seconds": at.spec.approval.expires,
        "decision": expression("$sift($decision, function($_, $name) { $name != 'parts' })"),
        "cost": {
            "instance": expression("$training.instance") if train.instance.instead else str(train.instance),
            "instances": train.instance_count,
            "training_seconds": expression("$training.seconds"),
        },
    }
    return expression(f"$string({jsonata(asked)})")


def _look(then: str, otherwise: str) -> States:
    """What the registry says, whoever has let the run go on."""
    described = "$states.result.ApprovalDescription"
    found = {
        "status": expression("$states.result.ModelApprovalStatus"),
        "reason": expression(f"$exists({described}) ? {described} : ''"),
    }
    cause = f"the model of run <$candidate.run_id> is <${APPROVAL}.status> in the model registry: approve it first"
    refused = {"failure": failure(LOOK, "NotApproved", cause)}
    ways = [
        when(equals(f"${APPROVAL}.status", APPROVED), then),
        when(goes_back(), RECORD, refused),
    ]
    return {
        **task(
            LOOK,
            "aws-sdk:sagemaker:describeModelPackage",
            {"ModelPackageName": expression("$candidate.model_package_arn")},
            then=DECIDED,
            assign={APPROVAL: found},
        ),
        **choice(DECIDED, ways, default=otherwise, assign={"outcome": outcomes.REJECTED}),
    }
