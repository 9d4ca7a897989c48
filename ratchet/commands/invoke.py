"""`invoke`: a file to a pipeline's endpoint."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from contract import refusals
from ratchet.command import Answer, Context, command
from ratchet.terminal import shown

# The content types that the framework containers and the template's serve.py take.
CONTENT_TYPES = {".csv": "text/csv", ".json": "application/json", ".npy": "application/x-npy"}
# SageMaker Runtime, InvokeEndpoint: "Body … 6 MB" of a real-time endpoint's payload; InvokeEndpointAsync: 1 GB.
LARGEST_BODY, LARGEST_QUEUED = 6 * 1024 * 1024, 1024**3


@command("invoke")
@click.argument("pipeline")
@click.argument("file")
@click.option("--content-type", help="Instead of the file's: .csv, .json and .npy are known; standard input is CSV.")
@click.option("--accept", help="The content type to answer in; the request's unless told.")
def invoke(context: Context, pipeline: str, file: str, content_type: str | None, accept: str | None) -> Answer:
    """Send FILE (- is standard input) to PIPELINE's endpoint and print the answer."""
    name = context.pipeline(pipeline)
    kind = content_type or _content_type(file)
    body = _body(file)
    is_queued = "QueueInput" in context.account.pipeline(name)
    _refuse_batches(context, name)
    _check_size(file, body, LARGEST_QUEUED if is_queued else LARGEST_BODY)
    started = time.perf_counter()
    answer = _invoke(context, name, body, is_queued=is_queued, ContentType=kind, Accept=accept or kind)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    raw: bytes = answer["Body"].read()
    if context.for_people:
        # To a file or another program goes what was answered, byte for byte.
        sys.stdout.buffer.write(shown(raw.decode(errors="replace")).encode() if sys.stdout.isatty() else raw)
        if raw[-1:] != b"\n" and answer.get("ContentType") != CONTENT_TYPES[".npy"]:
            sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
    document = {
        "endpoint": context.account.pipeline(name)["EndpointName"],
        "variant": answer.get("InvokedProductionVariant"),
        "content_type": answer.get("ContentType"),
        "milliseconds": milliseconds,
        **_shown(raw),
    }
    return Answer(document)


def _refuse_batches(context: Context, name: str) -> None:
    from ratchet.errors import UserError

    rows = context.account.pipeline(name).get("BatchInput")
    if rows:
        bucket, run = context.account.shared()["DataBucketName"], context.account.command(f"run {name}")
        raise UserError(
            f"{name} answers batches and has no endpoint: put rows under s3://{bucket}/{rows}, then `{run}`; the run's "
            "record says where the answers lie"
        )


def _content_type(file: str) -> str:
    from ratchet.errors import UserError

    suffix = ".csv" if file == "-" else Path(file).suffix.lower()
    if suffix not in CONTENT_TYPES:
        raise UserError(f"{file}: {suffix or 'a file without a suffix'} is no known type; say it with --content-type")
    return CONTENT_TYPES[suffix]


def _body(file: str) -> bytes:
    from ratchet.errors import UserError

    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file}: can't be read: {error.strerror}") from error
    if not body:
        raise UserError(f"{file}: is empty; send at least one row")
    return body


def _check_size(file: str, body: bytes, most: int) -> None:
    from ratchet.errors import UserError

    if len(body) > most:
        raise UserError(f"{file}: has {len(body)} bytes; an endpoint takes at most {most} in one request")


def _invoke(context: Context, name: str, body: bytes, *, is_queued: bool, **types: str) -> dict[str, Any]:
    from ratchet import model_errors, queued
    from ratchet.errors import UserError

    endpoint = context.account.pipeline(name)["EndpointName"]
    client = context.account.client("sagemaker-runtime")
    asked = datetime.now(UTC)
    try:
        if is_queued:
            return queued.ask(context.account, name, body, types)
        answer: dict[str, Any] = client.invoke_endpoint(EndpointName=endpoint, Body=body, **types)
    except client.exceptions.ModelError as error:
        told = model_errors.told(context.account, endpoint, error.response, asked)
        raise UserError(f"the model of {name} refused the request: {told}") from error
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        status, said = context.account.command(f"status {name}"), error.response["Error"]["Message"]
        hint = "; a first champion makes the endpoint" if refusals.says_missing(said) else ""
        raise UserError(f"{said} See `{status}`{hint}") from error
    return answer


def _shown(raw: bytes) -> dict[str, str]:
    """The answer as text, or as base64 where it isn't any."""
    import base64

    try:
        return {"answer": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"answer_base64": base64.b64encode(raw).decode("ascii")}
