"""Undo: the champion serves again. Without one the recorder deletes the endpoint: nothing wrong may answer."""

from __future__ import annotations

from contract import outcomes
from contract.states import RECORD, UNDO
from infra.grants import Grant
from infra.workflow.conditions import all_of, exists, in_time, may_still_change, on_config
from infra.workflow.endpoint import change_endpoint, describe_endpoint, timer, update, wait_for_endpoint
from infra.workflow.language import choice, failure, when
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

_CHAMPION = "$plan.champion.endpoint_config_name"


def undo(at: Surroundings) -> Step:
    """The outcome is RolledBack, if the champion comes back; else `$failure` says both reasons."""
    cause = (
        "<$failure.cause>; and the champion could not be restored: the endpoint is <$endpoint.status>,"
        " <$endpoint.reason>"
    )
    not_restored = {"failure": failure("RestoreChampion", "ChampionNotRestored", cause)}
    ways = [
        when(on_config(_CHAMPION), RECORD, {"outcome": outcomes.ROLLED_BACK}),
        when(all_of(may_still_change(), in_time()), "WaitForChampion"),
    ]
    return Step(
        states={
            **choice(UNDO, [when(exists(_CHAMPION), "RestoreChampion", timer(at))], default=RECORD),
            **change_endpoint("RestoreChampion", "updateEndpoint", update(at, _CHAMPION), then="AwaitChampion"),
            **describe_endpoint("AwaitChampion", at, then="ChampionServes", on_failure=RECORD),
            **choice("ChampionServes", ways, default=RECORD, assign=not_restored),
            **wait_for_endpoint("WaitForChampion", then="AwaitChampion"),
        },
        grants=_grants(at),
    )


def _grants(at: Surroundings) -> list[Grant]:
    return [
        Grant(actions=["sagemaker:UpdateEndpoint"], resources=[at.endpoint_arn, at.endpoint_config_arns]),
        Grant(actions=["sagemaker:DescribeEndpoint"], resources=[at.endpoint_arn]),
    ]
