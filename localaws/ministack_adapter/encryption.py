"""Objects under a customer managed key are read and written only by who may use the key.

"Protecting data with server-side encryption using AWS KMS keys" (Amazon S3 User Guide): a PutObject needs
`kms:GenerateDataKey` on the key, a GetObject `kms:Decrypt`. MiniStack keeps the key's name with the object and asks
nobody.
"""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

_ALGORITHM = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def install(aws: EmbeddedAws) -> None:
    from ministack.services import s3

    put_object, get_object = s3._put_object, s3._get_object

    def _put_object(bucket_name: str, key: str, body: bytes, headers: Document) -> Any:
        chosen, _ = s3._resolve_sse_write_headers(headers, bucket_name)
        refused = _refused(aws, "kms:GenerateDataKey", chosen or {}, f"/{bucket_name}/{key}")
        return refused or put_object(bucket_name, key, body, headers)

    def _get_object(bucket_name: str, key: str, headers: Document, query_params: Document | None = None) -> Any:
        bucket = s3._buckets.get(bucket_name) or {}
        stored = (bucket.get("objects", {}).get(key) or {}).get("preserved_headers", {})
        refused = _refused(aws, "kms:Decrypt", stored, f"/{bucket_name}/{key}")
        return refused or get_object(bucket_name, key, headers, query_params)

    s3._put_object = _put_object
    s3._get_object = _get_object


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
