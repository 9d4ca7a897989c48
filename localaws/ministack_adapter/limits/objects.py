"""S3: keys and metadata of objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Refusal

_KEY_BYTES, _METADATA_BYTES, _DELETED = 1024, 2048, 1000
_METADATA = "x-amz-meta-"


def refusal(key: str, headers: Mapping[str, str]) -> Refusal | None:
    """Of PutObject and CreateMultipartUpload."""
    if len(key.encode()) > _KEY_BYTES:
        return Refusal("KeyTooLongError", "Your key is too long")
    own = {
        name.lower().removeprefix(_METADATA): value
        for name, value in headers.items()
        if name.lower().startswith(_METADATA)
    }
    if sum(len(name.encode()) + len(value.encode()) for name, value in own.items()) > _METADATA_BYTES:
        return Refusal("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
    return None


def of_deletion(body: bytes) -> Refusal | None:
    """Of DeleteObjects."""
    if len(re.findall(rb"<(?:\w+:)?Object[\s>]", body)) > _DELETED:
        return Refusal(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    return None
