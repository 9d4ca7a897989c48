"""Who mayn't list learns no keys, and `aws:kms` without a key is the account's managed one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from localaws.ministack_adapter.authorization import AccessDeniedError, authorize
from localaws.ministack_adapter.embedded_aws import EmbeddedAws


def install(aws: EmbeddedAws) -> None:
    _know_the_managed_key(aws)
    _hide_missing_objects()


def _hide_missing_objects() -> None:
    """Say that there is no such key only to who may list it; others are denied, as they are of a key that is there.

    "Permissions" of GetObject and HeadObject (Amazon S3 API Reference). `s3:prefix` is the key itself then.
    """
    from ministack.services import s3

    dispatch = s3._dispatch

    def _dispatch(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        answer = dispatch(method, bucket, key, headers, body, query_params)
        if answer[0] != HTTPStatus.NOT_FOUND or not key or bucket not in s3._buckets:
            return answer
        source = headers.get("x-amz-copy-source") if method == "PUT" else f"{bucket}/{key}"
        return (_unlisted(unquote(source)) or answer) if source else answer

    s3._dispatch = _dispatch


def _unlisted(name: str) -> Any:
    """The denial of somebody who mayn't list an object's key (`bucket/key`), None where they may."""
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import s3

    bucket, _, key = name.lstrip("/").partition("/")
    try:
        authorize(caller_arn(), "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key.partition("?")[0]})
    except AccessDeniedError as denied:
        return s3._error("AccessDenied", denied.message, 403, f"/{bucket}/{key}")
    return None


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
