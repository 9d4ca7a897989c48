"""What is told of an asynchronous invocation: its notification, its reason, its lines in the data log. Pure.

The notification is that of the developer guide, "Check prediction results", and of awslabs/osml-model-runner, which
holds messages as they came; the log's line as in deepjavalibrary/djl-serving#2567.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from localaws.sagemaker.core.request import Document

SUCCESS, ERROR = "SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"
_TOPICS = {SUCCESS: "SuccessTopic", ERROR: "ErrorTopic"}
_MAX_INCLUDED = 128 * 1024  # bytes of an answer that a notification brings (AsyncInferenceNotificationConfig)
_REQUEST_PARAMETERS = {
    "Accept": "accept",
    "ContentType": "contentType",
    "CustomAttributes": "customAttributes",
    "EndpointName": "endpointName",
    "InputLocation": "inputLocation",
}


@dataclass(frozen=True)
class Outcome:
    """How an invocation went. `reason` is None for one that succeeded; `counted` is the metric of its failure beside
    InvocationFailures; `status` is what the model answered, None where it wasn't asked."""

    reason: str | None = None
    body: bytes = b""
    content_type: str = ""
    status: int | None = None
    counted: str | None = None

    @property
    def topic_kind(self) -> str:
        return SUCCESS if self.reason is None else ERROR


def model_failed(status: int) -> str:
    """The failureReason of an answer that isn't 200."""
    side = "client" if 400 <= status < 500 else "server"
    return (
        f"ClientError: Received {side} error ({status}) from model. See the SageMaker Endpoint logs in your account "
        "for more information."
    )


def topic(document: Document, outcome: Outcome) -> str | None:
    """The topic that is told of an outcome."""
    return str(_notifications(document).get(_TOPICS[outcome.topic_kind]) or "") or None


def notification(document: Document, outcome: Outcome, region: str, now: float) -> Document:
    """The message of an outcome; `now` in epoch seconds."""
    failed = outcome.reason is not None
    place = ("failureLocation", "FailureLocation") if failed else ("outputLocation", "OutputLocation")
    response = {"contentType": outcome.content_type, place[0]: document.get(place[1])}
    included = outcome.topic_kind in _notifications(document).get("IncludeInferenceResponseIn", [])
    return {
        "awsRegion": region,
        "eventTime": _time(now),
        "receivedTime": _time(document["ReceivedTime"]),
        "invocationStatus": "Failed" if failed else "Completed",
        **({"failureReason": outcome.reason} if failed else {}),
        "requestParameters": {
            name: document[member] for member, name in _REQUEST_PARAMETERS.items() if member in document
        },
        **({"responseParameters": response} if response[place[0]] and outcome.status is not None else {}),
        **(_included(outcome) if included and outcome.status is not None else {}),
        "inferenceId": document["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def _notifications(document: Document) -> Document:
    found: Document = document["OutputConfig"].get("NotificationConfig", {})
    return found


def _included(outcome: Outcome) -> Document:
    if len(outcome.body) > _MAX_INCLUDED:
        return {}
    return {"responseBody": {"content": base64.b64encode(outcome.body).decode(), "encoding": "BASE64"}}


def log_line(document: Document, text: str, now: float) -> str:
    """A line of the data log, which names its request."""
    return f"{_time(now).rstrip('Z')}:[sagemaker logs] [{document['InferenceId']}] {text}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
