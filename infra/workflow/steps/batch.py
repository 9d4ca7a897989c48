"""Deploy and Answer of a pipeline for batches: the candidate's model is made, and the champion answers the rows.

There is no endpoint. A run that promotes makes the model, which is champion then; every run that has a champion ends
with a transform job on the rows that Plan has found, behind each of which stands the champion's answer. What became of
it is `$batch`. The batch may fail (a file isn't CSV): the champion stays, and the record says why.
"""

from __future__ import annotations

from contract import files, names, outcomes
from contract.batches import BATCH
from contract.states import ANSWER, DEPLOY, RECORD
from infra.workflow.conditions import all_of, exists, one_of
from infra.workflow.endpoint import timer
from infra.workflow.expressions import RUN_ID, composed, expression, members, results
from infra.workflow.hosting import content_name_of_model, make_model, make_models
from infra.workflow.job_role import HOSTING, JobRole, read_channels, serve_containers
from infra.workflow.jobs import job, run_jobs
from infra.workflow.language import assigning, choice, when
from infra.workflow.requests import Document, run_uri
from infra.workflow.run_grants import read_from_runs, write_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings
from infra.workflow.transform import CSV, TRANSFORM_LOGS, transform_job

# The state in which a run without a new champion comes here.
READY = "RowsToAnswer"

_MANIFEST = f"$plan.{BATCH}.manifest"
# The model made by this run, else the one that the champion has.
_NEW, _OLD = "$deployment.model_name", "$plan.champion.model_name"
_DESCRIPTION = results("TransformJobName", "TransformJobStatus", "FailureReason")


def batch(at: Surroundings) -> Step:
    """From DEPLOY with a candidate, from READY with the champion that there is; goes on to Record."""
    role = _role(at)
    name = f"{{'model_name': {content_name_of_model(at, role)}}}"
    rows = all_of(exists(_MANIFEST), f"({exists(_NEW)} or {exists(_OLD)})")
    # A run that has done nothing else has failed with its batch.
    by_a_person = (outcomes.REJECTED, outcomes.EXPIRED) if at.spec.approval.manual else ()
    has_done_more = one_of("$outcome", (outcomes.PROMOTED, outcomes.NOT_BETTER, *by_a_person))
    return Step(
        states={
            **assigning(DEPLOY, {"deployment": expression(name), **timer(at.spec.deploy.timeout)}, then="CreateModel"),
            **make_model(at, role, then="ModelMade"),
            **assigning("ModelMade", {"outcome": outcomes.PROMOTED}, then=READY),
            **choice(READY, [when(rows, ANSWER)], default=RECORD),
            **job(
                ANSWER,
                "createTransformJob",
                answering_job(at),
                types=at.spec.deploy.instance,
                patience=at.spec.deploy.timeout,
                longest=at.spec.deploy.timeout,
                then=RECORD,
                assign={BATCH: expression(members(_DESCRIPTION))},
                on_failure="NotAnswered",
            ),
            **choice("NotAnswered", [when(has_done_more, RECORD)], default=RECORD, assign={"outcome": None}),
        },
        grants=[
            make_models(at),
            *run_jobs(at, "TransformJob", [at.sagemaker("transform-job", at.job(names.ANY_RUN_ID, names.ANSWER_STEP))]),
        ],
        role=role,
    )


def answering_job(at: Surroundings) -> Document:
    """CreateTransformJob: the rows, behind each of which the champion's answer is written."""
    deploy = at.spec.deploy
    request = transform_job(
        at,
        name=composed(at.job(RUN_ID, names.ANSWER_STEP)),
        model=expression(f"{exists(_NEW)} ? {_NEW} : {_OLD}"),
        source={"S3DataType": "ManifestFile", "S3Uri": expression(_MANIFEST)},
        content_type=CSV,
        output=composed(run_uri(at, files.BATCH_ANSWERS)),
        instance=str(deploy.instance),
        instances=deploy.instance_count,
    )
    return {**request, "DataProcessing": {"JoinSource": "Input"}}


def _role(at: Surroundings) -> JobRole:
    return JobRole(
        name=HOSTING,
        purpose=f"Batches of {at.pipeline}",
        grants=[
            *read_channels(at, [at.spec.deploy.input or ""]),
            *read_from_runs(at, f"*{files.ARCHIVE_ENDING}", files.manifest(files.BATCH_INPUT)),
            write_runs(at, f"{files.BATCH_ANSWERS}/*"),
            *serve_containers(at, TRANSFORM_LOGS),
        ],
    )
