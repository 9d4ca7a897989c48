"""Large bodies of PutObject and UploadPart go to the disk as they come; MiniStack collects them in memory.

The request's handling gets a `Content` then, with the digests that it will ask for. What it keeps stays on disk; the
rest is deleted with the request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from localaws.ministack_adapter.asgi import Application, Receive, Scope, Send
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.request_bodies import drained
from localaws.ministack_adapter.s3_bodies import Bodies, Sink
from localaws.ministack_adapter.s3_contents import Content
from localaws.ministack_adapter.s3_digests import MD5, SHA256, SIGNED_HASH, is_known, is_sha256
from localaws.ministack_adapter.s3_large_bodies import CHUNK, BodyNotWholeError, is_chunked, is_spooled
from localaws.ministack_adapter.wire_errors import headers_of

if TYPE_CHECKING:
    from localaws.ministack_adapter.aws_chunks import Chunks

_CHECKSUM = re.compile(r"x-amz-checksum-(\w+)")

_spool: ContextVar[_Spool | None] = ContextVar("spool", default=None)


def spool_requests(aws: EmbeddedAws, bodies: Bodies) -> None:
    """Have the bodies of S3's large requests written to the disk as they come."""
    from ministack import app
    from ministack.core import sigv4

    aws.wrap(partial(_spooling, bodies))
    read, match = app._read_request_body, sigv4._chunk_signatures_match

    def _chunk_signatures_match(body: bytes | Chunks, seed: str, signature: Any, key: bytes) -> bool:
        if isinstance(body, bytes):
            return bool(match(body, seed, signature, key))
        return body.are_signed(seed, signature, key)

    async def _read_request_body(receive: Receive, method: str, headers: dict[str, str]) -> Any:
        spool = _spool.get()
        if spool is None:
            return await read(receive, method, headers)
        try:
            return await spool.read(receive, headers)
        except BodyNotWholeError as error:
            raise app._IncompleteRequestBody(str(error)) from error
        except OSError:
            await drained(receive)  # who sends all before it reads sees that the disk is full
            raise

    app._read_request_body, sigv4._chunk_signatures_match = _read_request_body, _chunk_signatures_match


def _spooling(bodies: Bodies, inner: Application) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_spooled(scope, headers_of(scope)):
            await inner(scope, receive, send)
            return
        spool = _Spool(bodies)
        token = _spool.set(spool)
        try:
            await inner(scope, receive, send)
        finally:
            _spool.reset(token)
            spool.close()

    return application


class _Spool:
    """The body of one request, on its way onto the disk."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._content: Content | None = None

    async def read(self, receive: Receive, headers: dict[str, str]) -> Content:
        """The whole body. Raises OSError, BodyNotWholeError or MiniStack's own error of a client that is gone."""
        from ministack.core.iam_evaluator import pin_signed_body

        chunks = _chunks(headers)
        with Sink(self._bodies, [MD5, *asked_digests(headers)]) as sink:
            received = 0
            async for pieces in _pieces(receive):
                received += sum(map(len, pieces))
                decoded = [each for piece in pieces for each in chunks.decoded(piece)] if chunks else pieces
                await asyncio.to_thread(sink.write, decoded)
            if received != int(headers["content-length"]):
                raise BodyNotWholeError("Content-Length does not match request body")
            if chunks is not None:
                chunks.finish(headers)
            self._content = sink.finish()
        pin_signed_body(chunks or b"")
        return self._content

    def close(self) -> None:
        if self._content is not None:
            self._bodies.drop(self._content)
            self._content = None


def _chunks(headers: Mapping[str, str]) -> Chunks | None:
    """What decodes a body, where it is encoded in chunks."""
    if not is_chunked(headers):
        return None
    from localaws.ministack_adapter.aws_chunks import Chunks

    return Chunks(headers)


def asked_digests(headers: Mapping[str, str]) -> set[str]:
    """The digests that a request names, by S3's names of the algorithms. Pure."""
    named = [match[1] for name in headers if (match := _CHECKSUM.fullmatch(name))]
    named += _CHECKSUM.findall(headers.get("x-amz-trailer", ""))
    named.append(headers.get("x-amz-sdk-checksum-algorithm", ""))
    named += [SHA256] if is_sha256(headers.get(SIGNED_HASH, "")) else []
    return {each for name in named if is_known(each := name.upper().replace("_", ""))}


async def _pieces(receive: Receive) -> AsyncIterator[list[bytes]]:
    """A body as it comes, so much at a time that a step to another thread is worth it."""
    from ministack import app

    pieces, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise app._RequestBodyDisconnected
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
        if size >= CHUNK or not more:
            yield pieces
            pieces, size = [], 0
