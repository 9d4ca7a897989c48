"""Trainings whose tensors lie in the artifact bucket: those of runs, and those that `ratchet train` has tried out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from contract import files, names
from ratchet import report, views
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.runs import Run, RunTable

_GONE = ("NoSuchKey", "404")


@dataclass(frozen=True)
class Training:
    """One of them, by its run's id, or by the id that stood for one.

    tensors: the folder of its tensors, without a slash at its end; code: the key of the archive that it trained from.
    """

    pipeline: str
    id: str
    tensors: str
    code: str


def find(account: Account, pipelines: Sequence[str], named: str, round_: int | None = None) -> Training:
    """The training of a run (its id, or its pipeline's name for the newest), or one tried out, by its job's name or id.

    round_: of a training in rounds; the one that a report shows, unless told.

    Raises:
        UserError: there is none, or nothing is left of what it trained from.
    """
    found = None if named in pipelines else tried(account, pipelines, named, round_)
    if found is not None:
        return found
    run = RunTable(account).find(list(pipelines), named)
    bucket = account.shared()["ArtifactBucketName"]
    folder = _tensors(account, bucket, run, round_)
    code_hash = _plan(account, bucket, run).get("code_hash")
    if not code_hash:
        raise UserError(f"run {run.run_id} has no plan, and so no code that drew its views: it ended before it trained")
    return Training(run.pipeline, run.run_id, folder, files.code_key(run.pipeline, code_hash))


def size(account: Account, training: Training) -> int:
    """The bytes of its tensors.

    Raises:
        UserError: there are none.
    """
    bucket, s3 = account.shared()["ArtifactBucketName"], account.client("s3")
    prefix, found, indexed = f"{training.tensors}/", 0, False
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            found += entry["Size"]
            indexed = indexed or entry["Key"].startswith(f"{prefix}{files.TENSOR_INDEX}/")
    if not indexed:
        raise UserError(
            f"nothing is saved in s3://{bucket}/{prefix}: the tensors of {training.id} have been deleted, or its "
            "script made no Probe (docs/probe.md), or has not yet saved a step"
        )
    return found


def _tensors(account: Account, bucket: str, run: Run, round_: int | None) -> str:
    if round_ is not None:
        return files.of_round(files.run_folder(run.pipeline, run.run_id) + files.TENSORS, round_)
    return report.tensors_of(account, bucket, run)


def tried(account: Account, pipelines: Sequence[str], named: str, round_: int | None = None) -> Training | None:
    """The training of that name outside of runs; None where there is none."""
    bucket, s3 = account.shared()["ArtifactBucketName"], account.client("s3")
    for pipeline in pipelines:
        prefix = names.job_prefix(account.environment.name, pipeline)
        id_ = named.removeprefix(prefix)[: names.RUN_ID_LENGTH]
        if not names.is_run_id(id_):
            continue
        folder = f"{files.tries_folder(pipeline)}{id_}/"
        if s3.list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=1).get("KeyCount"):
            tensors = views.folder_of(account, bucket, folder + files.TENSORS)
            chosen = tensors if round_ is None else files.of_round(folder + files.TENSORS, round_)
            return Training(pipeline, id_, chosen, folder + files.SOURCE_ARCHIVE)
    return None


def _plan(account: Account, bucket: str, run: Run) -> dict[str, Any]:
    key = files.run_folder(run.pipeline, run.run_id) + files.PLAN
    try:
        found: dict[str, Any] = json.loads(account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return {}
        raise
    return found
