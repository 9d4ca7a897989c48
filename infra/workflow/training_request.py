"""The request for a training job over the manifests of the run's plan; in script mode, but for one's own image."""

from __future__ import annotations

from contract import environment, files
from contract.manifests import manifest_channel, variables
from infra.workflow.capacity import Capacity
from infra.workflow.expressions import composed, expression, members, results
from infra.workflow.first_process import first_process
from infra.workflow.instances import instance_type
from infra.workflow.judging import Judging
from infra.workflow.other_champions import model_channels
from infra.workflow.requests import Document, code_uri, in_vpc, manifest, run_uri, s3_channel, tags
from infra.workflow.surroundings import DATA_BUCKET, IMAGE_URI, KEY_ARN, Surroundings
from infra.workflow.way import Way
from ratchet.spec.data import Channel
from ratchet.spec.manifest import FAST_FILE, MODES
from ratchet.spec.manifest_channels import manifest_channels
from ratchet.spec.train import Train
from ratchet.spec.train_hosts import launched_by


def training_job(at: Surroundings, way: Way, capacity: Capacity, judging: Judging, role: str) -> Document:
    """CreateTrainingJob.

    Args:
        role: the ARN of the job's role.
    """
    spec = at.spec
    job_name = composed(way.job_name(at))
    return {
        "TrainingJobName": job_name,
        "AlgorithmSpecification": {
            "TrainingImage": str(IMAGE_URI),
            "TrainingInputMode": spec.input_mode,
            **first_process(spec),
            **_metric_definitions(at),
        },
        "HyperParameters": way.hyperparameters({**spec.train.hyperparameters, **found_by(at, job_name)}),
        "InputDataConfig": way.channels(_channels(at)),
        "OutputDataConfig": {"S3OutputPath": composed(run_uri(at, files.TRAIN)), "KmsKeyId": str(KEY_ARN)},
        "ResourceConfig": _resources(spec.train),
        **capacity.request,
        "RoleArn": role,
        "Environment": {**whose(at), **with_manifests(at), **way.environment, **judging.environment},
        **judging.request,
        "Tags": tags(at),
        **in_vpc(at),
    }


def training_description(capacity: Capacity) -> str:
    """`$training`, over a training job's description; the recorder reads from the environment who judged it."""
    description = results("TrainingJobName", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
    return members(
        {
            "status": "$states.result.TrainingJobStatus",
            "model_data": "$states.result.ModelArtifacts.S3ModelArtifacts",
            "metrics": "$merge($states.result.FinalMetricDataList.{MetricName: Value})",
            "hyperparameters": "$states.result.HyperParameters",
            "seconds": "$states.result.TrainingTimeInSeconds",
            "instance": "$states.result.ResourceConfig.InstanceType",
            "hosts": "$states.result.ResourceConfig.InstanceCount",
            **capacity.figures,
            "environment": "$states.result.Environment",
            "description": members(description),
        }
    )


def found_by(at: Surroundings, job_name: str) -> Document:
    """The hyperparameters by which the framework container finds the script, and knows what is to start it (SageMaker
    Training Toolkit, params).

    None for an image of the user's own, which gets those that pipeline.yaml says, and no others.
    """
    if at.spec.is_own_container:
        return {}
    train = at.spec.train
    return {
        files.PROGRAM: files.TRAINING_SCRIPT,
        "sagemaker_submit_directory": code_uri(at),
        "sagemaker_job_name": job_name,
        **launched_by(train.distribution, instance_type(train.instance)),
    }


def whose(at: Surroundings) -> Document:
    """The variables by which a job knows whose it is."""
    return {**whose_always(at), environment.RUN_ID: expression("$run.run_id")}


def whose_always(at: Surroundings) -> Document:
    """Those of them that are the same in every run."""
    return {environment.ENVIRONMENT: at.environment, environment.PIPELINE: at.pipeline}


def with_manifests(at: Surroundings) -> Document:
    """The variables by which the toolkit reads channels with augmented manifests."""
    return variables({name: found.settings for name, found in at.spec.manifests.items()})


def _resources(train: Train) -> Document:
    """The instances, and for how long they stay when the job is over (SageMaker's warm pools)."""
    kept = {} if train.keep_warm is None else {"KeepAlivePeriodInSeconds": train.keep_warm}
    instances = {"InstanceType": instance_type(train.instance), "InstanceCount": train.instance_count}
    return {**instances, "VolumeSizeInGB": train.volume, **kept}


def _metric_definitions(at: Surroundings) -> Document:
    metrics = [{"Name": name, "Regex": regex} for name, regex in at.spec.train.metrics.items()]
    return {"MetricDefinitions": metrics} if metrics else {}


def _channels(at: Surroundings) -> list[Document]:
    data = [channel for name in at.spec.training_channels for channel in _channel(at, name)]
    return [*data, *model_channels(at)]


def _channel(at: Surroundings, name: str) -> list[Document]:
    """A channel of data; two, where a manifest and what it points to come as files."""
    channel, mode = at.spec.data[name], at.spec.input_mode
    if channel.manifest:
        uri = manifest(name if channel.manifest.is_piped else manifest_channel(name))
        objects, data_type = _objects(name, channel, channel.manifest.input_mode)
        return manifest_channels(name, channel.manifest, uri=uri, objects=objects, data_type=data_type)
    uri, data_type = _objects(name, channel, mode)
    return [s3_channel(name, uri, input_mode=mode, data_type=data_type, distribution=channel.distribution)]


def _objects(name: str, channel: Channel, mode: str) -> tuple[str, str]:
    """What holds a channel's objects, and its S3DataType: exactly those that the run's fingerprint is made of; but
    "channels that use FastFile mode must use a S3DataType of S3Prefix" (developer guide, "How Amazon SageMaker AI
    Provides Training Information").
    """
    if mode == MODES[FAST_FILE]:
        return f"s3://{DATA_BUCKET}/{channel}", "S3Prefix"
    return manifest(name), "ManifestFile"
