"""Autoscale: an endpoint with a champion is scaled as the spec says, by what is read back.

Every run ends here that leaves a champion serving, whatever else became of it: a policy that somebody has deleted is
put back by the next run, and told of. What can't be brought about leaves the champion serving, unscaled: the record
says so, and the run fails with it.
"""

from __future__ import annotations

from contract import outcomes
from contract.scaling import AS_SAID, NOT_SCALED, OTHERWISE, SCALING
from contract.states import AUTOSCALE, RECORD
from infra.workflow.conditions import all_of, any_of, equals, exists, is_not
from infra.workflow.expressions import expression, members, quoted
from infra.workflow.language import States, assigning, choice, when
from infra.workflow.requests import Document
from infra.workflow.scaling import (
    STOPPED_BY_RUN,
    begin_scaling,
    deregister,
    look,
    look_at_target,
    policies,
    scale,
    target,
    times,
)
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import Surroundings
from ratchet.spec.deploy_autoscale import Autoscale

_FIRST_LOOK = "$scaling.looks = 0"
_NOT_SCALED = "NotScaled"


def autoscale(at: Surroundings) -> Step:
    """Goes on to Record; no states where the spec doesn't say how to scale."""
    wanted = at.spec.deploy.autoscale
    if wanted is None:
        return NOTHING
    serves = any_of(exists("$plan.champion.endpoint_config_name"), equals("$outcome", outcomes.PROMOTED))
    begin, states = begin_scaling(at, wanted, then="LookAgain", on_failure=_NOT_SCALED)
    return Step(
        states={
            **choice(AUTOSCALE, [when(serves, "LookAtTarget", _begun())], default=RECORD),
            **_look(at, wanted, begin),
            **deregister("ScaleAnew", at, then=begin, on_failure=_NOT_SCALED),
            **states,
            **assigning("LookAgain", {SCALING: expression("$merge([$scaling, {'looks': 1}])")}, then="LookAtTarget"),
            **_end(),
        },
        grants=scale(at),
    )


def _begun() -> Document:
    """`$scaled` is what the run had come to before, and how the endpoint was scaled."""
    was = f"{STOPPED_BY_RUN} ? $scaling.stopped : ''"
    return {SCALING: {"looks": 0}, "scaled": {"failure": expression("$failure"), "before": expression(f"({was})")}}


def _before(was: str) -> Document:
    return {SCALING: {"looks": 0}, "scaled": {"failure": expression("$scaled.failure"), "before": expression(was)}}


def _look(at: Surroundings, wanted: Autoscale, begin: str) -> States:
    """What is in force; anything else than the spec says is taken away, and begun anew, once."""
    found = "$states.result.ScalableTargets[0]"
    of_target = members({"min": f"{found}.MinCapacity", "max": f"{found}.MaxCapacity"})
    tracked = "$states.result.ScalingPolicies[0].TargetTrackingScalingPolicyConfiguration.TargetValue"
    of_policies = members({"names": _names("ScalingPolicies.PolicyName"), "tracks": tracked})
    of_times = members({"names": _names("ScheduledActions.ScheduledActionName")})
    as_said = _as_said(at, wanted)
    ways = [
        when(as_said, RECORD, _in_force()),
        when(all_of(_FIRST_LOOK, is_not(exists("$target.min"))), begin, _before(_was(NOT_SCALED))),
        when(_FIRST_LOOK, "ScaleAnew", _before(_was(OTHERWISE))),
    ]
    reason = "what was read back isn't what the spec says: somebody else changes it, too"
    return {
        **look_at_target(
            "LookAtTarget",
            at,
            then="LookAtPolicies",
            assign={"target": expression(of_target)},
            on_failure=_NOT_SCALED,
        ),
        **look(
            "LookAtPolicies",
            "describeScalingPolicies",
            target(at),
            then="LookAtTimes",
            assign={"policies": expression(of_policies)},
            on_failure=_NOT_SCALED,
        ),
        **look(
            "LookAtTimes",
            "describeScheduledActions",
            target(at),
            then="ScalingFound",
            assign={"times": expression(of_times)},
            on_failure=_NOT_SCALED,
        ),
        **choice("ScalingFound", ways, default=_NOT_SCALED, assign={"failure": {"cause": reason}}),
    }


def _names(member: str) -> str:
    return f"$join($sort($append([], $states.result.{member})), ' ')"


def _as_said(at: Surroundings, wanted: Autoscale) -> str:
    """The names tell what is in force. A target's limits are its scheduled actions' to change, if there are any."""
    limits = f"$target.min = {wanted.min} and $target.max = {wanted.max}"
    return all_of(
        exists("$target.min") if wanted.schedule else limits,
        equals("$policies.names", " ".join(policies(at, wanted))),
        equals("$times.names", " ".join(sorted(times(at, wanted)))),
    )


def _was(otherwise: str) -> str:
    return f"$scaled.before != '' ? $scaled.before : {quoted(otherwise)}"


def _in_force() -> Document:
    """What the record keeps, and the failure that the run may have come with."""
    told = {
        "in_force": "true",
        "was": _was(AS_SAID),
        "min": "$target.min",
        "max": "$target.max",
        "invocations_per_instance": "$policies.tracks",
        "times": "$times.names != '' ? $count($split($times.names, ' ')) : 0",
    }
    return {SCALING: expression(members(told)), "failure": expression("$scaled.failure")}


def _end() -> States:
    told = {"in_force": "false", "was": _was(AS_SAID), "reason": "$failure.cause"}
    return assigning(
        _NOT_SCALED, {SCALING: expression(members(told)), "failure": expression("$scaled.failure")}, then=RECORD
    )
