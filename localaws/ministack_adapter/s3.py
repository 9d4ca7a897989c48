"""S3's events are delivered before the request that causes them is answered.

MiniStack delivers them in a thread each, after the answer: a kill in between would lose the event of an acknowledged
object, and a thousand objects at once are a thousand threads.
"""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.services import s3

    def _fire_s3_event_async(
        bucket_name: str, key: str, event_name: str, size: int = 0, etag: str = "", *args: Any, **options: Any
    ) -> None:
        if bucket_name in s3._bucket_notifications:
            options["sequencer"] = s3._next_event_sequencer(event_name)
            s3._fire_s3_event(bucket_name, key, event_name, size, etag, *args, **options)

    s3._fire_s3_event_async = _fire_s3_event_async
