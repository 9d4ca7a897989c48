"""A request to an asynchronous endpoint, from its object in the data bucket to its answer there."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable
from typing import Any

from contract import names
from ratchet.account import Account
from ratchet.errors import UserError

# InvocationTimeoutSeconds, unless said, and what else of a request takes time (SageMaker Runtime, InvokeEndpointAsync).
WAIT_SECONDS = 1000.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
_FOLDER = "ratchet-invoke/"


def ask(
    account: Account, pipeline: str, body: bytes, types: dict[str, str], pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The answer as InvokeEndpoint gives it: `Body`, `ContentType`. What was asked and answered stays where it lies.

    Raises:
        UserError: the model answered with an error, or not in time.
    """
    outputs = account.pipeline(pipeline)
    bucket, key = account.shared()["DataBucketName"], f"{outputs['QueueInput']}{_FOLDER}{uuid.uuid4()}"
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    accepted = account.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=outputs["EndpointName"], InputLocation=f"s3://{bucket}/{key}", **types
    )
    deadline, seconds = time.monotonic() + WAIT_SECONDS, FIRST_PAUSE_SECONDS
    while time.monotonic() < deadline:
        answer = _read(s3, accepted["OutputLocation"])
        if answer is not None:
            return answer
        failure = _read(s3, accepted["FailureLocation"])
        if failure is not None:
            said = failure["Body"].read(2000).decode(errors="replace")
            log = names.endpoint_log_group(outputs["EndpointName"])
            raise UserError(f"the model of {pipeline} failed: {said.rstrip()}\nIts log is {log}.")
        pause(seconds)
        seconds = min(1.5 * seconds, LONGEST_PAUSE_SECONDS)
    raise UserError(f"no answer within {WAIT_SECONDS:g} s; it will be at {accepted['OutputLocation']}")


def _read(s3: Any, uri: str) -> dict[str, Any] | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    return {"Body": io.BytesIO(found["Body"].read()), "ContentType": found.get("ContentType")}
