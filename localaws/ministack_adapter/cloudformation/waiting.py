"""CreateStack and the like answer when the operation is over, where that takes a few seconds at most.

The cdk CLI looks at a stack at once and then every five seconds; a stack that was ready after half a second cost those
five. An operation that takes longer is answered while it goes on, as in AWS.
"""

from __future__ import annotations

import asyncio
import time
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

Document = dict[str, Any]
OPERATIONS = frozenset({"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet"})
PATIENCE_SECONDS = 4.0
_LOOK_EVERY_SECONDS = 0.02
_HANDLE = "handle_request"


def register(cloudformation: ModuleType) -> None:
    handle = cloudformation.__dict__[_HANDLE]

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document
    ) -> Any:
        answer = await handle(method, path, headers, body, query_params)
        request = {key: values[0] for key, values in {**query_params, **parse_qs(body.decode())}.items() if values}
        if answer[0] < 400 and request.get("Action") in OPERATIONS and "StackName" in request:
            await _moved(cloudformation, str(request["StackName"]))
        return answer

    cloudformation.__dict__[_HANDLE] = handle_request


async def _moved(cloudformation: ModuleType, name_or_arn: str) -> None:
    """Return when the stack is no longer in progress, or patience is over."""
    name = name_or_arn.split("/")[1] if name_or_arn.startswith("arn:") else name_or_arn
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        # Gives the stack's task its turn first.
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
        stack = cloudformation.__dict__["_stacks"].get(name)
        if stack is None or not str(stack["StackStatus"]).endswith("_IN_PROGRESS"):
            return
