"""The dead-letter queue: where a message that can't be read waits for a person, at once, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.log import Log

# An attribute's value may hold no control characters (SendMessage, API reference); it counts into the message's size.
REASON, REASON_LENGTH = "Reason", 500


@dataclass(frozen=True)
class DeadLetters:
    """`client` is a boto3 SQS client."""

    client: Any
    url: str
    log: Log

    def put(self, body: str, reason: str) -> bool:
        """Whether the message is there now; if not, SQS brings it again, and moves it there after the last attempt."""
        told = ascii(reason)[1:-1][:REASON_LENGTH]
        attributes = {REASON: {"DataType": "String", "StringValue": told}}
        try:
            self.client.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes)
        except Exception as error:  # noqa: BLE001 - the other messages of the batch are none the worse
            self.log.error("not set aside", error=f"{type(error).__name__}: {error}")
            return False
        return True
