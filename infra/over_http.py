"""A pipeline whose image is the user's own: its models are asked over HTTP, and judged in scikit-learn's image.

The image needs nothing of Ratchet's. What such an evaluation can't have is refused here, before anything is deployed.
"""

from __future__ import annotations

from contract.held_out import READER
from contract.held_out_requests import CONTENT_TYPES
from infra.images import framework_image, is_of_a_framework
from ratchet.spec import PipelineSpec, SpecError
from ratchet.spec.instances import is_of_transform_jobs

# Whose image holds what computes metrics, in the version whose Python the toolkit is for.
JUDGE = ("sklearn", "1.9-0")


def judging_image(spec: PipelineSpec, region: str) -> str | None:
    """The image that judges; None where that is the one that trains, a framework's.

    Raises:
        SpecError: models over HTTP can't be judged as the file says.
    """
    if is_of_a_framework(spec):
        return None
    check(spec)
    name, version = JUDGE
    return framework_image(name, version, region, lambda wrong: spec.error(_field(spec), wrong))


def check(spec: PipelineSpec) -> None:
    """Raises SpecError for what can't be asked over HTTP, line by line."""
    format_ = spec.evaluate.format
    if format_ and format_ not in CONTENT_TYPES:
        known = ", ".join(CONTENT_TYPES)
        raise spec.error(
            "evaluate.format",
            f"is {format_}, but {_field(spec)} is an image of your own, whose models are asked over HTTP, an example a "
            f"line; write the held-out data as one of {known}",
        )
    if spec.reads_held_out_data:
        raise spec.error(
            _field(spec),
            f"is an image of your own, whose models are asked over HTTP; {spec.serving_scripts[0]} defines {READER}, "
            "which reads held-out data in a framework's image only: leave it out, and write the data as CSV or JSON "
            "lines",
        )
    answering_instance(spec)


def answering_instance(spec: PipelineSpec) -> str:
    """The instance type on which models answer: the first of evaluate's, else of train's, that transform jobs have.

    Raises:
        SpecError: there is none.
    """
    types = [*spec.evaluate.instance.in_order, *spec.train.instance.in_order]
    found = next((one for one in types if is_of_transform_jobs(one)), None)
    if found is None:
        raise _no_instance(spec)
    return found


def _no_instance(spec: PipelineSpec) -> SpecError:
    return spec.error(
        "evaluate.instance" if "instance" in spec.evaluate.model_fields_set else "train.instance",
        f"is {spec.evaluate.instance if 'instance' in spec.evaluate.model_fields_set else spec.train.instance}, which "
        "SageMaker has for no transform job, in which the models of an image of your own answer; write "
        "evaluate: {instance: ml.m5.large}",
    )


def _field(spec: PipelineSpec) -> str:
    """The field that says the image."""
    return "dockerfile" if spec.dockerfile is not None else "image"
