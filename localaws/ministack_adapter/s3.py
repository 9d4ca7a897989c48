"""S3's events are delivered before the request that causes them is answered.

MiniStack delivers them in a thread each, after the answer: a kill in between would lose the event of an acknowledged
object, and a thousand objects at once are a thousand threads.
"""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws


def install(aws: EmbeddedAws) -> None:
    from ministack.services import s3

    def _fire_s3_event_async(
        bucket_name: str, key: str, event_name: str, size: int = 0, etag: str = "", *args: Any, **options: Any
    ) -> None:
        if bucket_name in s3._bucket_notifications:
            options["sequencer"] = s3._next_event_sequencer(event_name)
            s3._fire_s3_event(bucket_name, key, event_name, size, etag, *args, **options)

    s3._fire_s3_event_async = _fire_s3_event_async
    _know_the_managed_key(aws)


def _know_the_managed_key(aws: EmbeddedAws) -> None:
    """Take `aws:kms` without a key for the account's managed key `aws/s3` (S3 User Guide, "Using server-side encryption
    with AWS KMS keys"). MiniStack refuses such a write, and cdk's assets are written so."""
    from ministack.services import s3

    resolve = s3._resolve_sse_write_headers
    managed_key = f"arn:aws:kms:{aws.region}:{aws.account}:alias/aws/s3"

    def _resolve_sse_write_headers(headers: dict[str, str], bucket_name: str) -> Any:
        if headers.get("x-amz-server-side-encryption") == "aws:kms" and not headers.get(_KEY_ID):
            headers = {**headers, _KEY_ID: managed_key}
        return resolve(headers, bucket_name)

    s3._resolve_sse_write_headers = _resolve_sse_write_headers


_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
