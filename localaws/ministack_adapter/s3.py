"""Who mayn't list learns no keys, a body is what its hash says, and `aws:kms` without a key is the account's own."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from localaws.ministack_adapter.authorization import AccessDeniedError, authorize
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.s3_contents import Content
from localaws.ministack_adapter.s3_digests import SHA256, SIGNED_HASH, is_sha256


def install(aws: EmbeddedAws) -> None:
    _know_the_managed_key(aws)
    _hide_missing_objects()
    _hold_bodies_to_their_hash()


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


def _hold_bodies_to_their_hash() -> None:
    """Refuse a body that isn't the one whose hash was signed. MiniStack checks the signature of the hash alone."""
    from ministack.services import s3

    dispatch = s3._dispatch

    def _dispatch(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes | Content, query_params: Any
    ) -> Any:
        said = headers.get(SIGNED_HASH, "").lower()
        if method in ("PUT", "POST") and is_sha256(said) and (found := _sha256(body)) != said:
            computed = {"ClientComputedContentSHA256": said, "S3ComputedContentSHA256": found}
            told = f"The provided '{SIGNED_HASH}' header does not match what was computed."
            return s3._object_error("XAmzContentSHA256Mismatch", told, 400, **computed)
        return dispatch(method, bucket, key, headers, body, query_params)

    s3._dispatch = _dispatch


def _sha256(body: bytes | Content) -> str:
    return body.digest(SHA256).hex() if isinstance(body, Content) else hashlib.sha256(body).hexdigest()


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
