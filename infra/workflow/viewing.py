"""Who draws a view of a finished training: a processing job that a person asks for (`ratchet view`), no part of a run.

It has the code and the tensors as inputs and runs without its role's credentials, as an evaluation does. So what the
role may is what SageMaker does for it: read what the pipeline's trainings have saved, write pictures beside the tries.
"""

from __future__ import annotations

from contract import files, names
from infra.grants import Grant, list_prefixes, write_objects
from infra.workflow.job_role import PROCESSING_LOGS, VIEWING, JobRole, read_code, run_container
from infra.workflow.run_grants import read_from_runs
from infra.workflow.surroundings import Surroundings

_JOBS_ARE_NAMED_LATER = "A job's folder is named when it is asked for; the prefix is this pipeline's own."


def viewing(at: Surroundings) -> JobRole:
    """The role of such jobs."""
    return JobRole(
        name=VIEWING,
        purpose=f"Views of {at.pipeline}'s finished trainings",
        grants=[
            *read_from_runs(at, f"{files.TENSORS}/*"),
            *read_code(at),
            *_tries(at),
            *run_container(at, at.image, PROCESSING_LOGS),
        ],
    )


def _tries(at: Surroundings) -> list[Grant]:
    """Trainings outside of runs, whose tensors are seen, too; and the pictures, with other code where that is asked."""
    bucket, tries = at.shared.artifact_bucket_arn, files.tries_folder(at.pipeline)
    drawings = files.drawings_folder(at.pipeline)
    one = f"{tries}{names.ANY_RUN_ID}/"
    read = (f"{one}{files.TENSORS}/*", f"{one}{files.SOURCE_ARCHIVE}", f"{drawings}{names.ANY_RUN_ID}/*")
    return [
        Grant(actions=["s3:GetObject"], resources=[f"{bucket}/{name}" for name in read], because=_JOBS_ARE_NAMED_LATER),
        list_prefixes(bucket, [tries]),
        write_objects(bucket, [f"{drawings}*"], _JOBS_ARE_NAMED_LATER),
    ]
