"""The service that a request is signed for."""

from __future__ import annotations

import re

from localaws.ministack_adapter.asgi import Scope

_CREDENTIAL_SCOPE = re.compile(r"(?:Credential=|X-Amz-Credential=)[^/%]+(?:/|%2F)\d{8}(?:/|%2F)[^/%]+(?:/|%2F)([^/%]+)")


def service_of(scope: Scope) -> str:
    """The signing name of the service that a request goes to; S3 takes what isn't signed."""
    signed = dict(scope.get("headers", [])).get(b"authorization", b"") or scope.get("query_string", b"")
    match = _CREDENTIAL_SCOPE.search(signed.decode("latin-1"))
    return match[1] if match else "s3"
