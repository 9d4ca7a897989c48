"""The training job's request (CreateTrainingJob)."""

from __future__ import annotations

from typing import Any

from infra.workflow import judging, rounds, spot
from infra.workflow.names import Names
from infra.workflow.states import expression, jsonata
from ratchet.spec import PipelineSpec

Document = dict[str, Any]

PROGRAM = "train.py"


def job_name(names: Names, step: str) -> str:
    """`<pipeline>-<run id>-<step>`, composed when the run knows its id."""
    return expression(f"'{names.job_prefix}' & $run.run_id & '-{step}'")


def training_job_name(spec: PipelineSpec, names: Names) -> str:
    """`<pipeline>-<run id>-train`, and behind it the round's number where there are rounds."""
    if not spec.rounds:
        return job_name(names, "train")
    return expression(f"'{names.job_prefix}' & $run.run_id & '-train-' & $string($round)")


def run_folder(names: Names, file: str) -> str:
    """s3://<artifact bucket>/runs/<pipeline>/<run id>/<file>"""
    return expression(f"'s3://{names.artifact_bucket}/runs/{names.pipeline}/' & $run.run_id & '/{file}'")


def training_folder(spec: PipelineSpec, names: Names, folder: str) -> str:
    """A folder of the run for its training job alone: a round must not take up what another round left there."""
    if not spec.rounds:
        return run_folder(names, folder)
    runs = f"s3://{names.artifact_bucket}/runs/{names.pipeline}/"
    return expression(f"'{runs}' & $run.run_id & '/{folder}/round-' & $string($round)")


def tags(names: Names) -> list[Document]:
    """Whose a resource is: the pipeline's, the environment's, and which run made it."""
    return [
        {"Key": "ratchet:environment", "Value": names.environment},
        {"Key": "ratchet:pipeline", "Value": names.pipeline},
        {"Key": "ratchet:run", "Value": expression("$run.run_id")},
    ]


def vpc(names: Names) -> Document | None:
    """Where jobs and endpoint stand, if the environment has a VPC."""
    if not names.subnet_ids:
        return None
    return {"Subnets": list(names.subnet_ids), "SecurityGroupIds": list(names.security_group_ids)}


def training_job(spec: PipelineSpec, names: Names) -> Document:
    """Script mode: the framework image unpacks sourcedir.tar.gz and runs train.py.

    The held-out channel isn't among its inputs.
    """
    request: Document = {
        "TrainingJobName": training_job_name(spec, names),
        "AlgorithmSpecification": {
            "TrainingImage": names.image_uri,
            "TrainingInputMode": spec.input_mode,
            **metric_definitions(spec),
        },
        "HyperParameters": hyperparameters(spec, names),
        "InputDataConfig": input_data(spec),
        "OutputDataConfig": {"S3OutputPath": run_folder(names, "train"), "KmsKeyId": names.key_arn},
        "ResourceConfig": {
            "InstanceType": spec.train.instance,
            "InstanceCount": spec.train.instance_count,
            "VolumeSizeInGB": spec.train.volume,
        },
        "StoppingCondition": spot.stopping_condition(spec),
        **spot.request(spec, training_folder(spec, names, spot.CHECKPOINTS)),
        "RoleArn": names.training_role_arn,
        "Environment": judging.environment(spec, names),
        **judging.debugger(spec, names, training_folder(spec, names, judging.DEBUGGER)),
        "Tags": tags(names),
    }
    network = vpc(names)
    return {**request, "VpcConfig": network} if network else request


def hyperparameters(spec: PipelineSpec, names: Names) -> dict[str, str]:
    """The user's, and those by which the framework container finds the script (SageMaker Training Toolkit, params)."""
    return {
        **spec.train.hyperparameters,
        "sagemaker_program": PROGRAM,
        "sagemaker_submit_directory": names.code_s3_uri,
        "sagemaker_job_name": training_job_name(spec, names),
    }


def metric_definitions(spec: PipelineSpec) -> Document:
    metrics = [{"Name": name, "Regex": regex} for name, regex in spec.train.metrics.items()]
    return {"MetricDefinitions": metrics} if metrics else {}


def input_data(spec: PipelineSpec) -> list[Document] | str:
    """The channels; where there are rounds, from the second on the last one's model too."""
    channels = [channel(name, spec) for name in spec.training_channels]
    if not spec.rounds:
        return channels
    previous = jsonata([rounds.previous_channel()])
    return expression(f"$append({jsonata(channels)}, $round > 1 ? {previous} : [])")


def channel(name: str, spec: PipelineSpec) -> Document:
    """One channel, as the manifest that Plan wrote: exactly the objects that the run's fingerprint is made of."""
    return {
        "ChannelName": name,
        "InputMode": spec.input_mode,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "ManifestFile",
                "S3Uri": expression(f'$lookup($plan.data.manifests, "{name}")'),
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }
