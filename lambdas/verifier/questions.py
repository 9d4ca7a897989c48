"""How an endpoint is asked a held-out example, whether it answers at once or in S3."""

from __future__ import annotations

import base64
from typing import Any

# What is asked unless the example says otherwise, and what is accepted.
CONTENT_TYPE = "text/csv"
# So often is a question asked whose answer is an error that may pass.
TRIES = 3
# Of a model's error in a sentence: what a state machine holds is bounded (Step Functions, "Service quotas": 256 KiB).
PROBLEM = 1000


def types(sample: dict[str, Any]) -> dict[str, str]:
    """InvokeEndpoint's and InvokeEndpointAsync's members for an example's type and its answer's."""
    return {"ContentType": sample.get("content_type", CONTENT_TYPE), "Accept": CONTENT_TYPE}


def body(sample: dict[str, Any]) -> str | bytes:
    """What the endpoint is asked."""
    asked: str | bytes = base64.b64decode(sample["body_base64"]) if "body_base64" in sample else sample["body"]
    return asked
