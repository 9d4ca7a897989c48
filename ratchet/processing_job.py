"""A processing job that a person asks for, outside of any run, as a pipeline's own evaluation would run.

Image, instance, network and key are those that are deployed, as the pipeline's state machine has them for its jobs; it
runs without its role's credentials, as an evaluation does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import names, states
from contract.code_archive import INPUTS, OUTPUT, program
from ratchet.training_job import first_type

Document = dict[str, Any]

# The disk holds what is read, and the image's own; ProcessingClusterConfig takes 1 to 16,384 GiB.
LEAST_GIB, MOST_GIB = 10, 16_384


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What such a job is asked.

    script: the file of the code's archive that runs, with these arguments. inputs: S3 URIs, by their names. output: the
    name and the S3 URI of what it leaves. size: the inputs' bytes. run_id: of the run that it is about, if any.
    """

    job: str
    script: str
    arguments: Sequence[str]
    inputs: Mapping[str, str]
    output: tuple[str, str]
    role: str
    size: int
    run_id: str | None = None


def request(definition: str, asked: Asked) -> Document:
    """CreateProcessingJob.

    Args:
        definition: the deployed state machine's.
    """
    machine = json.loads(definition)["States"]
    training, evaluation = (machine[state]["Arguments"] for state in (states.TRAIN, states.EVALUATE))
    entry_point = evaluation["AppSpecification"]["ContainerEntrypoint"]
    cluster = evaluation["ProcessingResources"]["ClusterConfig"]
    network = evaluation.get("NetworkConfig")
    run = [{"Key": names.RUN_TAG, "Value": asked.run_id}] if asked.run_id else []
    return {
        "ProcessingJobName": asked.job,
        "AppSpecification": {
            "ImageUri": training["AlgorithmSpecification"]["TrainingImage"],
            # As an evaluation's: without its role's credentials.
            "ContainerEntrypoint": [*entry_point[:-1], program(asked.script)],
            "ContainerArguments": list(asked.arguments),
        },
        "ProcessingInputs": [_input(name, uri) for name, uri in asked.inputs.items()],
        "ProcessingOutputConfig": {
            "Outputs": [_output(*asked.output)],
            "KmsKeyId": evaluation["ProcessingOutputConfig"]["KmsKeyId"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": first_type(cluster["InstanceType"]),
                "VolumeSizeInGB": min(MOST_GIB, LEAST_GIB + asked.size // 2**29),
            }
        },
        "StoppingCondition": evaluation["StoppingCondition"],
        "RoleArn": asked.role,
        "Tags": [*_whose(evaluation["Tags"]), *run],
        **({"NetworkConfig": network} if network else {}),
    }


def _whose(tags: Sequence[Document]) -> list[Document]:
    """The tags of its environment and pipeline."""
    return [tag for tag in tags if tag["Key"] != names.RUN_TAG]


def _input(name: str, uri: str) -> Document:
    s3 = {"S3Uri": uri, "LocalPath": f"{INPUTS}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": s3}


def _output(name: str, uri: str) -> Document:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
    }
