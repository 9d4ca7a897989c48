"""InvokeEndpointAsync: a request as it comes in, checked, and as the queue keeps it.

InvokeEndpointAsync (API reference); the body in the request itself: aws-samples/sagemaker-genai-hosting-examples#208.
Pure.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from localaws.sagemaker.core import validation
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document

MAX_INLINE = 128_000  # bytes of a body in the request
DEFAULT_TTL, DEFAULT_TIMEOUT = 21_600, 900  # seconds
_PREFIX = "x-amzn-sagemaker-"
# Header of the request, without its prefix, to member.
_MEMBERS = {
    "content-type": "ContentType",
    "accept": "Accept",
    "custom-attributes": "CustomAttributes",
    "inference-id": "InferenceId",
    "inputlocation": "InputLocation",
    "s3outputpathextension": "S3OutputPathExtension",
    "filename": "Filename",
    "requestttlseconds": "RequestTTLSeconds",
    "invocationtimeoutseconds": "InvocationTimeoutSeconds",
}
_NUMBERS = ("RequestTTLSeconds", "InvocationTimeoutSeconds")


@dataclass(frozen=True)
class AsyncRequest:
    """What a caller asks for: InvokeEndpointAsync's members but for the body, and the body."""

    endpoint: str
    members: Mapping[str, Any]
    body: bytes = b""


def read(endpoint: str, headers: Mapping[str, str], body: bytes) -> AsyncRequest:
    """A request of its headers (lower case). ValidationError for one that doesn't fit the operation."""
    members: Document = {
        member: headers[_PREFIX + name] for name, member in _MEMBERS.items() if _PREFIX + name in headers
    }
    for name in _NUMBERS:
        if name in members:
            members[name] = _number(name, members[name])
    try:
        validation.check_runtime_request("InvokeEndpointAsync", {"EndpointName": endpoint, **members})
    except SageMakerError as error:
        raise _refused(error.message) from error
    if bool(body) == ("InputLocation" in members):
        raise _refused("Provide exactly one of Body and InputLocation.")
    if len(body) > MAX_INLINE:
        raise _refused(f"Body has {len(body)} bytes; the limit is {MAX_INLINE} bytes. Use InputLocation.")
    return AsyncRequest(endpoint, members, body)


def _number(member: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise _refused(f"{member} is {text!r}; it must be a whole number.") from error


def _refused(message: str) -> SageMakerError:
    return SageMakerError("ValidationError", message)


def queued(request: AsyncRequest, output: Document, now: float) -> Document:
    """A request as the queue keeps it, with the places of its answer; `output` is the endpoint's OutputConfig."""
    name = request.members.get("Filename") or f"{uuid.uuid4()}.out"
    extension = request.members.get("S3OutputPathExtension")
    places = {"OutputLocation": _place(output["S3OutputPath"], extension, name)}
    if output.get("S3FailurePath"):
        path = PurePosixPath(name)
        places["FailureLocation"] = _place(output["S3FailurePath"], extension, f"{path.stem}-error{path.suffix}")
    return {
        "EndpointName": request.endpoint,
        "InferenceId": str(uuid.uuid4()),
        **request.members,
        **places,
        **({"Body": base64.b64encode(request.body).decode()} if request.body else {}),
        "OutputConfig": output,
        "ReceivedTime": now,
        "Attempts": 0,
    }


def _place(path: str, extension: str | None, name: str) -> str:
    return "/".join([path.rstrip("/"), *([extension.strip("/")] if extension else []), name])


def expires(document: Document) -> float:
    """When a queued request is too old to be answered, in epoch seconds."""
    return float(document["ReceivedTime"] + document.get("RequestTTLSeconds", DEFAULT_TTL))


def timeout(document: Document) -> float:
    """Seconds that a model may take for a queued request."""
    return float(document.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT))


def inline_body(document: Document) -> bytes | None:
    """The body that came with the request; None for one whose body is in S3."""
    return base64.b64decode(document["Body"]) if "Body" in document else None
