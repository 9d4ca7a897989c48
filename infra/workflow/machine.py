"""A run, from a trigger to a champion that answers, as one state machine (Amazon States Language, JSONata).

The launcher starts it, named by its run id. Its input is
`{"pipeline", "run_id", "trigger": {"kind", "at", "detail"}, and what was asked (contract.triggers.ASKED)}`.
"""

from __future__ import annotations

from contract.approvals import APPROVAL
from contract.batches import BATCH
from contract.compiled import COMPILING
from contract.scaling import SCALING
from contract.shadows import SHADOW as SHADOWED
from contract.states import (
    APPROVE,
    AUTOSCALE,
    DEPLOY,
    GATE,
    PLAN,
    RECORD,
    REGISTER,
    REPAIR,
    SETTLE,
    TRAIN,
    UNDO,
    VARIABLES,
    VERIFY,
)
from infra.workflow.endpoint import UNTOUCHED as ENDPOINT_UNTOUCHED
from infra.workflow.expressions import expression
from infra.workflow.instances import AT_FIRST, SHORT
from infra.workflow.step import Machine, Step, story
from infra.workflow.steps import ask, batch, evaluate, train
from infra.workflow.steps.approve import LOOK, approve
from infra.workflow.steps.autoscale import autoscale
from infra.workflow.steps.compile import compile_model
from infra.workflow.steps.deploy import deploy, first_of_update
from infra.workflow.steps.expect_alarms import expect_alarms
from infra.workflow.steps.gate import gate
from infra.workflow.steps.launched import launched
from infra.workflow.steps.plan import PLANNED, plan
from infra.workflow.steps.record import record
from infra.workflow.steps.register import register
from infra.workflow.steps.settle import settle
from infra.workflow.steps.shadow import shadow
from infra.workflow.steps.undo import undo
from infra.workflow.steps.verify import verify
from infra.workflow.surroundings import Surroundings
from infra.workflow.training import how_it_trains


def run_machine(at: Surroundings) -> Machine:
    """Each step ends by naming the next; whatever fails goes to Record."""
    training = how_it_trains(at, again=TRAIN, then=train.CLOSE)
    settling = settle(at, then=PLAN)
    asking, answering = ask.write(at, then=train.OPEN), ask.answer(at, then=evaluate.OPEN)
    compiling = compile_model(at, then=evaluate.OPEN)
    asks = next(iter(asking.states), train.OPEN)
    expecting = expect_alarms(at, then=asks)
    trains = next(iter(expecting.states), asks)
    otherwise = _at_the_end(at) if at.has_endpoint else batch.READY
    by_a_person = at.spec.approval.manual
    return story(
        launched(at, then=SETTLE if settling.states else PLAN),
        settling,
        plan(at, training, anew=trains, again=LOOK if by_a_person else DEPLOY, drifted=REPAIR, idle=otherwise),
        expecting,
        asking,
        *train.train(at, training, then=next(iter([*answering.states, *compiling.states]), evaluate.OPEN)),
        answering,
        compiling,
        evaluate.evaluate(at, training.way, then=GATE),
        gate(at, training.way, then=REGISTER),
        register(at, training, better=APPROVE if by_a_person else DEPLOY, worse=otherwise),
        approve(at, then=DEPLOY, otherwise=otherwise),
        *_champion(at),
        record(at, training),
        variables={
            **dict.fromkeys(VARIABLES),
            **training.way.variables,
            SHORT: AT_FIRST,
            **({} if at.has_endpoint else {BATCH: None}),
            **({COMPILING: None} if at.spec.deploy.compile else {}),
            **({SCALING: None} if at.spec.deploy.autoscale else {}),
            **({APPROVAL: None} if by_a_person else {}),
            **({SHADOWED: None} if at.spec.deploy.has_shadow else {}),
            **ENDPOINT_UNTOUCHED,
            "run": expression("$states.input"),
        },
        comment=f"A run of {at.pipeline} in {at.environment}: from a trigger to a champion that answers",
    )


def _champion(at: Surroundings) -> list[Step]:
    """What a champion does: it answers behind the endpoint, or it answers a batch."""
    if not at.has_endpoint:
        return [batch.batch(at)]
    end = _at_the_end(at)
    return [
        deploy(at, then=VERIFY, back=end),
        shadow(at, then=first_of_update(at)),
        verify(at, right=end, wrong=UNDO),
        undo(at, repaired=PLANNED, restored=end),
        autoscale(at),
    ]


def _at_the_end(at: Surroundings) -> str:
    """Where a run goes that leaves a champion serving."""
    return AUTOSCALE if at.spec.deploy.autoscale else RECORD
