"""S3 as AWS has it where MiniStack differs.

An event is delivered before the request that causes it is answered, so that what is acknowledged is never lost; a
bucket with content isn't deleted by CloudFormation either; a bucket's encryption in a template is taken, so that its
objects show their key; a write that asks for KMS without naming a key has the account's own, `aws/s3`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from xml.sax.saxutils import escape

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported

Document = dict[str, Any]


def install(aws: EmbeddedAws) -> None:
    _deliver_at_once()
    _use_the_managed_key(aws)
    when_imported("ministack.services.cloudformation.provisioners", _provision_as_aws_does)


def encryption_xml(properties: Document) -> str | None:
    """PutBucketEncryption's document for a template's `BucketEncryption`, or None. Pure."""
    rules = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    if not rules:
        return None
    return (
        '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        + "".join(_rule_xml(rule) for rule in rules)
        + "</ServerSideEncryptionConfiguration>"
    )


def _rule_xml(rule: Document) -> str:
    default = rule.get("ServerSideEncryptionByDefault") or {}
    key = default.get("KMSMasterKeyID")
    key_xml = f"<KMSMasterKeyID>{escape(str(key))}</KMSMasterKeyID>" if key else ""
    enabled = str(rule.get("BucketKeyEnabled", False)).lower()
    return (
        "<Rule><ApplyServerSideEncryptionByDefault>"
        f"<SSEAlgorithm>{escape(str(default.get('SSEAlgorithm', 'AES256')))}</SSEAlgorithm>{key_xml}"
        f"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{enabled}</BucketKeyEnabled></Rule>"
    )


def _deliver_at_once() -> None:
    from ministack.services import s3

    def _fire_s3_event_async(
        bucket_name: str, key: str, event_name: str, size: int = 0, etag: str = "", *args: Any, **options: Any
    ) -> None:
        if bucket_name in s3._bucket_notifications:
            options["sequencer"] = s3._next_event_sequencer(event_name)
            s3._fire_s3_event(bucket_name, key, event_name, size, etag, *args, **options)

    s3._fire_s3_event_async = _fire_s3_event_async


def _use_the_managed_key(aws: EmbeddedAws) -> None:
    """API reference, PutObject, x-amz-server-side-encryption-aws-kms-key-id: without it, the AWS managed key."""
    from ministack.services import s3

    resolve = s3._resolve_sse_write_headers
    managed = f"arn:aws:kms:{aws.region}:{aws.account}:alias/aws/s3"

    def _resolve_sse_write_headers(headers: Document, bucket_name: str) -> Any:
        if headers.get("x-amz-server-side-encryption") == "aws:kms":
            headers = {"x-amz-server-side-encryption-aws-kms-key-id": managed, **headers}
        return resolve(headers, bucket_name)

    s3._resolve_sse_write_headers = _resolve_sse_write_headers


def _provision_as_aws_does(provisioners: ModuleType) -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    handlers["create"] = _encrypting(handlers["create"])
    handlers["update"] = _encrypting(handlers["update"])
    handlers["delete"] = _deleting


def _encrypting(provision: Callable[..., Any]) -> Callable[..., Any]:
    def handler(*arguments: Any) -> Any:
        from ministack.services import s3

        # create(logical id, properties, stack); update(physical id, old, new, stack)
        properties = arguments[-2]
        name, attributes = provision(*arguments)
        document = encryption_xml(properties)
        if document is None:
            s3._bucket_encryption.pop(name, None)
        else:
            s3._bucket_encryption[name] = document
        return name, attributes

    return handler


def _deleting(physical_id: str, _properties: Document) -> None:
    from ministack.services import s3

    if physical_id not in s3._buckets:
        return
    status, _, body = s3._delete_bucket(physical_id)
    if status >= 400:
        code = body.decode().partition("<Code>")[2].partition("</Code>")[0]
        message = body.decode().partition("<Message>")[2].partition("</Message>")[0]
        raise ValueError(f"{message} (Service: S3, Status Code: {status}, Error Code: {code}, Bucket: {physical_id})")
