"""A pipeline whose image is the user's own: its models are asked over HTTP, and judged in scikit-learn's image."""

from __future__ import annotations

from infra.images import framework_image
from ratchet.spec import PipelineSpec

# Whose image holds what computes metrics, in the version whose Python the toolkit is for.
JUDGE = ("sklearn", "1.9-0")


def judging_image(spec: PipelineSpec, region: str) -> str | None:
    """The image that judges; None where that is one of the framework's, whose models aren't asked over HTTP.

    Raises:
        SpecError: the region has none.
    """
    if not spec.is_own_container:
        return None
    field = "dockerfile" if spec.dockerfile is not None else "image"
    return framework_image(*JUDGE, region, lambda wrong: spec.error(field, wrong))
