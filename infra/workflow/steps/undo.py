"""Undo and Repair: the endpoint is put back to what the run table says, whatever it is on or on its way to.

Undo follows a deployment that went wrong; Repair comes first in a run whose Plan found that the endpoint isn't what the
run table says. An update can't be cancelled, and refuses another one: it is waited out. Where there was no champion,
Undo leaves the endpoint to the recorder, which deletes it, and Repair deletes it: nothing wrong may answer.
"""

from __future__ import annotations

from contract import outcomes
from contract.scaling import SCALING, STOPPED
from contract.states import RECORD, REPAIR, UNDO
from infra.grants import Grant
from infra.workflow.conditions import (
    all_of,
    any_of,
    equals,
    exists,
    in_time,
    is_changing,
    is_leaving,
    is_not,
    on_config,
    one_of,
    says_in_progress,
    says_missing,
    says_not_updatable,
    says_throttled,
    update_has_shown,
)
from infra.workflow.endpoint import (
    change_endpoint,
    describe_endpoint,
    timer,
    unheard,
    update,
    wait_for_endpoint,
    wait_grants,
)
from infra.workflow.expressions import expression
from infra.workflow.guardrails import longest_update
from infra.workflow.instances import AT_FIRST, SHORT
from infra.workflow.language import RETRY_EXPECTED, State, States, assigning, choice, failure, task, when
from infra.workflow.requests import Document, tags
from infra.workflow.scaling import begin_scaling, not_stopped_yet, retained, stop_scaling
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

# An update that the run gave up is still waited for, at least so long: nothing else can be done meanwhile.
LONGEST_SECONDS = 3600

_CHAMPION = "$plan.champion.endpoint_config_name"
_HAS_CHAMPION, _HAS_NONE = exists(_CHAMPION), is_not(exists(_CHAMPION))
_IS_REPAIR, _IS_UNDO = "$undone = null", "$undone != null"
_SETTLED = one_of("$endpoint.status", ("InService", "OutOfService", "UpdateRollbackFailed", "Failed"))
_UPDATABLE = one_of("$endpoint.status", ("InService", "OutOfService", "UpdateRollbackFailed"))
_OUT_OF_SERVICE = equals("$endpoint.status", "OutOfService")
_SAYS_BUSY = any_of(says_in_progress(), says_throttled())
_NOT_TRIED = "$restored = 0"
_STOP = "StopScalingToRestore"
_TRIED = {"restored": expression("$restored + 1")}


def undo(at: Surroundings, *, repaired: str, restored: str = RECORD) -> Step:
    """After Undo the run is recorded, by way of `restored` where the endpoint is as it was: RolledBack, if it wasn't
    all the while. After Repair it goes on to `repaired`."""
    left_to_recorder = [when(all_of(_HAS_NONE, _SETTLED), RECORD)]
    return Step(
        states={
            **choice(
                UNDO, left_to_recorder, default="LookAtEndpoint", assign=_begin(at, undone=expression("$failure"))
            ),
            **assigning(REPAIR, _begin(at, undone=None), then="LookAtEndpoint"),
            **_look(at),
            **_change(at),
            **_end(at, repaired, restored),
        },
        grants=[*_grants(at), wait_grants(at)],
    )


def _begin(at: Surroundings, *, undone: str | None) -> dict[str, object]:
    """`$undone` is the failure that is undone; `$restored` counts the changes that SageMaker has accepted."""
    seconds = max(LONGEST_SECONDS, 2 * at.spec.deploy.timeout, longest_update(at) + at.spec.deploy.timeout)
    return {"undone": undone, "failure": None, "restored": 0, SHORT: AT_FIRST, **timer(seconds)}


# -------------------------------------------------------------------------------------------------------------- states


def _look(at: Surroundings) -> States:
    """The endpoint as it is, and what is to be done about it."""
    waits: dict[str, object] = {"endpoint_changed": expression("$endpoint_changed or $endpoint.status != 'InService'")}
    shown_later = all_of(_UPDATABLE, is_not(_NOT_TRIED), is_not(update_has_shown()))
    ways = [
        when(all_of(_HAS_CHAMPION, on_config(_CHAMPION)), "Restored"),
        when(all_of(any_of(is_leaving(), shown_later), in_time()), unheard("WaitForChampion"), waits),
        when(all_of(is_changing(), in_time()), "WaitForChampion", waits),
        when(all_of(_HAS_NONE, _IS_UNDO, _SETTLED), "Restored"),
        when(all_of(any_of(_HAS_NONE, "$endpoint.status = 'Failed'"), _SETTLED, _NOT_TRIED), "TakeAway"),
        when(all_of(_OUT_OF_SERVICE, f"$endpoint.config = {_CHAMPION}", _NOT_TRIED), "TakeAway"),
        *([when(all_of(_UPDATABLE, _NOT_TRIED, not_stopped_yet()), _STOP)] if at.spec.deploy.autoscale else []),
        when(all_of(_UPDATABLE, _NOT_TRIED), "RestoreChampion"),
    ]
    gone = [
        when(all_of(says_missing(), _HAS_NONE), "Restored", {"failure": None}),
        when(all_of(says_missing(), _NOT_TRIED), "BringBackChampion", {"failure": None}),
        *_busy(says_throttled()),
    ]
    odd = {
        "failure": failure(
            "LookAtEndpoint", "EndpointNotUsable", "the endpoint is <$endpoint.status>, <$endpoint.reason>"
        )
    }
    return {
        **describe_endpoint(
            "LookAtEndpoint", at, then="EndpointNow", on_failure="EndpointGone", retries=RETRY_EXPECTED
        ),
        **choice("EndpointGone", gone, default="NotRestored"),
        **choice("EndpointNow", ways, default="NotRestored", assign=odd),
        **wait_for_endpoint("WaitForChampion", then="LookAtEndpoint"),
        **(
            stop_scaling(_STOP, at, then="LookAtEndpoint", on_failure="NotRestored") if at.spec.deploy.autoscale else {}
        ),
    }


def _change(at: Surroundings) -> States:
    """The champion's config on the endpoint, or no endpoint; what SageMaker refuses while it is busy waits."""
    create = {**update(at, _CHAMPION), "Tags": tags(at)}
    return {
        **change_endpoint(
            "RestoreChampion",
            "updateEndpoint",
            {**update(at, _CHAMPION), **retained(at)},
            patience=at.spec.deploy.timeout,
            then="LookAtEndpoint",
            assign=_TRIED,
            on_failure="NotUpdated",
        ),
        **choice("NotUpdated", _instead_of_updating(), default="NotRestored"),
        **change_endpoint(
            "BringBackChampion",
            "createEndpoint",
            create,
            patience=at.spec.deploy.timeout,
            then="LookAtEndpoint",
            assign=_TRIED,
            on_failure="NotAccepted",
        ),
        **task(
            "TakeAway",
            "aws-sdk:sagemaker:deleteEndpoint",
            _named(at),
            then="LookAtEndpoint",
            retries=RETRY_EXPECTED,
            on_failure="NotAccepted",
        ),
        **choice("NotAccepted", _busy(_SAYS_BUSY), default="NotRestored"),
    }


def _instead_of_updating() -> list[State]:
    """An endpoint that takes no update is made anew: one that doesn't serve, or whose status forbids updates for good.

    Whatever else refuses an update (a permission, a quota) leaves an endpoint that serves alone.
    """
    return [*_busy(_SAYS_BUSY), when(any_of(_OUT_OF_SERVICE, says_not_updatable()), "TakeAway", {"failure": None})]


def _busy(condition: str) -> list[State]:
    return [when(all_of(condition, in_time()), unheard("WaitForChampion"), {"failure": None})]


def _end(at: Surroundings, repaired: str, restored: str) -> States:
    """The run goes on, or is recorded with what was undone and, where the champion isn't back, with why it isn't."""
    undone = {"failure": expression("$undone")}
    put_back = {"failure": None, "repaired": expression("$plan.drift")}
    again, scaling = _scale_again(at, put_back, then=repaired)
    changed = any_of("$deployed", "$restored > 0", "$endpoint_changed")
    ways = [
        *([when(all_of(_IS_REPAIR, equals("$scaling.stopped", STOPPED)), again)] if scaling else []),
        when(_IS_REPAIR, repaired, put_back),
        when(all_of(_HAS_CHAMPION, changed), restored, {"outcome": outcomes.ROLLED_BACK, **undone}),
    ]
    why = (
        "($undone = null ? $plan.drift : $undone.cause) & '; and the champion could not be restored: ' & $failure.cause"
    )
    champion = "$plan.champion.run_id"
    anew = f"({exists(champion)} ? '; `ratchet rollback {at.pipeline} ' & {champion} & '` deploys it anew' : '')"
    reason = {
        "state": "RestoreChampion",
        "error": "ChampionNotRestored",
        "cause": expression(f"{why} & {anew}"),
    }
    return {
        **choice("Restored", ways, default=restored, assign=undone),
        **assigning("NotRestored", {"failure": reason}, then=RECORD),
        **scaling,
    }


def _scale_again(at: Surroundings, put_back: Document, *, then: str) -> tuple[str, States]:
    """What a repair has stopped begins again at once, since the run may train for hours, and may fail; the first state.

    Whether it is in force is looked at when the run ends.
    """
    wanted, last = at.spec.deploy.autoscale, "ScalesAgain"
    if wanted is None:
        return then, {}
    first, states = begin_scaling(at, wanted, then=last, on_failure=last, suffix="Again")
    return first, {**states, **assigning(last, {SCALING: None, **put_back}, then=then)}


# -------------------------------------------------------------------------------------------------------------- grants


def _named(at: Surroundings) -> Document:
    return {"EndpointName": at.endpoint}


def _grants(at: Surroundings) -> list[Grant]:
    changes = ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"]
    looks = ["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags"]
    return [
        Grant(actions=changes, resources=[at.endpoint_arn, at.endpoint_config_arns]),
        Grant(actions=looks, resources=[at.endpoint_arn]),
    ]
