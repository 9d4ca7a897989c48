"""Train: the training job, in script mode: the framework image unpacks sourcedir.tar.gz and runs train.py.

The held-out channel isn't among its inputs. `$training` is what became of the job. Before it, the run's folder is
opened to the training role; when all is trained, it is closed, so that what is judged stays as it is.
"""

from __future__ import annotations

from contract import files
from contract.manifests import manifest_channel
from contract.states import RECORD, TRAIN
from infra.grants import Grant, read_objects, write_objects
from infra.workflow.expressions import composed, expression
from infra.workflow.folder import closed, opened, write_own_run
from infra.workflow.job_role import TRAINING, TRAINING_LOGS, JobRole, read_code, read_data, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.other_champions import read_other_champions
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import Step
from infra.workflow.steps.stopped import stopped_as_an_error, why_stopped
from infra.workflow.surroundings import Surroundings
from infra.workflow.training import Training
from infra.workflow.training_request import training_description, training_job

_TRIES_ARE_NAMED_LATER = "A job's folder is named when it is tried out; the prefix is this pipeline's own."

# The states by which training begins and ends.
OPEN, CLOSE = "OpenTraining", "CloseTraining"


def train(at: Surroundings, training: Training, *, then: str) -> list[Step]:
    """The job, how a run goes on after it was stopped, and what its way of training brings behind it."""
    way, may_stop = training.way, training.judging.may_stop
    role = _role(at, training)
    folder = opened(OPEN, role, then=way.begins, of=way.writes) | closed(CLOSE, role, then=then)
    request = training_job(at, way, training.capacity, training.judging, role.arn)
    description = training_description(training.capacity)
    if several := way.several(at, request, description, training.capacity.longest):
        return [Step(states=folder, role=role), several]
    described = {"training": expression(description)}
    states = job(
        TRAIN,
        "createTrainingJob",
        request,
        types=at.spec.train.instance,
        patience=at.spec.train.wait_for_instance,
        longest=training.capacity.longest,
        then="Trained",
        assign=described,
        on_failure="TrainFailed" if may_stop else RECORD,
    )
    trained = completed(
        "Trained", TRAIN, "$training", then=way.completed, otherwise="WhyStopped" if may_stop else RECORD
    )
    grants = run_jobs(at, "TrainingJob", way.job_arns(at))
    step = Step(states={**folder, **states, **trained}, grants=grants, role=role)
    if not may_stop:
        return [step, way.step]
    asked = stopped_as_an_error("TrainFailed", composed(way.job_name(at)), described, then="Trained")
    return [step, Step(states=asked), why_stopped(at, "WhyStopped", way.goes_on), way.step]


def _role(at: Surroundings, training: Training) -> JobRole:
    return JobRole(
        name=TRAINING,
        purpose=f"Training jobs of {at.pipeline}",
        grants=[
            *read_data(at, at.spec.training_channels.values()),
            *read_from_runs(at, f"{files.TRAIN}/*", *map(files.manifest, _channels(at))),
            *read_other_champions(at),
            *([] if at.spec.is_own_container else read_code(at)),
            write_own_run(at, files.TRAIN),
            *_try_out(at),
            *training.judging.job_grants,
            *run_container(at, at.image, TRAINING_LOGS),
        ],
        of_a_run=True,
    )


def _channels(at: Surroundings) -> list[str]:
    """The channels of which Plan writes manifests for training."""
    separate = [manifest_channel(name) for name, found in at.spec.manifests.items() if not found.is_piped]
    return [*at.spec.training_channels, *separate]


def _try_out(at: Surroundings) -> list[Grant]:
    """A job outside of a run (`ratchet train`), whose folder nothing is deployed from."""
    bucket, folder = at.shared.artifact_bucket_arn, files.tries_folder(at.pipeline)
    return [
        *read_objects(bucket, [folder], _TRIES_ARE_NAMED_LATER),
        write_objects(bucket, [f"{folder}*"], _TRIES_ARE_NAMED_LATER),
    ]
