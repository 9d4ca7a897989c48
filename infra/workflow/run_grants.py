"""Grants that several steps need: on the runs' folders, the run table's items, and what deployments have made."""

from __future__ import annotations

from contract import files, names
from infra.grants import NO_RESOURCE, Grant, list_prefixes, read_objects, use_items, use_key, write_objects
from infra.workflow.surroundings import Surroundings

RUNS_ARE_NAMED_LATER = "A run's folder is named when it starts; the prefix is this pipeline's own."


def read_runs(at: Surroundings) -> list[Grant]:
    """Reading what the pipeline's runs have left in the artifact bucket."""
    return read_objects(at.shared.artifact_bucket_arn, [at.runs], RUNS_ARE_NAMED_LATER)


def read_from_runs(at: Surroundings, *below: str) -> list[Grant]:
    """Reading these folders (`train/*`) and files of the pipeline's runs, and nothing beside them."""
    bucket, folder = at.shared.artifact_bucket_arn, files.run_folder(at.pipeline, names.ANY_RUN_ID)
    resources = [f"{bucket}/{folder}{name}" for name in below]
    return [
        Grant(actions=["s3:GetObject"], resources=resources, because=RUNS_ARE_NAMED_LATER),
        list_prefixes(bucket, [at.runs]),
    ]


def write_runs(at: Surroundings, *below: str) -> Grant:
    """A function's own files and folders (`manifests/*`) of the runs; no training job's."""
    folder = files.run_folder(at.pipeline, names.ANY_RUN_ID)
    return write_objects(at.shared.artifact_bucket_arn, [f"{folder}{name}" for name in below], RUNS_ARE_NAMED_LATER)


def find_models(at: Surroundings) -> Grant:
    """Finding out whether a run's model is still there; that takes no right to read it."""
    return list_prefixes(at.shared.artifact_bucket_arn, [at.runs])


def read_run_table(at: Surroundings) -> list[Grant]:
    """The machine's own look at the pipeline's items."""
    return [
        use_items(at.shared.run_table_arn, at.pipeline, "GetItem"),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
    ]


def change_run_table(at: Surroundings) -> Grant:
    return use_items(at.shared.run_table_arn, at.pipeline, "GetItem", "PutItem")


def look_at_endpoint(at: Surroundings) -> list[Grant]:
    """Finding out what the endpoint serves, where the pipeline has one."""
    look = Grant(actions=["sagemaker:DescribeEndpoint"], resources=[at.endpoint_arn])
    return [look] if at.has_endpoint else []


def look_at_packages(at: Surroundings, *more_actions: str) -> Grant:
    """Asking the model registry what is approved."""
    return Grant(
        actions=["sagemaker:DescribeModelPackage", *more_actions],
        resources=[at.model_package_arns],
        because="A model package's version is the registry's to give.",
    )


def clear_away(at: Surroundings) -> list[Grant]:
    """Finding and deleting models and endpoint configs that nobody needs."""
    return [
        Grant(actions=["sagemaker:ListModels", "sagemaker:ListEndpointConfigs"], resources=["*"], because=NO_RESOURCE),
        Grant(
            actions=["sagemaker:DescribeEndpointConfig", "sagemaker:DeleteEndpointConfig"],
            resources=[at.endpoint_config_arns],
        ),
        Grant(actions=["sagemaker:DeleteModel"], resources=[at.model_arns]),
        Grant(actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], resources=[at.endpoint_arn]),
    ]
