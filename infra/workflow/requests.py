"""Parts that the requests of several steps have in common."""

from __future__ import annotations

from typing import Any

from contract import files, names
from infra.workflow.expressions import RUN_ID, expression
from infra.workflow.surroundings import ARTIFACT_BUCKET, Surroundings
from ratchet.spec.data import DISTRIBUTIONS, REPLICATED

Document = dict[str, Any]


def run_uri(at: Surroundings, name: str) -> str:
    """The S3 URI of a folder or a file of the run's, with `<$variables>` in it."""
    return f"s3://{ARTIFACT_BUCKET}/{files.run_folder(at.pipeline, RUN_ID)}{name}"


def code_uri(at: Surroundings) -> str:
    """The S3 URI of sourcedir.tar.gz."""
    return f"s3://{ARTIFACT_BUCKET}/{at.code_key}"


def manifest(channel: str) -> str:
    """The S3 URI of the manifest that Plan wrote: exactly the objects that the run's fingerprint is made of."""
    return expression(f'$lookup($plan.data.manifests, "{channel}")')


def tags(at: Surroundings) -> list[Document]:
    """The tags of a resource: its environment, its pipeline, and the run that made it."""
    return [
        {"Key": names.ENVIRONMENT_TAG, "Value": at.environment},
        {"Key": names.PIPELINE_TAG, "Value": at.pipeline},
        {"Key": names.RUN_TAG, "Value": expression("$run.run_id")},
    ]


def vpc(at: Surroundings) -> Document | None:
    """The subnets and security groups of jobs and endpoint, if the environment has a VPC."""
    if at.vpc is None:
        return None
    return {"Subnets": list(at.vpc.subnets), "SecurityGroupIds": list(at.vpc.security_groups)}


def in_vpc(at: Surroundings) -> Document:
    """The request's VpcConfig, if the environment has a VPC."""
    network = vpc(at)
    return {"VpcConfig": network} if network else {}


def s3_channel(
    name: str,
    uri: str,
    *,
    input_mode: str = "File",
    data_type: str = "S3Prefix",
    distribution: str = REPLICATED,
) -> Document:
    """A channel of a training job. distribution: which of its objects each of several hosts gets."""
    source = {"S3DataType": data_type, "S3Uri": uri, "S3DataDistributionType": DISTRIBUTIONS[distribution]}
    return {"ChannelName": name, "InputMode": input_mode, "DataSource": {"S3DataSource": source}}
