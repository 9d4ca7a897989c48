"""Deploy: `$candidate` behind the endpoint, as a model and an endpoint config that are named by what they hold.

What exists already under its content's name is used as it is (a rollback, a retry). A deployment that SageMaker takes
back leaves the endpoint on its old config: the run ends RolledBack.
"""

from __future__ import annotations

from contract import files, names, outcomes
from contract.chains import CHAIN
from contract.shadows import SHADOW as SHADOWED
from contract.states import DEPLOY, RECORD, SHADOW, UNDO
from infra.grants import Grant
from infra.workflow.conditions import (
    all_of,
    any_of,
    equals,
    exists,
    goes_back,
    in_service,
    in_time,
    is_changing,
    is_leaving,
    is_not,
    is_redriven,
    lacks_capacity,
    may_still_change,
    on_config,
    one_of,
    says_missing,
    says_throttled,
    takes_updates,
    update_has_shown,
)
from infra.workflow.endpoint import (
    VARIANT,
    change_endpoint,
    describe_endpoint,
    timer,
    unheard,
    update,
    wait_for_endpoint,
    wait_grants,
)
from infra.workflow.endpoint_kinds import serve_queue
from infra.workflow.expressions import expression
from infra.workflow.guardrails import deployment_config, longest_update, look_at_alarms, watch, watch_grants, watchers
from infra.workflow.hosting import (
    CONFIG_NAME,
    DEPLOYMENT,
    content_names,
    make_endpoint_config,
    make_endpoint_configs,
    make_model,
    make_models,
)
from infra.workflow.instances import is_patient, pause, pausing
from infra.workflow.job_role import HOSTING, JobRole, serve_containers
from infra.workflow.language import RETRY_EXPECTED, State, States, assigning, choice, failure, task, when
from infra.workflow.requests import Document, tags
from infra.workflow.run_grants import read_from_runs
from infra.workflow.scaling import not_stopped_yet, retained, stop_scaling
from infra.workflow.shadowing import write_captures
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

_UPDATE, _AT_ONCE, _STOP = "UpdateEndpoint", "UpdateAtOnce", "StopScaling"
_SHORT = "WaitForCapacity"


def deploy(at: Surroundings, *, then: str, back: str = RECORD) -> Step:
    """Goes on to `then` when the endpoint is in service on the candidate's config, to `back` where it is left as it
    was, or SageMaker has gone back to the champion's."""
    role = _role(at)
    start = {"deployment": content_names(at, role), **timer(at.spec.deploy.timeout)}
    return Step(
        states={
            **assigning(DEPLOY, start, then="CreateModel"),
            **make_model(at, role, then="CreateEndpointConfig"),
            **make_endpoint_config(at, then="FindEndpoint"),
            **_find_endpoint(at, then=then, back=back),
            **task("DeleteEndpoint", "aws-sdk:sagemaker:deleteEndpoint", _named(at), then="FindEndpoint"),
            **_deploying(at, "CreateEndpoint", "createEndpoint", new_endpoint(at)),
            **_update(at, back=back),
            **_await_endpoint(at, then=then, back=back),
        },
        grants=[*_grants(at), wait_grants(at), *watch_grants(at)],
        role=role,
    )


# ------------------------------------------------------------------------------------------------------------ requests


def _named(at: Surroundings) -> Document:
    return {"EndpointName": at.endpoint}


def new_endpoint(at: Surroundings) -> Document:
    """CreateEndpoint."""
    return {**update(at, CONFIG_NAME), "Tags": tags(at)}


# -------------------------------------------------------------------------------------------------------------- states


def _find_endpoint(at: Surroundings, *, then: str, back: str) -> States:
    """Made where there is none, updated where there is one; one that doesn't serve is replaced."""
    ended = "the run had ended before its execution was redriven; start another, with `ratchet run`"
    redriven = when(is_redriven(), RECORD, {"failure": failure("FindEndpoint", "RunHasEnded", ended)})
    missing = [
        redriven,
        when(says_missing(), "CreateEndpoint", {"failure": None}),
        when(all_of(says_throttled(), in_time()), unheard("WaitToFindEndpoint"), {"failure": None}),
    ]
    found = [
        redriven,
        when(on_config(CONFIG_NAME), then),
        *([when(all_of(takes_updates(), not_stopped_yet()), _STOP)] if at.spec.deploy.autoscale else []),
        *([when(all_of(takes_updates(), goes_back()), _AT_ONCE)] if at.spec.deploy.is_guarded else []),
        *([when(_may_shadow(), SHADOW)] if at.spec.deploy.has_shadow else []),
        when(takes_updates(), first_of_update(at)),
        when(one_of("$endpoint.status", ("Failed", "OutOfService")), "DeleteEndpoint"),
        when(all_of(is_leaving(), in_time()), unheard("WaitToFindEndpoint")),
        when(all_of(is_changing(), in_time()), "WaitToFindEndpoint"),
    ]
    cause = f"endpoint {at.endpoint} is <$endpoint.status>, which cannot be updated"
    unusable = {"failure": failure("FindEndpoint", "EndpointNotUsable", cause)}
    return {
        **describe_endpoint(
            "FindEndpoint", at, then="EndpointFound", on_failure="EndpointMissing", retries=RETRY_EXPECTED
        ),
        **choice("EndpointMissing", missing, default=back),
        **choice("EndpointFound", found, default=back, assign=unusable),
        **wait_for_endpoint("WaitToFindEndpoint", then="FindEndpoint"),
        **(stop_scaling(_STOP, at, then="FindEndpoint", on_failure=back) if at.spec.deploy.autoscale else {}),
    }


def _may_shadow() -> str:
    """There is traffic to copy, and something to learn from it: the champion serves, and another model is to.

    Not again where the deployment is tried again after a pause, nor of a model that a person goes back to, nor of the
    champion's with another threshold. SageMaker has no shadows of several containers.
    """
    return all_of(
        on_config("$plan.champion.endpoint_config_name"),
        f"${SHADOWED} = null",
        is_not(goes_back()),
        "$candidate.model_package_arn != $plan.champion.model_package_arn",
        is_not(any_of(exists(f"$candidate.{CHAIN}"), exists(f"$plan.champion.{CHAIN}"))),
    )


def first_of_update(at: Surroundings) -> str:
    """The state in which the update to the candidate's config begins."""
    return _watch(at)[0]


def _watch(at: Surroundings, otherwise: str = RECORD) -> tuple[str, States]:
    return watch(at, CONFIG_NAME, VARIANT, then=_UPDATE, otherwise=otherwise)


def _update(at: Surroundings, *, back: str) -> States:
    """A challenger takes over as the spec says; a model that a person goes back to, at once."""
    request = {**update(at, CONFIG_NAME), **retained(at)}
    if not at.spec.deploy.is_guarded:
        return _deploying(at, _UPDATE, "updateEndpoint", request)
    guarded = {**request, **deployment_config(at, CONFIG_NAME)}
    return {
        **_watch(at, otherwise=back)[1],
        **_deploying(at, _UPDATE, "updateEndpoint", guarded, longest_update(at)),
        **_deploying(at, _AT_ONCE, "updateEndpoint", request),
    }


def _deploying(at: Surroundings, name: str, action: str, request: Document, longest: int | None = None) -> States:
    """From here on the endpoint may change, even if the answer is an error: the first of two tries may be accepted.

    longest: seconds from then on, if not the deployment's time; waiting for instances takes nothing of it.
    """
    patience = at.spec.deploy.timeout
    assign = {"deployed": True, **timer(longest or patience)}
    return change_endpoint(
        name, action, request, patience=patience, then="AwaitEndpoint", assign=assign, on_failure=UNDO
    )


def _await_endpoint(at: Surroundings, *, then: str, back: str) -> States:
    """Looks until the endpoint is in service on the new config; on the champion's, SageMaker has rolled it back.

    Where there was no capacity for it, it is deployed anew after a pause. Whatever else it comes to, or doesn't come to
    in time, is undone.
    """
    why = f"({in_time()} ? ': ' & $endpoint.reason : ' after the time that the spec gives a deployment')"
    failed = {
        "failure": {
            "state": "AwaitEndpoint",
            "error": "DeploymentFailed",
            "cause": expression(f"'the endpoint is ' & $endpoint.status & {why}"),
        }
    }
    return {
        **describe_endpoint("AwaitEndpoint", at, then="EndpointReady", on_failure=UNDO),
        **choice("EndpointReady", _came_to(at, then=then, back=back), default=UNDO, assign=failed),
        **wait_for_endpoint("WaitForEndpoint", then="AwaitEndpoint"),
        **pause(_SHORT, then="FindEndpoint"),
    }


def _came_to(at: Surroundings, *, then: str, back: str) -> list[State]:
    """What a deployment may have come to by now, but for its failure."""
    was_champion = "$endpoint.config = $plan.champion.endpoint_config_name"
    rolled_back = {
        "outcome": outcomes.ROLLED_BACK,
        "failure": failure(
            "AwaitEndpoint",
            "DeploymentRolledBack",
            f"the endpoint stays on <$endpoint.config>: <$endpoint.reason>{watchers(at, CONFIG_NAME)}",
        ),
    }
    ran_on = f"$merge([{DEPLOYMENT}, {{'instance': $join($endpoint.instances, ', ')}}])"
    seconds = at.spec.deploy.timeout
    told = {"deployment": expression(ran_on)} if at.spec.deploy.instance.instead else None
    seen = {"endpoint_changed": expression("$endpoint_changed or $endpoint.status != 'InService'")}
    return [
        when(on_config(CONFIG_NAME), then, told),
        when(all_of(lacks_capacity(), _has_ended(), is_patient(seconds)), _SHORT, {**pausing(), **timer(seconds)}),
        when(all_of(in_service(), update_has_shown(), was_champion), back, rolled_back),
        when(all_of(takes_updates(), is_not(update_has_shown()), in_time()), unheard("WaitForEndpoint"), seen),
        when(all_of(may_still_change(), in_time()), "WaitForEndpoint", seen),
    ]


def _has_ended() -> str:
    """The deployment: on the old config, or with no endpoint that serves."""
    return any_of(all_of(in_service(), update_has_shown()), equals("$endpoint.status", "Failed"))


# -------------------------------------------------------------------------------------------------------------- grants


def _grants(at: Surroundings) -> list[Grant]:
    return [
        make_models(at),
        make_endpoint_configs(at),
        Grant(
            actions=["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"],
            resources=[at.endpoint_arn, at.endpoint_config_arns],
        ),
        Grant(
            actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags"],
            resources=[at.endpoint_arn],
        ),
    ]


def _role(at: Surroundings) -> JobRole:
    return JobRole(
        name=HOSTING,
        purpose=f"The endpoint of {at.pipeline}",
        grants=[
            *read_from_runs(at, f"*{files.ARCHIVE_ENDING}"),
            *serve_containers(at, names.endpoint_log_group(at.endpoint)),
            *serve_queue(at),
            *look_at_alarms(at),
            *write_captures(at),
        ],
    )
