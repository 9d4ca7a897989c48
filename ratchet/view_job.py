"""The job that draws a view of a finished training: a processing job that a person asks for (`ratchet view`).

The role is its stack's, and the code that of the training, unless the folder's own is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract import drawings, files
from ratchet import processing_job

Document = dict[str, Any]

PROGRAM = f"{files.TOOLKIT}/view_job.py"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What such a job is asked, with S3 URIs of its code, of the tensors' folder, and of where the pictures go.

    run_id: whose tensors they are. size: their bytes.
    """

    job: str
    run_id: str
    role: str
    code: str
    tensors: str
    output: str
    arguments: Sequence[str]
    size: int


def request(definition: str, drawing: Drawing) -> Document:
    """CreateProcessingJob.

    Args:
        definition: the deployed state machine's.
    """
    asked = processing_job.Asked(
        job=drawing.job,
        script=PROGRAM,
        arguments=drawing.arguments,
        inputs={files.CODE_INPUT: drawing.code, drawings.TENSORS_INPUT: drawing.tensors},
        output=(files.VIEWS, drawing.output),
        role=drawing.role,
        size=drawing.size,
        run_id=drawing.run_id,
    )
    return processing_job.request(definition, asked)
