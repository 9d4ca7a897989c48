"""Objects under a customer managed key are read and written only by who may use the key.

"Protecting data with server-side encryption using AWS KMS keys" (Amazon S3 User Guide): a PutObject, and the start of
an upload in parts, needs `kms:GenerateDataKey` on the key, a GetObject `kms:Decrypt`; a copy is both. MiniStack keeps
the key's name with the object and asks nobody.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def install(aws: EmbeddedAws) -> None:
    from ministack.services import s3

    put_object, get_object = s3._put_object, s3._get_object
    start_upload, copy_object, copy_part = s3._create_multipart_upload, s3._copy_object, s3._upload_part_copy

    def _put_object(bucket_name: str, key: str, body: bytes, headers: Document) -> Any:
        return _write_refused(aws, bucket_name, key, headers) or put_object(bucket_name, key, body, headers)

    def _create_multipart_upload(bucket_name: str, key: str, headers: Document) -> Any:
        return _write_refused(aws, bucket_name, key, headers) or start_upload(bucket_name, key, headers)

    def _copy_object(bucket_name: str, dest_key: str, headers: Document) -> Any:
        refused = _read_refused(aws, *_copied(headers)) or _write_refused(aws, bucket_name, dest_key, headers)
        return refused or copy_object(bucket_name, dest_key, headers)

    def _upload_part_copy(bucket_name: str, dest_key: str, query_params: Document, headers: Document) -> Any:
        refused = _read_refused(aws, *_copied(headers))
        return refused or copy_part(bucket_name, dest_key, query_params, headers)

    def _get_object(bucket_name: str, key: str, headers: Document, query_params: Document | None = None) -> Any:
        return _read_refused(aws, bucket_name, key) or get_object(bucket_name, key, headers, query_params)

    for function in (_put_object, _create_multipart_upload, _copy_object, _upload_part_copy, _get_object):
        setattr(s3, function.__name__, function)


def _write_refused(aws: EmbeddedAws, bucket: str, key: str, headers: Document) -> Response | None:
    from ministack.services import s3

    chosen, _ = s3._resolve_sse_write_headers(headers, bucket)
    return _refused(aws, "kms:GenerateDataKey", chosen or {}, f"/{bucket}/{key}")


def _read_refused(aws: EmbeddedAws, bucket: str, key: str) -> Response | None:
    from ministack.services import s3

    objects = (s3._buckets.get(bucket) or {}).get("objects", {})
    stored = (objects.get(key) or {}).get("preserved_headers", {})
    return _refused(aws, "kms:Decrypt", stored, f"/{bucket}/{key}")


def _copied(headers: Document) -> tuple[str, str]:
    """Bucket and key of the object that a request copies. Pure."""
    source = unquote(headers.get("x-amz-copy-source", "").lstrip("/").partition("?")[0])
    bucket, _, key = source.partition("/")
    return bucket, key


def key_arn(aws: EmbeddedAws, key: str) -> str:
    """The ARN of a key that is named by id or ARN. Pure."""
    return key if key.startswith("arn:") else f"arn:aws:kms:{aws.region}:{aws.account}:key/{key}"


def _refused(aws: EmbeddedAws, action: str, encryption: Document, resource: str) -> Response | None:
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import s3

    if encryption.get(_ALGORITHM) != "aws:kms" or ":alias/" in encryption.get(_KEY, ":alias/"):
        return None  # without a key of the customer's own, or one by its alias, S3 uses one that all may use
    # "AWS KMS condition keys" (KMS Developer Guide): S3 asks on the caller's behalf, and says so.
    context = {"kms:ViaService": f"s3.{aws.region}.amazonaws.com", "kms:CallerAccount": aws.account}
    try:
        authorization.authorize(caller_arn(), action, key_arn(aws, encryption[_KEY]), context)
    except authorization.AccessDeniedError as denied:
        response: Response = s3._error("AccessDenied", denied.message, 403, resource)
        return response
    return None
