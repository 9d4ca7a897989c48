"""A container of one's own is judged over HTTP: what its models can't be asked so is refused when the file is read.

They answer in batch transform jobs, an example a line.
"""

from __future__ import annotations

from contract.held_out_requests import CONTENT_TYPES
from ratchet.spec.instances import is_of_transform_jobs
from ratchet.spec.pipeline import PipelineSpec


def check_over_http(spec: PipelineSpec) -> None:
    """Raises SpecError for what can't be asked line by line, or on no instance; call it of such a container's spec."""
    format_ = spec.evaluate.format
    if format_ and format_ not in CONTENT_TYPES:
        known = ", ".join(CONTENT_TYPES)
        raise spec.error(
            "evaluate.format",
            f"is {format_}, but the image is your own, whose models are asked over HTTP, an example a line; write the "
            f"held-out data as one of {known}",
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
        raise spec.error(
            "evaluate.instance" if "instance" in spec.evaluate.model_fields_set else "train.instance",
            f"leaves none of {', '.join(dict.fromkeys(types))} for the transform job in which models of an image of "
            "your own answer: SageMaker has no such instances for one; write evaluate: {instance: ml.m5.large}",
        )
    return found
