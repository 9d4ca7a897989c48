"""Train: the training job, in script mode: the framework image unpacks sourcedir.tar.gz and runs train.py.

The held-out channel isn't among its inputs. `$training` is what became of the job. Before it, the run's folder is
opened to the training role; when all is trained, it is closed, so that what is judged stays as it is.
"""

from __future__ import annotations

from contract import environment, files
from contract.states import RECORD, TRAIN
from infra.grants import Grant, read_objects, write_objects
from infra.workflow.expressions import composed, expression, members, results
from infra.workflow.first_process import first_process
from infra.workflow.folder import closed, opened, write_own_run
from infra.workflow.job_role import TRAINING_LOGS, JobRole, read_channels, read_code, run_container
from infra.workflow.jobs import completed, job, run_jobs
from infra.workflow.requests import Document, code_uri, in_vpc, manifest, run_uri, s3_channel, tags
from infra.workflow.run_grants import read_from_runs
from infra.workflow.step import Step
from infra.workflow.steps.stopped import stopped_as_an_error, why_stopped
from infra.workflow.surroundings import IMAGE_URI, KEY_ARN, Surroundings
from infra.workflow.training import Training

_TRIES_ARE_NAMED_LATER = "A job's folder is named when it is tried out; the prefix is this pipeline's own."

# The states by which training begins and ends.
OPEN, CLOSE = "OpenTraining", "CloseTraining"


def train(at: Surroundings, training: Training, *, then: str) -> list[Step]:
    """The job, how a run goes on after it was stopped, and what its way of training brings behind it."""
    way, may_stop = training.way, training.judging.may_stop
    role = _role(at, training)
    described = {"training": expression(_description(training))}
    states = job(
        TRAIN,
        "createTrainingJob",
        training_job(at, training, role),
        longest=training.capacity.longest,
        then="Trained",
        assign=described,
        on_failure="TrainFailed" if may_stop else RECORD,
    )
    trained = completed(
        "Trained", TRAIN, "$training", then=way.completed, otherwise="WhyStopped" if may_stop else RECORD
    )
    grants = run_jobs(at, "TrainingJob", way.job_arns(at))
    folder = opened(OPEN, role, then=TRAIN) | closed(CLOSE, role, then=then)
    step = Step(states={**folder, **states, **trained}, grants=grants, role=role)
    if not may_stop:
        return [step, way.step]
    asked = stopped_as_an_error("TrainFailed", composed(way.job_name(at)), described, then="Trained")
    return [step, Step(states=asked), why_stopped(at, "WhyStopped", way.goes_on), way.step]


def _description(training: Training) -> str:
    """`$training`, over the job's description; the recorder reads from the environment who judged it."""
    description = results("TrainingJobName", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
    return members(
        {
            "status": "$states.result.TrainingJobStatus",
            "model_data": "$states.result.ModelArtifacts.S3ModelArtifacts",
            "metrics": "$merge($states.result.FinalMetricDataList.{MetricName: Value})",
            "hyperparameters": "$states.result.HyperParameters",
            "seconds": "$states.result.TrainingTimeInSeconds",
            **training.capacity.figures,
            "environment": "$states.result.Environment",
            "description": members(description),
        }
    )


def training_job(at: Surroundings, training: Training, role: JobRole) -> Document:
    """CreateTrainingJob."""
    spec, way = at.spec, training.way
    job_name = composed(way.job_name(at))
    return {
        "TrainingJobName": job_name,
        "AlgorithmSpecification": {
            "TrainingImage": str(IMAGE_URI),
            "TrainingInputMode": spec.input_mode,
            **first_process(spec),
            **_metric_definitions(at),
        },
        "HyperParameters": {
            **spec.train.hyperparameters,
            # By these the framework container finds the script (SageMaker Training Toolkit, params).
            "sagemaker_program": files.TRAINING_SCRIPT,
            "sagemaker_submit_directory": code_uri(at),
            "sagemaker_job_name": job_name,
        },
        "InputDataConfig": way.channels(_channels(at)),
        "OutputDataConfig": {"S3OutputPath": composed(run_uri(at, files.TRAIN)), "KmsKeyId": str(KEY_ARN)},
        "ResourceConfig": {
            "InstanceType": spec.train.instance,
            "InstanceCount": spec.train.instance_count,
            "VolumeSizeInGB": spec.train.volume,
        },
        **training.capacity.request,
        "RoleArn": role.arn,
        "Environment": {**_whose(at), **training.judging.environment},
        **training.judging.request,
        "Tags": tags(at),
        **in_vpc(at),
    }


def _whose(at: Surroundings) -> Document:
    return {
        environment.ENVIRONMENT: at.environment,
        environment.PIPELINE: at.pipeline,
        environment.RUN_ID: expression("$run.run_id"),
    }


def _metric_definitions(at: Surroundings) -> Document:
    metrics = [{"Name": name, "Regex": regex} for name, regex in at.spec.train.metrics.items()]
    return {"MetricDefinitions": metrics} if metrics else {}


def _channels(at: Surroundings) -> list[Document]:
    return [
        s3_channel(name, manifest(name), input_mode=at.spec.input_mode, data_type="ManifestFile")
        for name in at.spec.training_channels
    ]


def _role(at: Surroundings, training: Training) -> JobRole:
    return JobRole(
        name="Training",
        purpose=f"Training jobs of {at.pipeline}",
        grants=[
            *read_channels(at, list(at.spec.training_channels.values())),
            *read_from_runs(at, f"{files.TRAIN}/*", *map(files.manifest, at.spec.training_channels)),
            *read_code(at),
            write_own_run(at, files.TRAIN),
            *_try_out(at),
            *training.judging.job_grants,
            *run_container(at, at.image, TRAINING_LOGS),
        ],
        of_a_run=True,
    )


def _try_out(at: Surroundings) -> list[Grant]:
    """A job outside of a run (`ratchet train`), whose folder nothing is deployed from."""
    bucket, folder = at.shared.artifact_bucket_arn, files.tries_folder(at.pipeline)
    return [
        *read_objects(bucket, [folder], _TRIES_ARE_NAMED_LATER),
        write_objects(bucket, [f"{folder}*"], _TRIES_ARE_NAMED_LATER),
    ]
