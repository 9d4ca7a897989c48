"""The job that draws a view of a finished training: a processing job that a person asks for (`ratchet view`).

Image, instance, network and key are those that are deployed, as the pipeline's state machine has them for its jobs; the
role is its stack's, and the code that of the training, unless the folder's own is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract import drawings, files, names, states
from contract.code_archive import INPUTS, OUTPUT, program
from ratchet.training_job import first_type

Document = dict[str, Any]

PROGRAM = f"{files.TOOLKIT}/view_job.py"
# The disk holds the tensors, and the image's own; ProcessingClusterConfig takes 1 to 16,384 GiB.
LEAST_GIB, MOST_GIB = 10, 16_384


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What such a job is asked, with S3 URIs of its code, of the tensors' folder, and of where the pictures go.

    run_id: whose tensors they are. size: their bytes.
    """

    job: str
    run_id: str
    role: str
    code: str
    tensors: str
    output: str
    arguments: Sequence[str]
    size: int


def request(definition: str, drawing: Drawing) -> Document:
    """CreateProcessingJob.

    Args:
        definition: the deployed state machine's.
    """
    machine = json.loads(definition)["States"]
    training, evaluation = (machine[state]["Arguments"] for state in (states.TRAIN, states.EVALUATE))
    entry_point = evaluation["AppSpecification"]["ContainerEntrypoint"]
    cluster = evaluation["ProcessingResources"]["ClusterConfig"]
    network = evaluation.get("NetworkConfig")
    return {
        "ProcessingJobName": drawing.job,
        "AppSpecification": {
            "ImageUri": training["AlgorithmSpecification"]["TrainingImage"],
            # As an evaluation's: without its role's credentials.
            "ContainerEntrypoint": [*entry_point[:-1], program(PROGRAM)],
            "ContainerArguments": list(drawing.arguments),
        },
        "ProcessingInputs": [
            _input(files.CODE_INPUT, drawing.code),
            _input(drawings.TENSORS_INPUT, drawing.tensors),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [_output(drawing.output)],
            "KmsKeyId": evaluation["ProcessingOutputConfig"]["KmsKeyId"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": first_type(cluster["InstanceType"]),
                "VolumeSizeInGB": min(MOST_GIB, LEAST_GIB + drawing.size // 2**29),
            }
        },
        "StoppingCondition": evaluation["StoppingCondition"],
        "RoleArn": drawing.role,
        "Tags": [*_whose(evaluation["Tags"]), {"Key": names.RUN_TAG, "Value": drawing.run_id}],
        **({"NetworkConfig": network} if network else {}),
    }


def _whose(tags: Sequence[Document]) -> list[Document]:
    """The tags of its environment and pipeline."""
    return [tag for tag in tags if tag["Key"] != names.RUN_TAG]


def _input(name: str, uri: str) -> Document:
    s3 = {"S3Uri": uri, "LocalPath": f"{INPUTS}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": s3}


def _output(uri: str) -> Document:
    return {
        "OutputName": files.VIEWS,
        "S3Output": {"S3Uri": uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
    }
