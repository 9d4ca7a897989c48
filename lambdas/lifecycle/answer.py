"""The answer to a custom resource's request: a JSON document, put to the address that came with it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

# Its receiver is another: the image build answers when it has ended.
ANSWERED_ELSEWHERE = None
# A response document has at most 4,096 bytes ("Custom resource response objects").
REASON_BYTES = 1024
SECONDS = 10


class BadRequestError(ValueError):
    """A document that is no custom resource's request: it doesn't say where its answer goes."""


_ANSWERED_BY = ("ResponseURL", "StackId", "RequestId", "LogicalResourceId")


def check(request: Any) -> None:
    """Raises BadRequestError for one that can't be answered ("Custom resource request objects")."""
    there = request if isinstance(request, dict) else {}
    lacking = [name for name in _ANSWERED_BY if not isinstance(there.get(name), str)]
    if lacking:
        raise BadRequestError(f"a custom resource's request has the texts {', '.join(_ANSWERED_BY)}; not {lacking[0]}")


def answer(request: dict[str, Any], status: str, *, physical_id: str | None = None, reason: str = "") -> None:
    """Puts `SUCCESS` or `FAILED` to the request's ResponseURL.

    A create that failed names the logical id as its physical one: CloudFormation will ask to delete it.
    """
    document = {
        "Status": status,
        "Reason": _cut(reason),
        "PhysicalResourceId": physical_id or request.get("PhysicalResourceId") or request["LogicalResourceId"],
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
    }
    url = request["ResponseURL"]
    # An empty content type, since the address is signed for none.
    put = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
    with urllib.request.urlopen(put, timeout=SECONDS):  # noqa: S310 - CloudFormation's own address
        pass


def _cut(reason: str) -> str:
    """The reason's beginning, in as many bytes as JSON takes for it: a letter beyond ASCII takes six, or twelve."""
    reason = reason[:REASON_BYTES]
    while (size := len(json.dumps(reason)) - len('""')) > REASON_BYTES:
        reason = reason[: min(len(reason) - 1, len(reason) * REASON_BYTES // size)]
    return reason
