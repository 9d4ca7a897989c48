"""Who audits a channel's labels: a processing job that a person asks for (`ratchet labels`), no part of a run.

It has the code and the channel as inputs and runs without its role's credentials, as an evaluation does. So what the
role may is what SageMaker does for it: read the channels that pipeline.yaml names, write what was found beside the
tries.
"""

from __future__ import annotations

from contract import files, label_audits, names
from infra.grants import Grant, list_prefixes, write_objects
from infra.workflow.job_role import AUDITING, PROCESSING_LOGS, JobRole, read_data, run_container
from infra.workflow.surroundings import Surroundings

_JOBS_ARE_NAMED_LATER = "An audit's folder is named when it is asked for; the prefix is this pipeline's own."


def auditing(at: Surroundings) -> JobRole:
    """The role of such jobs."""
    return JobRole(
        name=AUDITING,
        purpose=f"Audits of the labels of {at.pipeline}'s {' and '.join(at.spec.labels)}",
        grants=[
            *read_data(at, [at.spec.data[channel] for channel in at.spec.labels]),
            *_audits(at),
            *run_container(at, at.image, PROCESSING_LOGS),
        ],
    )


def _audits(at: Surroundings) -> list[Grant]:
    """Each audit's folder: the code that it is made with, and what it finds."""
    bucket, audits = at.shared.artifact_bucket_arn, label_audits.audits_folder(at.pipeline)
    code = f"{bucket}/{audits}{names.ANY_RUN_ID}/{files.SOURCE_ARCHIVE}"
    return [
        Grant(actions=["s3:GetObject"], resources=[code], because=_JOBS_ARE_NAMED_LATER),
        list_prefixes(bucket, [audits]),
        write_objects(bucket, [f"{audits}{names.ANY_RUN_ID}/{label_audits.AUDIT}"], _JOBS_ARE_NAMED_LATER),
    ]
