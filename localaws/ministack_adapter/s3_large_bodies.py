"""Which requests bring an object's bytes, too many for memory, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from localaws.ministack_adapter.asgi import Scope
from localaws.ministack_adapter.credential_scope import service_of

# A body up to here is read and written in one piece: a file of its own on the way costs more than it saves.
LARGE = 1 << 20
# What is in memory of a larger one.
CHUNK = 1 << 19

# Of PutObject and UploadPart, and of a URL that was signed for later, in either version; what else a query names is
# about something else than the object's bytes.
_QUERY = frozenset({"partNumber", "uploadId", "x-id", "AWSAccessKeyId", "Signature", "Expires"})
_FORM = b"application/x-www-form-urlencoded"  # which MiniStack reads from memory, whatever it is sent to


class BodyNotWholeError(Exception):
    """A body isn't what its headers announce."""


def is_spooled(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request's body goes to the disk as it comes. Pure."""
    if scope["method"] != "PUT" or not headers.get(b"content-length", b"").isdigit():
        return False
    if int(headers[b"content-length"]) <= LARGE or service_of(scope) != "s3":
        return False
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    signed = b"x-amz-content-sha256" in headers or "X-Amz-Signature" in query or "Signature" in query
    about_bytes = all(name in _QUERY or name.lower().startswith("x-amz-") for name in query)
    plain = not headers.get(b"content-type", b"").startswith(_FORM) and b"x-amz-copy-source" not in headers
    return signed and about_bytes and plain


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Whether a body is `aws-chunked`, by what MiniStack takes for it. Pure."""
    return (
        headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
        or "aws-chunked" in headers.get("content-encoding", "")
        or bool(headers.get("x-amz-decoded-content-length"))
    )
