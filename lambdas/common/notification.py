"""A message to an environment's topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Publish, Amazon SNS API reference: fewer than 100 characters, ASCII.
SUBJECT_LENGTH = 99


def notification(subject: str, message: Mapping[str, Any], attributes: Mapping[str, str]) -> dict[str, Any]:
    """Publish's arguments but the topic: a JSON document, and attributes for subscription filters."""
    return {
        "Subject": subject.encode("ascii", "replace").decode()[:SUBJECT_LENGTH],
        "Message": json.dumps(message, indent=2),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }
