"""Register: the challenger becomes a version in the model registry: approved, rejected, or waiting for a person."""

from __future__ import annotations

from contract import compiled, files, outcomes, thresholds
from contract.approvals import APPROVED, NOT_APPROVED, PENDING
from contract.states import RECORD, REGISTER
from infra.grants import Grant
from infra.workflow.chain import candidates, chain, with_archive
from infra.workflow.expressions import composed, expression, quoted
from infra.workflow.hosting import ENVIRONMENT
from infra.workflow.language import choice, task, when
from infra.workflow.requests import Document, run_uri
from infra.workflow.step import Step
from infra.workflow.surroundings import HOSTING_IMAGE_URI, Surroundings
from infra.workflow.training import Training
from infra.workflow.transform import CSV

_TRAINED = expression(f"$training.{compiled.TRAINED_MODEL_DATA}")
_CONTENT_TYPES = ("text/csv", "application/json", "application/x-npy")


def register(at: Surroundings, training: Training, *, better: str, worse: str = RECORD) -> Step:
    """A better challenger goes on to `better` as `$candidate`, any other to `worse`."""
    package = expression("$states.result.ModelPackageArn")
    registered = task(
        REGISTER,
        "aws-sdk:sagemaker:createModelPackage",
        model_package(at),
        then="Better",
        assign={"package": package, "candidate": {**_candidate(at, training), "model_package_arn": package}},
    )
    not_better = {"outcome": outcomes.NOT_BETTER}
    verdict = choice("Better", [when("$decision.promote", better)], default=worse, assign=not_better)
    packages = [at.sagemaker("model-package-group", at.model_package_group), at.model_package_arns]
    grant = Grant(
        actions=["sagemaker:CreateModelPackage", "sagemaker:AddTags"],
        resources=packages,
        because="A model package's version is the registry's to give.",
    )
    return Step(states={**registered, **verdict}, grants=[grant])


def _candidate(at: Surroundings, training: Training) -> Document:
    threshold = at.spec.serving.told
    return {
        "run_id": expression("$run.run_id"),
        "image_uri": str(HOSTING_IMAGE_URI),
        "model_data": expression("$training.model_data"),
        "score": expression("$decision.score"),
        "metric": expression("$decision.metric"),
        "fingerprint": expression("$plan.fingerprint"),
        **({thresholds.KEPT: threshold} if threshold else {}),
        **({compiled.TRAINED_MODEL_DATA: _TRAINED} if at.spec.deploy.compile else {}),
        **training.way.candidate,
        **candidates(chain(at, ENVIRONMENT)),
    }


def _content_types(at: Surroundings) -> Document:
    """What the model takes and answers, as far as this pipeline knows: of one over HTTP what it has been asked with."""
    takes = answers = list(_CONTENT_TYPES)
    if at.judging_image:
        takes, answers = [expression("$asked.content_type")], [CSV]
    return {"SupportedContentTypes": takes, "SupportedResponseMIMETypes": answers}


def model_package(at: Surroundings) -> Document:
    """CreateModelPackage, with the model's evaluation and the gate's decision.

    The run id as ClientToken makes a retry register the same version.
    """
    evaluation = {"ContentType": "application/json", "S3Uri": composed(run_uri(at, files.EVALUATION))}
    passed = PENDING if at.spec.approval.manual else APPROVED
    containers = chain(at, ENVIRONMENT) or [{"Image": str(HOSTING_IMAGE_URI)}]
    return {
        "ModelPackageGroupName": at.model_package_group,
        "ModelPackageDescription": expression("$substring($decision.reason, 0, 1024)"),
        "InferenceSpecification": {
            "Containers": with_archive(containers, expression("$training.model_data")),
            **_content_types(at),
        },
        "ModelApprovalStatus": expression(f"$decision.promote ? {quoted(passed)} : {quoted(NOT_APPROVED)}"),
        "ModelMetrics": {"ModelQuality": {"Statistics": evaluation}},
        "CustomerMetadataProperties": {
            "run_id": expression("$run.run_id"),
            "fingerprint": expression("$plan.fingerprint"),
            "metric": expression("$decision.metric"),
            "score": expression("$string($decision.score)"),
        },
        "ClientToken": expression("$run.run_id"),
    }
