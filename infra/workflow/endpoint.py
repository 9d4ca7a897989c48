"""The endpoint's part of a run: made or updated, watched until it is in service, and brought back when it is wrong.

Its name stays; the config that it is on says which model answers. A failed update ends `InService` too, on the old
config: only the config's name tells (SageMaker Developer Guide, "Deployment guardrails").
"""

from __future__ import annotations

from typing import Any

from infra.workflow import deployment
from infra.workflow.names import Names
from infra.workflow.states import (
    API_CALL_SECONDS,
    RECORD,
    RETRY_EXPECTED,
    RETRY_SAGEMAKER,
    THROTTLED,
    State,
    States,
    choice,
    expression,
    failure,
    rule,
    task,
)
from ratchet.spec import PipelineSpec

# An update that SageMaker has just accepted may not show yet.
UPDATE_SHOWS_MILLISECONDS = 15_000

ENDPOINT_CHANGES = "['Creating', 'Updating', 'SystemUpdating', 'RollingBack', 'Deleting']"


def timer(spec: PipelineSpec) -> dict[str, Any]:
    """The variables of a wait for the endpoint, which ends after the time that the spec gives a deployment."""
    return {
        "deploying_since": expression("$millis()"),
        "deploy_deadline": expression(f"$millis() + {spec.deploy.timeout * 1000}"),
        "endpoint_changed": False,
    }


def put_endpoint(names: Names, *, then: str) -> States:
    """The endpoint is made, or updated where there is one; one that never came up is replaced."""
    find = describe_endpoint("FindEndpoint", names, then="EndpointFound", on_failure="EndpointMissing")
    # That there is none is an answer, too.
    find["FindEndpoint"]["Retry"] = RETRY_EXPECTED
    missing = choice(
        "EndpointMissing",
        [
            rule("$contains($lowercase($failure.cause), 'could not find')", "CreateEndpoint", {"failure": None}),
            rule(f"{THROTTLED} and $millis() < $deploy_deadline", "WaitToFindEndpoint", {"failure": None}),
        ],
        default=RECORD,
    )
    found = choice(
        "EndpointFound",
        [
            rule("$endpoint.status = 'InService' and $endpoint.config = $deployment.endpoint_config_name", then),
            rule("$endpoint.status = 'InService'", "UpdateEndpoint"),
            rule("$endpoint.status = 'Failed'", "DeleteEndpoint"),
            rule(f"$endpoint.status in {ENDPOINT_CHANGES} and $millis() < $deploy_deadline", "WaitToFindEndpoint"),
        ],
        default=RECORD,
        assign={
            "failure": failure(
                "FindEndpoint",
                "EndpointNotUsable",
                f"'endpoint {names.endpoint} is ' & $endpoint.status & ', which cannot be updated'",
            )
        },
    )
    return {
        **find,
        **missing,
        **found,
        "WaitToFindEndpoint": wait_for_endpoint("FindEndpoint"),
        **change_endpoint("DeleteEndpoint", {"EndpointName": names.endpoint}, then="FindEndpoint"),
        **change_endpoint("CreateEndpoint", deployment.new_endpoint(names), then="AwaitEndpoint"),
        **change_endpoint(
            "UpdateEndpoint",
            deployment.endpoint_update(names, "$deployment.endpoint_config_name"),
            then="AwaitEndpoint",
        ),
        **await_endpoint(names, then=then),
    }


def await_endpoint(names: Names, *, then: str) -> States:
    """Looks until the endpoint is in service on the new config; on the old one, the deployment was rolled back."""
    look = describe_endpoint("AwaitEndpoint", names, then="EndpointReady", on_failure=RECORD)
    on_wanted = "$endpoint.status = 'InService' and $endpoint.config = $deployment.endpoint_config_name"
    on_other = (
        "$endpoint.status = 'InService' and"
        f" ($endpoint_changed or $millis() > $deploying_since + {UPDATE_SHOWS_MILLISECONDS})"
    )
    changing = f"($endpoint.status in {ENDPOINT_CHANGES} or $endpoint.status = 'InService')"
    ready = choice(
        "EndpointReady",
        [
            rule(on_wanted, then),
            rule(
                on_other,
                RECORD,
                {
                    "outcome": "RolledBack",
                    "failure": failure(
                        "AwaitEndpoint",
                        "DeploymentRolledBack",
                        "'the endpoint stays on ' & $endpoint.config & ': ' & $endpoint.reason",
                    ),
                },
            ),
            rule(
                f"{changing} and $millis() < $deploy_deadline",
                "WaitForEndpoint",
                {"endpoint_changed": expression("$endpoint_changed or $endpoint.status != 'InService'")},
            ),
        ],
        default=RECORD,
        assign={
            "failure": failure(
                "AwaitEndpoint",
                "DeploymentFailed",
                "'the endpoint is ' & $endpoint.status & ($millis() < $deploy_deadline ? ': ' & $endpoint.reason"
                " : ' after the time that the spec gives a deployment')",
            )
        },
    )
    return {**look, **ready, "WaitForEndpoint": wait_for_endpoint("AwaitEndpoint")}


def describe_endpoint(name: str, names: Names, *, then: str, on_failure: str) -> States:
    """The endpoint's status, config and, where SageMaker gives one, failure reason, in `$endpoint`."""
    return task(
        name,
        "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": names.endpoint},
        then=then,
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
        assign={
            "endpoint": expression(
                "{'status': $states.result.EndpointStatus, 'config': $states.result.EndpointConfigName,"
                " 'reason': $exists($states.result.FailureReason) ? $states.result.FailureReason"
                " : 'SageMaker gives no reason'}"
            )
        },
        on_failure=on_failure,
    )


def change_endpoint(name: str, request: dict[str, Any], *, then: str, on_failure: str = RECORD) -> States:
    """createEndpoint, updateEndpoint or deleteEndpoint, as the state's name begins."""
    action = name.removesuffix("Endpoint").lower() + "Endpoint"
    return task(
        name,
        f"arn:aws:states:::aws-sdk:sagemaker:{action}",
        request,
        then=then,
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
        on_failure=on_failure,
    )


def wait_for_endpoint(then: str) -> State:
    """A quarter of the time waited so far, from a quarter of a second to 30 s: quick for what is quick, and few calls
    for what takes minutes."""
    pause = "$min([30000, $max([250, ($millis() - $deploying_since) / 4])])"
    return {"Type": "Wait", "Timestamp": expression(f"$fromMillis($floor($millis() + {pause}))"), "Next": then}


def undo(spec: PipelineSpec, names: Names) -> States:
    """The champion serves again. Without one the recorder deletes the endpoint: nothing wrong may answer."""
    start = choice(
        "Undo", [rule("$exists($plan.champion.endpoint_config_name)", "RestoreChampion", timer(spec))], default=RECORD
    )
    restore = task(
        "RestoreChampion",
        "arn:aws:states:::aws-sdk:sagemaker:updateEndpoint",
        deployment.endpoint_update(names, "$plan.champion.endpoint_config_name"),
        then="AwaitChampion",
        timeout=API_CALL_SECONDS,
        retries=RETRY_SAGEMAKER,
    )
    look = describe_endpoint("AwaitChampion", names, then="ChampionServes", on_failure=RECORD)
    serves = "$endpoint.status = 'InService' and $endpoint.config = $plan.champion.endpoint_config_name"
    verdict = choice(
        "ChampionServes",
        [
            rule(serves, RECORD, {"outcome": "RolledBack"}),
            rule(
                f"($endpoint.status in {ENDPOINT_CHANGES} or $endpoint.status = 'InService')"
                " and $millis() < $deploy_deadline",
                "WaitForChampion",
            ),
        ],
        default=RECORD,
        assign={
            "failure": failure(
                "RestoreChampion",
                "ChampionNotRestored",
                "$failure.cause & '; and the champion could not be restored: the endpoint is ' & $endpoint.status"
                " & ', ' & $endpoint.reason",
            )
        },
    )
    return {**start, **restore, **look, **verdict, "WaitForChampion": wait_for_endpoint("AwaitChampion")}
