"""This AWS over the wire, with a role's credentials, so that IAM applies as it does in AWS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.s3_wire import S3Wire


@dataclass(frozen=True)
class Wire:
    """The endpoint of this AWS, and the region that requests to it are signed for."""

    endpoint_url: str
    region: str

    def s3(self, credentials: Credentials) -> S3Wire:
        """S3 as the role that `credentials` belong to."""
        return S3Wire(self.endpoint_url, self.region, credentials)


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of ``s3://bucket/key`` or ``https://s3.<region>.<domain>/bucket/key``.

    CDK writes the second form. Raises ValueError for anything else.
    """
    parts = urlsplit(uri)
    path = parts.path.lstrip("/")
    if parts.scheme == "s3" and parts.netloc:
        return parts.netloc, path
    host = parts.netloc.split(":")[0]
    if parts.scheme == "https" and (host.startswith(("s3.", "s3-")) and path):
        bucket, _, key = path.partition("/")
        return bucket, key
    if parts.scheme == "https" and ".s3." in host:
        return host.split(".s3.")[0], path
    raise ValueError(f"not an S3 location: {uri!r}; write s3://bucket/key")
