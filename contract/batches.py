"""Batches: what a run of a pipeline for batches keeps of its own, and rows that the model couldn't answer.

AWS's batch transform takes a file as a whole or not at all; its guide advises a placeholder for a bad record ("Batch
Transform Errors"). With one the answers' order is the rows', so that a placeholder's line is the bad row's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# deploy.kind of pipeline.yaml, where there is no endpoint.
BATCH_KIND = "batch"
# The variable of the run's machine, and the record's field, of what became of the batch.
BATCH = "batch"
# SageMaker's variable, "true" in the container of a transform job.
IN_BATCH = "SAGEMAKER_BATCH"
# Instead of an answer, alone on its line or joined behind the row.
BAD_ROW = "#BAD_ROW"


def bad_rows(lines: Iterable[str]) -> Iterator[int]:
    """The numbers of the rows without an answer, from 1 on, by the lines of a result."""
    ends = (BAD_ROW, f'"{BAD_ROW}"', f'"{BAD_ROW}"}}')
    for number, line in enumerate(lines, start=1):
        if line.rstrip("\r\n").endswith(ends):
            yield number
