"""Where a shadow's answers are captured, and who may write and read them there."""

from __future__ import annotations

from contract import files
from infra.grants import Grant, read_objects, write_objects
from infra.workflow.surroundings import Surroundings

CAPTURES_ARE_NAMED_LATER = "SageMaker names what it captures by the time; the prefix is this pipeline's own."


def captures(at: Surroundings) -> str:
    """The folder of the captures of all of the pipeline's shadows in the artifact bucket."""
    return files.captures_folder(at.pipeline)


def write_captures(at: Surroundings) -> list[Grant]:
    """The endpoint's: keeping what its variants answer, where there is a shadow to compare."""
    if not at.spec.deploy.has_shadow:
        return []
    return [write_objects(at.shared.artifact_bucket_arn, [f"{captures(at)}*"], CAPTURES_ARE_NAMED_LATER)]


def read_captures(at: Surroundings) -> list[Grant]:
    """The comparer's."""
    return read_objects(at.shared.artifact_bucket_arn, [captures(at)], CAPTURES_ARE_NAMED_LATER)
