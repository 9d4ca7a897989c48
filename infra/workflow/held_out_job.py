"""A processing job that has held-out examples and models for inputs: an evaluation, or the compiling of a model.

It runs a file of the toolkit's, in the image that evaluates, on the instances of `evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence

from contract import files, names, thresholds
from contract.code_archive import INPUTS, OUTPUT, program
from infra.workflow.expressions import RUN_ID, composed
from infra.workflow.instances import instance_type
from infra.workflow.job_role import JobRole
from infra.workflow.requests import Document, code_uri, manifest, run_uri, tags, vpc
from infra.workflow.surroundings import IMAGE_URI, JUDGING_IMAGE_URI, KEY_ARN, Surroundings

VOLUME_GIB = 30

# Neither judge nor models call AWS: whoever had the job's credentials could read the held-out data (AWS SDKs and Tools
# Reference Guide, "Container credential provider"; "AWS access keys").
CREDENTIALS = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_WITHOUT_CREDENTIALS = [word for name in CREDENTIALS for word in ("-u", name)]


def held_out_job(
    at: Surroundings,
    role: JobRole,
    *,
    step: str,
    script: str,
    arguments: Sequence[str],
    inputs: Sequence[Document] | str,
    output: str,
) -> Document:
    """CreateProcessingJob.

    Args:
        step: as the job's name ends.
        script: of the toolkit.
        output: the folder of the run into which it writes.
    """
    network, threshold = vpc(at), at.spec.serving.told
    runs = program(f"{files.TOOLKIT}/{script}")
    return {
        "ProcessingJobName": composed(at.job(RUN_ID, step)),
        "AppSpecification": {
            "ImageUri": str(IMAGE_URI if at.evaluation_image == at.image else JUDGING_IMAGE_URI),
            "ContainerEntrypoint": ["/usr/bin/env", *_WITHOUT_CREDENTIALS, "python3", "-c", runs],
            "ContainerArguments": list(arguments),
        },
        "ProcessingInputs": inputs if isinstance(inputs, str) else list(inputs),
        "ProcessingOutputConfig": {"Outputs": [_output(at, output)], "KmsKeyId": str(KEY_ARN)},
        "ProcessingResources": {"ClusterConfig": _cluster(at)},
        "StoppingCondition": {"MaxRuntimeInSeconds": at.spec.evaluate.max_runtime},
        "RoleArn": role.arn,
        "Tags": tags(at),
        **({"Environment": {thresholds.THRESHOLD: threshold}} if threshold else {}),
        **({"NetworkConfig": {"VpcConfig": network}} if network else {}),
    }


def code_and_examples(at: Surroundings) -> list[Document]:
    """The inputs that all such jobs have."""
    return [
        job_input(files.CODE_INPUT, code_uri(at)),
        job_input(files.TEST_INPUT, manifest(files.TEST_CHANNEL), kind="ManifestFile"),
    ]


def job_input(name: str, uri: str, kind: str = "S3Prefix") -> Document:
    """An input, a folder of its name."""
    s3 = {"S3Uri": uri, "LocalPath": f"{INPUTS}/{name}", "S3DataType": kind, "S3InputMode": "File"}
    return {"InputName": name, "S3Input": s3}


def _cluster(at: Surroundings) -> Document:
    instance = instance_type(at.spec.evaluate.instance)
    return {"InstanceCount": 1, "InstanceType": instance, "VolumeSizeInGB": VOLUME_GIB}


def _output(at: Surroundings, folder: str) -> Document:
    uri = composed(run_uri(at, folder))
    return {"OutputName": folder, "S3Output": {"S3Uri": uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}}


def arn_of(at: Surroundings, step: str) -> str:
    """The ARN of all runs' jobs of a step."""
    return at.sagemaker("processing-job", at.job(names.ANY_RUN_ID, step))
