"""A model's artifact, over the wire with the execution role's credentials, so that its permissions apply."""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.s3_wire import NoAnswerError, Request, S3Error
from localaws.sagemaker.core.wire import split_s3_uri


class ModelDataError(Exception):
    """An artifact couldn't be fetched; the message is the failure reason."""


def model_data_uri(container: Document) -> str | None:
    """Where a container's model.tar.gz is; None for a container without model data.

    ValidationException for a ModelDataSource that isn't one gzip-compressed tar object.
    """
    source = container.get("ModelDataSource")
    if source is None:
        return container.get("ModelDataUrl")
    if "ModelDataUrl" in container:
        raise errors.validation("A container has either ModelDataUrl or ModelDataSource, not both.")
    s3 = source.get("S3DataSource", {})
    if (s3.get("S3DataType"), s3.get("CompressionType")) != ("S3Object", "Gzip"):
        raise errors.not_supported("a ModelDataSource other than S3DataType=S3Object with CompressionType=Gzip")
    errors_in = [member for member in ("ModelAccessConfig", "HubAccessConfig", "ManifestS3Uri") if member in s3]
    if errors_in:
        raise errors.not_supported(f"{errors_in[0]} of an S3DataSource")
    return str(s3["S3Uri"])


def check_model_data(context: Context, container: Document, role_arn: str, model_arn: str) -> None:
    """Raise what CreateModel raises when the role can't read the model data, or it isn't there, or the role isn't."""
    uri = model_data_uri(container)
    credentials = context.platform.assume_role(role_arn, "SageMaker", model_arn)
    if uri is None:
        return
    try:
        bucket, key = split_s3_uri(uri)
    except ValueError as error:
        raise errors.validation(str(error)) from error
    try:
        with closing(context.wire.s3(credentials)) as s3, s3.ask(Request("HEAD", bucket, key)) as answer:
            answer.read()
    except S3Error as error:
        if error.status == http.client.NOT_FOUND:
            raise errors.validation(f"Could not find model data at {uri}.") from error
        raise errors.validation(_no_access(uri, role_arn, context.platform.region)) from error


def _no_access(uri: str, role_arn: str, region: str) -> str:
    return (
        f'Could not access model data at {uri}. Please ensure that the role "{role_arn}" exists and that its trust '
        'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". '
        f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {region}.'
    )


@dataclass(frozen=True)
class Fetcher:
    """Downloads with one role's credentials, until time.monotonic() is `deadline`; with one `lock` one at a time."""

    context: Context
    role_arn: str
    credentials: Credentials
    deadline: float
    lock: threading.Lock

    def fetched(self, uri: str, target: Path) -> Path:
        """An object that is at `target` already, or is downloaded. ModelDataError."""
        with self.lock:
            if not target.exists():
                self.fetch(uri, target)
        return target

    def fetch(self, uri: str, target: Path) -> None:
        """Download one object to `target`, which appears only when it is whole. ModelDataError."""
        partial = target.with_name(target.name + ".partial")
        try:
            bucket, key = split_s3_uri(uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            s3, wanted = self.context.wire.s3(self.credentials), Request("GET", bucket, key)
            with closing(s3), s3.ask(wanted) as answer, partial.open("wb") as file:
                for chunk in answer.chunks():
                    file.write(chunk)
                    if time.monotonic() > self.deadline:
                        raise ModelDataError(f"Downloading model data from {uri} took longer than it may take.")
        except S3Error as error:
            raise ModelDataError(self._reason(uri, error)) from error
        except (NoAnswerError, ValueError) as error:
            raise ModelDataError(f"Failed to download model data from {uri}: {error}") from error
        partial.replace(target)

    def _reason(self, uri: str, error: S3Error) -> str:
        denied = error.status == http.client.FORBIDDEN
        told = _no_access(uri, self.role_arn, self.context.platform.region) if denied else f"No model data from {uri}."
        return f"{told} ({error})"
