"""EventBridge events in AWS's documented shape (User guide: "Events that Amazon SageMaker AI sends to EventBridge").

The detail is the resource's Describe document with times in epoch milliseconds and the tags as a map.
"""

from __future__ import annotations

import logging
from typing import Any

from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.request import Document

_log = logging.getLogger(__name__)

# Members that hold a time; the Describe documents here hold epoch seconds.
_TIME_NAMES = frozenset({"StartTime", "EndTime", "Timestamp"})


class Events:
    """Puts events on the default bus; a bus that fails never fails the job."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def state_change(self, noun: str, document: Document, arn: str, tags: dict[str, str]) -> None:
        """Send ``SageMaker <noun> State Change``, for example noun "Training Job", about a Describe document."""
        detail = {**in_milliseconds(document), "Tags": tags}
        try:
            self._platform.put_event(f"SageMaker {noun} State Change", detail, [arn])
        except Exception:  # noqa: BLE001 - the change has happened, whether or not the bus took it
            _log.exception("no event for %s", arn)


def in_milliseconds(value: Any) -> Any:
    """A copy in which every member that is a time (``CreationTime``, ``StartTime`` ...) is in epoch milliseconds."""
    if isinstance(value, dict):
        return {
            key: round(item * 1000) if _is_time(key, item) else in_milliseconds(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [in_milliseconds(item) for item in value]
    return value


def _is_time(name: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and (name in _TIME_NAMES or name.endswith("Time"))
