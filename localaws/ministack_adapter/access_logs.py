"""Server access logs of S3: a record a request, delivered to the destination bucket as its policy allows.

Sources: S3 User Guide, "Logging requests with server access logging" (delivery, keys) and "Amazon S3 server access log
format" (records). S3 delivers within hours; here it takes seconds. A destination that refuses the log service, or is
encrypted with a customer's key, gets nothing, and nobody is told: it is so there.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from localaws.ministack_adapter.authorization import service_may
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 2.0
LOG_SERVICE = "logging.s3.amazonaws.com"
_ABSENT = "-"


def install(aws: EmbeddedAws) -> None:
    from ministack.services import s3

    logs = AccessLogs(aws)
    dispatch, put_logging = s3._dispatch, s3._put_bucket_logging

    def _dispatch(method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any) -> Any:
        answer = dispatch(method, bucket, key, headers, body, query)
        if bucket in s3._bucket_logging_config:
            logs.add(bucket, record(aws.account, bucket, key, method, headers, query, answer))
        return answer

    def _put_bucket_logging(name: str, body: bytes) -> Any:
        target = destination(body.decode())
        if target and target[0] not in s3._buckets:
            return s3._error(
                "InvalidTargetBucketForLogging", "The target bucket for logging does not exist", 400, f"/{name}"
            )
        return put_logging(name, body)

    s3._dispatch, s3._put_bucket_logging = _dispatch, _put_bucket_logging
    aws.when_closing(logs.deliver)


class AccessLogs:
    """The records that aren't delivered yet, by the bucket that they are about."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._waiting: dict[str, list[str]] = defaultdict(list)

    def add(self, bucket: str, line: str) -> None:
        with self._lock:
            first = not self._waiting
            self._waiting[bucket].append(line)
        if first:
            timer = threading.Timer(DELIVERY_SECONDS, self.deliver)
            timer.daemon = True
            timer.start()

    def deliver(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for bucket, lines in waiting.items():
            try:
                self._deliver(bucket, lines)
            except Exception:
                logger.exception("access logs of %s were not delivered", bucket)

    def _deliver(self, bucket: str, lines: list[str]) -> None:
        from ministack.services import s3

        target = destination(s3._bucket_logging_config.get(bucket, ""))
        if target is None or not _takes_logs(bucket, *target):
            return
        key = target[1] + datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S-") + secrets.token_hex(8).upper()
        s3._put_object(target[0], key, "".join(lines).encode(), {"content-type": "text/plain"})
        self._aws.changed("s3")


def _takes_logs(source: str, target: str, prefix: str) -> bool:
    """Whether the destination's policy lets the log service write, and its encryption is S3's own."""
    from ministack.services import s3

    if b"aws:kms" in str(s3._bucket_encryption.get(target, "")).encode():
        return False
    resource = f"arn:aws:s3:::{target}/{prefix}log"
    return service_may(s3._bucket_policies.get(target), LOG_SERVICE, "s3:PutObject", resource, f"arn:aws:s3:::{source}")


def destination(status: str) -> tuple[str, str] | None:
    """(bucket, prefix) of a BucketLoggingStatus; None where logging is off."""
    if not status:
        return None
    found = {element.tag.rpartition("}")[2]: element.text or "" for element in ElementTree.fromstring(status).iter()}  # noqa: S314
    return (found["TargetBucket"], found.get("TargetPrefix", "")) if found.get("TargetBucket") else None


def record(
    owner: str,
    bucket: str,
    key: str,
    method: str,
    headers: Mapping[str, str],
    query: Mapping[str, Any],
    answer: tuple[int, dict[str, str], Any],
) -> str:
    """A request's line; what nobody knows here is `-`, as in S3's own."""
    status, told, body = answer
    size = str(len(body)) if body else _ABSENT
    path = f"/{bucket}/{quote(key)}" + (f"?{urlencode(query, doseq=True)}" if query else "")
    fields = [
        owner,
        bucket,
        datetime.now(UTC).strftime("[%d/%b/%Y:%H:%M:%S +0000]"),
        "127.0.0.1",
        requester(headers, query),
        told.get("x-amz-request-id", secrets.token_hex(8).upper()),
        operation(method, key, query),
        quote(key) or _ABSENT,
        f'"{method} {path} HTTP/1.1"',
        str(status),
        _error_code(status, body),
        size,
        told.get("Content-Length", size) if key else _ABSENT,
        _ABSENT,
        _ABSENT,
        f'"{headers.get("referer", _ABSENT)}"',
        f'"{headers.get("user-agent", _ABSENT)}"',
        told.get("x-amz-version-id", _ABSENT),
        _ABSENT,
        "SigV4" if "AWS4" in headers.get("authorization", "") else _ABSENT,
        _ABSENT,
        "AuthHeader" if headers.get("authorization") else "QueryString" if "X-Amz-Signature" in query else _ABSENT,
        headers.get("host", _ABSENT),
        *(_ABSENT,) * 3,
    ]
    return " ".join(fields) + "\n"


def operation(method: str, key: str, query: Mapping[str, Any]) -> str:
    """`REST.GET.OBJECT`; of a subresource its own name: `REST.GET.VERSIONING`."""
    plain = ("list-type", "prefix", "delimiter", "max-keys", "continuation-token", "marker", "encoding-type")
    named = next((name for name in query if name not in plain and name.islower() and not query[name][0]), None)
    return f"REST.{method}.{(named or ('OBJECT' if key else 'BUCKET')).upper()}"


def requester(headers: Mapping[str, str], query: Mapping[str, Any]) -> str:
    """The caller's ARN; `-` for one that didn't sign."""
    from ministack.core.iam_evaluator import request_caller_arn

    return str(request_caller_arn(dict(headers), dict(query)) or _ABSENT)


def _error_code(status: int, body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    return text.partition("<Code>")[2].partition("</Code>")[0] or _ABSENT if status >= 400 else _ABSENT
