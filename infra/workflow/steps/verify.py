"""Verify: the endpoint is on the new config, its answers name no other model, and are those that evaluation saw."""

from __future__ import annotations

from contract import functions, outcomes, thresholds
from contract.states import VERIFY
from infra.grants import Grant, use_key
from infra.workflow.conditions import exists
from infra.workflow.endpoint_kinds import ask
from infra.workflow.expressions import expression
from infra.workflow.language import choice, failure, when
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import read_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

SECONDS = 120
# A serverless endpoint may have to start first, for three minutes, and an asynchronous one to come to the question.
PATIENT_SECONDS = 300


def verify(at: Surroundings, *, right: str, wrong: str) -> Step:
    """Goes on to `right`, and to `wrong` if the endpoint answers otherwise, or if that can't be found out."""
    verifier, threshold = _function(at), f"$candidate.{thresholds.KEPT}"
    payload = {
        "endpoint_name": at.endpoint,
        "endpoint_config_name": expression("$deployment.endpoint_config_name"),
        "model_package_arn": expression("$candidate.model_package_arn"),
        thresholds.KEPT: expression(f"{exists(threshold)} ? {threshold} : null"),
        **({"asynchronous": True} if at.spec.deploy.queue else {}),
        "evaluated_by": {"pipeline": at.pipeline, "run_id": expression("$candidate.run_id")},
    }
    asked = invoke(VERIFY, verifier, payload, then="Verified", result="verification", on_failure=wrong)
    verdict = choice(
        "Verified",
        [when("$verification.verified", right, {"outcome": outcomes.PROMOTED})],
        default=wrong,
        assign={"failure": failure(VERIFY, "VerificationFailed", "<$verification.reason>")},
    )
    return Step(states={**asked, **verdict}, function=verifier)


def _function(at: Surroundings) -> RunFunction:
    return RunFunction(
        folder="verifier",
        purpose="Asks the endpoint real questions",
        seconds=SECONDS if at.spec.deploy.kind == "endpoint" else PATIENT_SECONDS,
        variables={functions.ARTIFACT_BUCKET: at.shared.artifact_bucket},
        grants=[
            Grant(actions=["sagemaker:DescribeEndpoint"], resources=[at.endpoint_arn]),
            *ask(at),
            *read_runs(at),
            use_key(at.account, at.shared.key_arn, "s3"),
        ],
    )
