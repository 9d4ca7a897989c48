"""An image's URI: which registry, repository, and tag or digest it names."""

from __future__ import annotations

import re
from dataclasses import dataclass

REPOSITORY = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    rf"(?P<repository>{REPOSITORY})(?::(?P<tag>{TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)


@dataclass(frozen=True)
class Reference:
    """An image of a registry of ECR's; `digest` says which where there is one, whatever the tag."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def image_id(self) -> dict[str, str]:
        """As ECR's operations name an image."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}


def parse(uri: str) -> Reference | None:
    """The image that a URI names; None for one that isn't ECR's."""
    found = _URI.fullmatch(uri)
    return Reference(**found.groupdict()) if found else None


def host(account: str, region: str) -> str:
    """The name of a registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"
