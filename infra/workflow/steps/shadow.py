"""Shadow: the challenger sees a copy of the champion's traffic for a while, and its answers are compared.

A config with the champion as production variant and the challenger as shadow is put on the endpoint; what both answer
is captured in the artifact bucket, where it expires. Then the comparer judges. Either way the endpoint goes back to the
champion's config, so that what follows (a shift that SageMaker may take back) finds it as it would without a shadow. A
challenger that disagrees, or doesn't come up as a shadow, is out: Undo puts the champion back. Source: developer guide,
"Testing models with shadow variants".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.shadows import AGREES, SHADOW, SHADOW_VARIANT
from contract.states import COMPARE, UNDO
from contract.states import SHADOW as OPEN
from infra.grants import NO_RESOURCE, Grant, use_key
from infra.workflow.conditions import (
    all_of,
    in_service,
    in_time,
    is_changing,
    is_not,
    lacks_capacity,
    on_config,
    says_existing,
    says_throttled,
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
)
from infra.workflow.expressions import composed, expression
from infra.workflow.hosting import MODEL_NAME, content_name, variant
from infra.workflow.instances import AT_FIRST, SHORT, is_patient, pause, pausing
from infra.workflow.language import RETRY_EXPECTED, States, assigning, choice, failure, task, waiting_for, when
from infra.workflow.requests import Document, tags
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.scaling import retained
from infra.workflow.shadowing import captures, read_captures
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import ARTIFACT_BUCKET, KEY_ARN, Surroundings
from ratchet.spec.deploy_shift import Shift

_AGAIN_SECONDS = 2
CSV, JSON = "text/csv", "application/json"
_NAME, _CHAMPION = "$shadow_config", "$plan.champion.endpoint_config_name"
_CHAMPIONS_MODEL = "$plan.champion.model_name"


def shadow(at: Surroundings, *, then: str) -> Step:
    """From OPEN with the champion in service and `$deployment` made; goes on to `then` with the champion in service."""
    shift = at.spec.deploy.shift
    if shift is None or shift.shadow is None:
        return NOTHING
    comparer = _function(at)
    begun = {"shadow_since": expression("$millis()")}
    return Step(
        states={
            **_start(at, shift),
            **_await(OPEN, at, _NAME, then="ShadowTraffic", assign=begun, again="StartShadow"),
            **waiting_for("ShadowTraffic", shift.shadow, then=COMPARE),
            **_compare(at, shift, comparer),
            **_put("EndShadow", at, _CHAMPION, then="AwaitChampion"),
            **_await("Champion", at, _CHAMPION, then=then, assign=timer(at.spec.deploy.timeout), again="EndShadow"),
        },
        function=comparer,
    )


# ------------------------------------------------------------------------------------------------------------ requests


def shadow_config(at: Surroundings, shift: Shift) -> Document:
    """CreateEndpointConfig: the champion answers; the challenger is asked a share of it; both answers are captured."""
    share = 1 if shift.share is None else shift.share
    return {
        "EndpointConfigName": expression(_NAME),
        "ProductionVariants": [variant(at, _CHAMPIONS_MODEL)],
        "ShadowProductionVariants": [
            {**variant(at, MODEL_NAME), "VariantName": SHADOW_VARIANT, "InitialVariantWeight": share}
        ],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": composed(f"s3://{ARTIFACT_BUCKET}/{captures(at)}<$run.run_id>"),
            "KmsKeyId": str(KEY_ARN),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": [CSV], "JsonContentTypes": [JSON]},
        },
        "Tags": tags(at),
    }


def _limits(at: Surroundings, shift: Shift) -> Document:
    """What the shadow is judged by: what the spec says of it, and what would bring the old fleet back later."""
    watched = at.spec.deploy.rollback_on
    return {
        **({"agree": shift.agree} if shift.agree is not None else {}),
        **({"errors": watched.errors} if watched and watched.errors is not None else {}),
        **({"latencies": dict(watched.latencies)} if watched and watched.latencies else {}),
    }


# -------------------------------------------------------------------------------------------------------------- states


def _start(at: Surroundings, shift: Shift) -> States:
    """Each run's config is its own, since its captures are. The optimized integration's CreateEndpointConfig knows
    neither shadows nor captures."""
    name = content_name(at.content_prefix, [_CHAMPIONS_MODEL, MODEL_NAME, "$run.run_id"])
    refused = [
        when(says_existing(), "StartShadow", {"failure": None}),
        when(all_of(says_throttled(), in_time()), "WaitToCreateShadowConfig", {"failure": None}),
    ]
    return {
        **assigning(OPEN, {"shadow_config": expression(name)}, then="CreateShadowConfig"),
        **task(
            "CreateShadowConfig",
            "aws-sdk:sagemaker:createEndpointConfig",
            shadow_config(at, shift),
            then="StartShadow",
            retries=RETRY_EXPECTED,
            on_failure="ShadowConfigExists",
        ),
        **choice("ShadowConfigExists", refused, default=UNDO),
        **waiting_for("WaitToCreateShadowConfig", _AGAIN_SECONDS, then="CreateShadowConfig"),
        **_put("StartShadow", at, _NAME, then="AwaitShadow"),
    }


def _put(name: str, at: Surroundings, config: str, *, then: str) -> States:
    assign = {"deployed": True, **timer(at.spec.deploy.timeout)}
    patience, request = at.spec.deploy.timeout, {**update(at, config), **retained(at)}
    return change_endpoint(
        name, "updateEndpoint", request, patience=patience, then=then, assign=assign, on_failure=UNDO
    )


def _await(what: str, at: Surroundings, config: str, *, then: str, assign: Mapping[str, Any], again: str) -> States:
    """Looks until the endpoint is in service on the config; what it comes to else, or not in time, is undone.

    again: the state that changes the endpoint; it has another turn after a pause where there was no capacity.
    """
    name, wait, short = f"Await{what}", f"WaitFor{what}Config", f"WaitFor{what}Capacity"
    seen = {"endpoint_changed": expression("$endpoint_changed or $endpoint.status != 'InService'")}
    shown_later = all_of(in_service(), is_not(update_has_shown()))
    taken_back = all_of(lacks_capacity(), in_service(), update_has_shown(), is_patient(at.spec.deploy.timeout))
    ways = [
        when(on_config(config), then, {**assign, SHORT: AT_FIRST}),
        when(taken_back, short, pausing()),
        when(all_of(shown_later, in_time()), unheard(wait), seen),
        when(all_of(is_changing(), in_time()), wait, seen),
    ]
    told = "the endpoint is <$endpoint.status> on <$endpoint.config>, not on <" + config + ">: <$endpoint.reason>"
    failed = {"failure": failure(name, "ShadowFailed", told)}
    return {
        **describe_endpoint(name, at, then=f"{what}Ready", on_failure=UNDO),
        **choice(f"{what}Ready", ways, default=UNDO, assign=failed),
        **wait_for_endpoint(wait, then=name),
        **pause(short, then=again),
    }


def _compare(at: Surroundings, shift: Shift, comparer: RunFunction) -> States:
    payload = {
        "endpoint_name": at.endpoint,
        "bucket": str(ARTIFACT_BUCKET),
        "prefix": composed(f"{captures(at)}<$run.run_id>"),
        "production": VARIANT,
        "shadow": SHADOW_VARIANT,
        "since": expression("$shadow_since"),
        "until": expression("$millis()"),
        "limits": _limits(at, shift),
    }
    disagrees = {"failure": failure(COMPARE, "ShadowDisagrees", f"as a shadow: <${SHADOW}.reason>")}
    return {
        **invoke(COMPARE, comparer, payload, then="Compared", result=SHADOW, on_failure=UNDO),
        **choice("Compared", [when(f"${SHADOW}.{AGREES}", "EndShadow")], default=UNDO, assign=disagrees),
    }


# ------------------------------------------------------------------------------------------------------------ function


def _function(at: Surroundings) -> RunFunction:
    return RunFunction(
        folder="comparer",
        purpose="Compares a shadow's answers with those that were served",
        seconds=300,
        grants=[
            *read_captures(at),
            Grant(actions=["cloudwatch:GetMetricStatistics"], resources=["*"], because=NO_RESOURCE),
            use_key(at.account, at.shared.key_arn, "s3"),
        ],
    )
