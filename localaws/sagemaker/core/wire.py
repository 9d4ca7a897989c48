"""Clients that speak to this AWS over the wire with a role's credentials, so that IAM applies as it does in AWS.

One botocore session serves all (its loader keeps the parsed service models); a client of another role costs 5 ms.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.s3_wire import S3Wire


class Wire:
    """Makes botocore clients for the endpoint of this AWS. Thread-safe."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = threading.Lock()
        self._session = botocore.session.Session()
        # The user's own ~/.aws must not reach into the embedded AWS.
        self._session.set_config_variable("config_file", "/dev/null")
        self._session.set_config_variable("credentials_file", "/dev/null")

    def client(self, service: str, credentials: Credentials) -> Any:
        """A botocore client of the role that `credentials` belong to; usable from several threads."""
        with self._lock:  # creating clients of one session isn't thread-safe, using them is
            return self._session.create_client(
                service,
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"mode": "standard", "max_attempts": 3},
                    max_pool_connections=16,
                    proxies={},
                    # MD5 or CRC of every part costs time and finds nothing on loopback.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

    def s3(self, credentials: Credentials) -> S3Wire:
        """S3 as the role that `credentials` belong to, for what jobs do with it."""
        return S3Wire(self._endpoint_url, self._region, credentials)

    def warm_up(self) -> None:
        """Read what the first S3 client needs; 100 ms that later ones are spared."""
        nobody = Credentials("nobody", "nobody", "nobody", datetime.now(UTC))
        self.client("s3", nobody).close()

    @property
    def endpoint_url(self) -> str:
        """Where the clients go."""
        return self._endpoint_url

    @property
    def region(self) -> str:
        """The region they sign for."""
        return self._region


def error_code(error: ClientError) -> str:
    """The code of an error document, ``404`` and the like for HEAD requests, which have no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


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
