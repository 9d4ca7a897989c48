"""`labels` of pipeline.yaml: the channels whose labels may be audited (`ratchet labels`), by a role of that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from ratchet.spec.errors import nearest, refusal

Audited = Annotated[Sequence[str], Field(examples=[["train"]])]


def check_audited(labels: Sequence[str], data: Mapping[str, str]) -> None:
    """Raises a refusal where one is no channel, or is named twice."""
    for index, channel in enumerate(labels):
        if channel not in data:
            raise refusal(f"is {channel!r}, which is no channel of data{nearest(channel, list(data))}", "labels", index)
        if channel in labels[:index]:
            raise refusal(f"is {channel!r}, which is named before", "labels", index)
