"""Who sees what a variant was asked and what it answered, once the caller has its answer: a mirror, a capture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from localaws.sagemaker.hosting.connection import Answer


@dataclass(frozen=True)
class Exchange:
    """A request to an endpoint, and a variant's answer to it.

    event_id: of the request, and of its copies. at: when it was asked, in epoch seconds.
    """

    event_id: str
    at: float
    endpoint: str
    variant: str
    body: bytes
    content_type: str
    accept: str
    answer: Answer
    custom_attributes: str | None = None
    inference_id: str | None = None


class Witness(Protocol):
    """Sees a variant's exchanges. Neither method raises, and `saw` returns at once: it is called between an answer and
    its caller."""

    def saw(self, exchange: Exchange) -> None:
        """Take note of an exchange."""

    def close(self) -> None:
        """Bring what was noted to its end; nothing is seen any more."""
