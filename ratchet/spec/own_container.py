"""A container of one's own: an image with `train` and `serve`, in which nothing of Ratchet's runs.

SageMaker runs it as `docker run <image> train`, and `serve`, which answers GET /ping and POST /invocations on port 8080
(developer guide, Use Your Own Training Algorithms; Use Your Own Inference Code). What takes Ratchet's toolkit inside of
a container is refused here, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ratchet.spec.docker_context import docker_context
from ratchet.spec.image import ECR
from ratchet.spec.pipeline import PipelineSpec

CHECKPOINTS = "/opt/ml/checkpoints"
# Larger texts are data; a program that names a folder is smaller.
_SOURCE_BYTES = 1 << 20


def check_own_container(spec: PipelineSpec) -> None:
    """Raises SpecError for a field that a container of one's own can't have; call it of one."""
    for field, why in _refused(spec):
        raise spec.error(field, f"{why}, and the image is your own, in which nothing of Ratchet's runs; leave it out")
    if spec.image is not None and not ECR.match(spec.image):
        message = (
            f"is {spec.image!r}, which isn't in Amazon ECR: SageMaker takes images of other registries in a VPC alone, "
            "which is not supported yet; push it to ECR, or build FROM it with dockerfile:"
        )
        raise spec.error("image", message)
    wrong = _without_checkpoints(spec) if spec.train.spot is not None else None
    if wrong:
        raise spec.error("train.spot", wrong)


def _refused(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    """The fields that are said and can't be, with what each takes."""
    said = spec.model_fields_set
    if "probe" in said:
        yield "probe", "is what Ratchet's probe saves beside your training"
    if spec.rules_service == "sagemaker":
        yield "rules_service", "is sagemaker, whose hook runs in SageMaker's framework containers"
    if spec.rules:
        yield "rules.0", "is judged by Ratchet's toolkit beside your training"
    if spec.views:
        yield "views.0", "is drawn by Ratchet's toolkit beside your training"
    if spec.labels:
        yield "labels.0", "is audited by Ratchet's toolkit in the image that trains"
    if spec.rules_then == "evaluate":
        yield "rules_then", "is what becomes of a training that a rule has stopped"
    if spec.candidates:
        yield "candidates", "names scripts that SageMaker's framework containers run, of whose models one is judged"
    if spec.serving.threshold is not None:
        yield "serving.threshold", "is compared with each answer's confidence by Ratchet's toolkit"
    if spec.deploy.batch is not None:
        yield "deploy.batch", "is done by Ratchet's toolkit in the container that serves"
    if spec.deploy.compile is not None:
        yield "deploy.compile", "is done by Ratchet's toolkit, which serves what comes of it"
    if spec.deploy.chain:
        yield "deploy.chain", "names scripts that SageMaker's framework containers run"


def _without_checkpoints(spec: PipelineSpec) -> str | None:
    """The end of a sentence about an image that surely never goes on after an interruption; None where it may."""
    if spec.dockerfile is None:
        return None  # which is in a registry: only a run shows
    context = docker_context(spec.folder, spec.dockerfile)
    if any(_names_checkpoints(spec.folder / name) for name in context.names):
        return None
    return (
        f"needs an image that checkpoints, and nothing in {spec.folder} names {CHECKPOINTS}: an interruption would "
        f"train all anew; write there what a new start goes on from (docs/spot.md), or leave spot out"
    )


def _names_checkpoints(path: Path) -> bool:
    return path.stat().st_size <= _SOURCE_BYTES and CHECKPOINTS.encode() in path.read_bytes()
