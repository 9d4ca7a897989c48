"""Drawing a view of a finished training: which view is meant, with whose code, and the job that does it."""

from __future__ import annotations

import io
import secrets
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from contract import drawings, files, names
from contract import views as words
from ratchet import view_job, views
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.spec.views import View, check_view
from ratchet.trainings import Training

Document = dict[str, Any]
_GONE = ("NoSuchKey", "404")


@dataclass(frozen=True, kw_only=True)
class Code:
    """What draws: the archive's content; its key, where it lies in the bucket already."""

    archive: bytes
    key: str | None = None


def own_code(account: Account, training: Training) -> Code:
    """That which the training had.

    Raises:
        UserError: it has been deleted.
    """
    bucket = account.shared()["ArtifactBucketName"]
    try:
        found = account.client("s3").get_object(Bucket=bucket, Key=training.code)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        message = f"the code of {training.id}, s3://{bucket}/{training.code}, has been deleted; --current-code draws"
        raise UserError(f"{message} with the folder's own") from error
    return Code(archive=found, key=training.code)


def meant(name: str, code: Code, known: Iterable[View], every: int | str | None) -> Document:
    """The view of that name, as a job is told of it: one of those that are known, else any of the code's or built in.

    Raises:
        UserError: the code has no such view, or it takes other parameters.
    """
    found = next((view for view in known if view.own_name == name), None)
    chosen = found or _view({"view": name})
    if every is not None:
        chosen = _view({**chosen.model_dump(), "every": every})
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(code.archive)) as archive:
            archive.extractall(folder, filter="data")
        if not Path(folder, view_job.PROGRAM).is_file():
            message = (
                "the code of that run is of a Ratchet that had no views yet; --current-code draws with the folder's"
            )
            raise UserError(message)
        try:
            check_view(chosen, Path(folder))
        except PydanticCustomError as error:
            told = (error.context or {})["message"].replace(folder, "its code")
            raise UserError(f"{'.'.join(map(str, (error.context or {})['at']))} {told}") from error
        return chosen.document(Path(folder))


def _view(said: Document) -> View:
    try:
        return View.model_validate(said)
    except ValidationError as error:
        detail = error.errors()[0]
        told = detail.get("ctx", {}).get("message", detail["msg"])
        raise UserError(f"{'.'.join(map(str, detail['loc']))} {told}") from error


def drawn_beside(account: Account, training: Training) -> list[View]:
    """The views that the training itself has drawn, by their documents."""
    bucket = account.shared()["ArtifactBucketName"]
    found = []
    for view in views.read(account, bucket, training.tensors):
        said = {"view": view.function, "name": view.name, "parameters": dict(view.parameters)}
        try:
            found.append(View.model_validate({**said, "every": view.every} if view.every else said))
        except ValidationError:
            continue  # a job's own writing, which may be anything
    return found


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that draws. folder: of what it writes in the artifact bucket, without a slash at its end."""

    name: str
    folder: str


def start(  # noqa: PLR0913 - all that a job is asked
    account: Account, training: Training, *, code: Code, view: Document, steps: Sequence[int] | None, size: int
) -> Job:
    """Starts it.

    Args:
        size: the tensors' bytes. steps: None for all that are due.

    Raises:
        UserError: the deployed pipeline has no views, and so no role for such a job; or too much is asked.
    """
    outputs, bucket = account.pipeline(training.pipeline), account.shared()["ArtifactBucketName"]
    id_ = names.run_id(datetime.now(UTC), secrets.token_hex(2))
    job = Job(
        name=names.job(account.environment.name, training.pipeline, id_, names.VIEW_STEP),
        folder=f"{files.drawings_folder(training.pipeline)}{id_}",
    )
    key = code.key or f"{job.folder}/{files.SOURCE_ARCHIVE}"
    asked = view_job.Drawing(
        job=job.name,
        run_id=training.id,
        role=outputs[words.ROLE_OUTPUT],
        code=f"s3://{bucket}/{key}",
        tensors=f"s3://{bucket}/{training.tensors}/",
        output=f"s3://{bucket}/{job.folder}",
        arguments=_arguments(view, steps),
        size=size,
    )
    machine = account.client("stepfunctions").describe_state_machine(stateMachineArn=outputs["StateMachineArn"])
    request = view_job.request(machine["definition"], asked)
    if code.key is None:
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=code.archive)
    account.client("sagemaker").create_processing_job(**request)
    return job


def check_drawable(account: Account, pipeline: str) -> None:
    """Raises UserError where the deployed pipeline has no views, and so no role for a job that draws one."""
    if words.ROLE_OUTPUT not in account.pipeline(pipeline):
        deploy = account.deploy_command(pipeline)
        raise UserError(
            f"{pipeline} is deployed without views, so there is no role that may draw one: name some in its "
            f"pipeline.yaml (views: [{{view: losses}}]) and deploy it, `{deploy}`; then this run's tensors can be drawn"
        )


def _arguments(view: Document, steps: Sequence[int] | None) -> list[str]:
    try:
        return drawings.arguments([view], steps)
    except ValueError as error:
        raise UserError(f"{error}; ask for fewer steps at once") from error
