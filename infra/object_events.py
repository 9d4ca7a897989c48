"""Events of S3's objects, as rules ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def objects_created(bucket: str, prefixes: Sequence[str]) -> dict[str, Any]:
    """New objects under prefixes (Amazon S3 User Guide, "EventBridge event message structure")."""
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix} for prefix in prefixes]}},
    }
