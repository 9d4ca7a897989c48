"""Calls that take instances: a run waits where there are none for now, and ends at once where the account has no quota.

The instance types of pipeline.yaml are asked for in their order; where none of them is to be had, the run pauses, and
begins with the first again, for as long as the file says. ResourceLimitExceeded is one error for a quota that is used
up and for one that never fits; a retrier sees its name alone, so a choice reads its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.states import RECORD
from infra.workflow.conditions import all_of, any_of, is_not, says_no_capacity, says_quota_too_small
from infra.workflow.expressions import expression, jsonata, members
from infra.workflow.language import (
    API_CALL_SECONDS,
    RETRY_SAGEMAKER_TROUBLE,
    SAGEMAKER_LIMIT,
    States,
    caught,
    choice,
    task,
    waiting_until,
    when,
)
from ratchet.spec.instances import InstanceTypes

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30, 240
# Of the call that a run is at: whose turn it is among the types, whether one before it may be had later, how often none
# could be had, and for how long it has paused and will now, in milliseconds.
SHORT = "short"
AT_FIRST = {"turn": 0, "later": False, "refusals": 0, "waited": 0, "pause": 0}


def instance_type(types: InstanceTypes) -> str:
    """The type whose turn it is."""
    return expression(f"{jsonata(list(types.in_order))}[${SHORT}.turn]") if types.instead else str(types)


def of_variant(types: InstanceTypes, seconds: int) -> dict[str, Any]:
    """A variant's one instance type, or pools of several: SageMaker itself tries them in their order, so long."""
    if not types.instead:
        return {"InstanceType": str(types)}
    pools = [{"InstanceType": one, "Priority": place} for place, one in enumerate(types.in_order, start=1)]
    return {"InstancePools": pools, "VariantInstanceProvisionTimeoutInSeconds": seconds}


def taking_instances(
    name: str,
    resource: str,
    arguments: Mapping[str, Any] | str,
    *,
    then: str,
    patience: int,
    types: int = 1,
    timeout: int = API_CALL_SECONDS,
    assign: Mapping[str, Any] | None = None,
    on_failure: str = RECORD,
    on_error: str | None = None,
    has_them_then: bool = True,
) -> States:
    """A task like `language.task`, with what becomes of it when SageMaker has no instances for it.

    patience: seconds for which it is asked again and again. types: how many types may have their turn. on_error: where
    errors lead that may be a lack of capacity, and that come back to the choice `<name>Refused` then. has_them_then:
    whether it has its instances when it has succeeded; else the patience goes on.
    """
    refused, wait = f"{name}Refused", f"{name}Waits"
    return {
        **task(
            name,
            resource,
            arguments,
            then=then,
            timeout=timeout,
            retries=RETRY_SAGEMAKER_TROUBLE,
            assign={**(assign or {}), **({SHORT: AT_FIRST} if has_them_then else {})},
            catches=[caught(name, refused, SAGEMAKER_LIMIT)],
            on_failure=on_error or on_failure,
        ),
        **choice(refused, _ways(name, wait, types, patience), default=on_failure, assign={SHORT: AT_FIRST}),
        **pause(wait, then=name),
    }


def _ways(name: str, wait: str, types: int, patience: int) -> list[Any]:
    """On to the next type; or, after the last, a pause, if there is one that may be had later."""
    later = any_of(f"${SHORT}.later", is_not(says_quota_too_small()))
    next_type = members({"turn": f"${SHORT}.turn + 1", "later": later})
    on = {SHORT: expression(f"$merge([${SHORT}, {next_type}])"), "failure": None}
    others = [when(f"${SHORT}.turn < {types - 1}", name, on)] if types > 1 else []
    return [*others, when(all_of(later, is_patient(patience)), wait, {**pausing(), "failure": None})]


def is_patient(seconds: int) -> str:
    """Whether so much hasn't been waited yet, as JSONata text."""
    return f"${SHORT}.waited < {1000 * seconds}"


def pausing() -> dict[str, str]:
    """What is assigned on the way to a `pause`, after which the first type has its turn."""
    waited, refusals = f"${SHORT}.waited + $pause", f"${SHORT}.refusals + 1"
    after = members({"turn": "0", "later": "false", "refusals": refusals, "waited": waited, "pause": "$pause"})
    return {SHORT: expression(f"($pause := {_pause()}; {after})")}


def pause(name: str, *, then: str) -> States:
    return waiting_until(name, f"$floor($millis() + ${SHORT}.pause)", then=then)


def _pause() -> str:
    """Milliseconds, doubled with each refusal up to the longest, half of it jitter: many runs may wait together."""
    doubled = f"{SHORTEST_PAUSE_SECONDS} * $power(2, ${SHORT}.refusals)"
    return f"$min([{LONGEST_PAUSE_SECONDS}, {doubled}]) * (500 + 500 * $random())"


def short_of_capacity(name: str, *, clear: str, otherwise: str) -> States:
    """The choice after an error of task `name`: a lack of capacity is cleared away, then asked about again."""
    return choice(f"{name}Short", [when(says_no_capacity(), clear)], default=otherwise, assign={SHORT: AT_FIRST})
