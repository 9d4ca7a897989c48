"""A pipeline's model package group: made if it isn't there, taken up with all its versions if it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from common.refusals import is_missing

from contract import names
from lifecycle.deadline import Deadline


def make(sagemaker: Any, pipeline: Mapping[str, str]) -> bool:
    """Makes the group unless an earlier deployment of the pipeline has left one; whether it was made."""
    group = pipeline["ModelPackageGroup"]
    if _is_there(sagemaker, group):
        return False
    tags = {names.ENVIRONMENT_TAG: pipeline["Environment"], names.PIPELINE_TAG: pipeline["Pipeline"]}
    sagemaker.create_model_package_group(
        ModelPackageGroupName=group,
        ModelPackageGroupDescription=f"What runs of {pipeline['Pipeline']} have trained and judged",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return True


def delete(sagemaker: Any, group: str, deadline: Deadline) -> None:
    """Deletes the group with all its versions, if it is there."""
    if not _is_there(sagemaker, group):
        return
    pages = list(sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group))
    for package in [found for page in pages for found in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
        deadline.check(f"deleting the model packages of {group}")
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)


def _is_there(sagemaker: Any, group: str) -> bool:
    try:
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return True
