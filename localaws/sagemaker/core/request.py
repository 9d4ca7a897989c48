"""A request of the SageMaker API on its way through the service: its document, who makes it, and who answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Document = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """Who makes a request: principal ARN, account, region, and whether a client or a state machine calls."""

    arn: str
    account: str
    region: str
    source: Literal["client", "states"] = "client"


Handler = Callable[[Document, Caller], Document]
