"""The answer to a custom resource's request: a JSON document, put to the address that came with it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

# Its receiver is another: the image build answers when it has ended.
ANSWERED_ELSEWHERE = None
# A response document has at most 4,096 bytes ("Custom resource response objects").
REASON_LENGTH = 1024
SECONDS = 10


def answer(request: dict[str, Any], status: str, *, physical_id: str | None = None, reason: str = "") -> None:
    """Puts `SUCCESS` or `FAILED` to the request's ResponseURL.

    A create that failed names the logical id as its physical one: CloudFormation will ask to delete it.
    """
    document = {
        "Status": status,
        "Reason": reason[:REASON_LENGTH],
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
