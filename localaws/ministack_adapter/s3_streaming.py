"""Large objects are sent from the disk, a chunk at a time; MiniStack reads them whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from localaws.ministack_adapter.asgi import Receive, Send
from localaws.ministack_adapter.full_disk import told
from localaws.ministack_adapter.s3_contents import Content

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], Any]

# Whether what is read is sent to the request's client; whoever else reads an object has it in memory.
streams: ContextVar[bool] = ContextVar("streams", default=False)


def stream_answers(s3: Any) -> None:
    """Have S3's answers over the wire sent as they are read."""
    handle: Callable[..., Awaitable[Response]] = s3.handle_request

    async def handle_request(
        method: str, path: str, headers: Any, body: Any, query_params: Any, *rest: Any, **named: Any
    ) -> Response:
        token = streams.set(not named.get("internal", False))
        try:
            status, answered, content = await handle(method, path, headers, body, query_params, *rest, **named)
        finally:
            streams.reset(token)
        if not isinstance(content, Content):
            return status, answered, content
        try:
            await asyncio.to_thread(content.check)
        except OSError as error:
            logger.error("%s %s: %s", method, path, error)
            refused: Response = s3._error("InternalError", told(error), 500, path)
            return refused
        return status, answered, _streaming(content)

    s3.handle_request = handle_request


def _streaming(content: Content) -> Any:
    from ministack.core.responses import StreamingResponse

    async def run(send: Send, _receive: Receive) -> None:
        chunks = content.chunks()
        try:
            while chunk := await asyncio.to_thread(next, chunks, b""):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except OSError as error:
            logger.error("an object could not be sent to its end: %s", error)
            return  # without the last frame, so that the client sees that something is missing
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return StreamingResponse(run)
