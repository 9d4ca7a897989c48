"""What a request may bring: how large, how fast, and only from who is somebody.

MiniStack reads a body of any size into memory, and unpacks it, before it asks who sends it. Here a body has its
service's limit; one of some size is read only after its sender's signature has been checked, as far as the headers
allow; all bodies together have a limit, so that they never fill the machine; and a sender who trickles is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import zlib
from typing import Any
from urllib.parse import parse_qs, quote

from localaws.ministack_adapter.asgi import Application, Message, Receive, Scope, Send
from localaws.ministack_adapter.credential_scope import service_of
from localaws.ministack_adapter.s3_large_bodies import CHUNK, is_spooled
from localaws.ministack_adapter.wire_errors import headers_of, refuse
from localaws.registry.paths import is_of_registry

MIB = 1 << 20
# PutObject's, UploadPart's ("Amazon S3 multipart upload limits").
_LARGEST_OBJECT = 5 << 30
# By signing name. InvokeEndpoint: "Amazon SageMaker AI endpoints and quotas"; Lambda: its error message for
# CreateFunction, a 50 MB archive in base 64; DynamoDB: BatchWriteItem; the others take less, in JSON's writing.
LIMITS = {"s3": _LARGEST_OBJECT, "sagemaker": 25 * MIB, "lambda": 69_905_067, "ecr": 64 * MIB, "dynamodb": 32 * MIB}
# A layer's ("Amazon ECR service quotas": maximum layer size).
_LARGEST_LAYER = 52_000 * MIB
LIMIT = 16 * MIB
ANONYMOUS_LIMIT = MIB
_DATA_PLANES = (".execute-api.", ".lambda-url.")  # hosts whose callers need not sign
_DATA_PLANE_LIMIT = 10 * MIB  # API Gateway's payloads ("Amazon API Gateway quotas")
# A body up to here costs less than the question who sends it.
UNCHECKED = MIB
# S3 answers RequestTimeout to a socket that "was not read from or written to within the timeout period".
SILENCE_SECONDS = 30.0
_SLOWEST = 16 * 1024  # bytes a second, after that time

_DRAINED = 64 * MIB  # bytes of a refused body that are read and dropped
_DRAIN_SECONDS = 2.0

_SIGNED = (b"AWS4-", b"AWS ")
_SIGNED_IN_CHUNKS = "STREAMING-AWS4-"  # signatures inside of the body


class BodyTooLargeError(Exception):
    """A body is larger than it may be, as sent or unpacked; the text says so."""


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Memory:
    """The bytes that all requests' bodies may take together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises _RefusedError where there isn't so much left."""
        if self.taken + size > self.most:
            raise _RefusedError(503, "SlowDown", f"Please reduce your request rate: bodies take {self.most} bytes here")
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


def half_of_the_memory() -> int:
    """Half of the machine's memory, 512 MiB at least."""
    return max(512 * MIB, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


def bounded(inner: Application, memory: Memory | None = None) -> Application:
    """Let requests in whose bodies fit."""
    kept = memory or Memory(half_of_the_memory())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        body = _Body(scope, receive, kept)
        try:
            body.check_announced()
            await inner(scope, body.receive, send)
        except _RefusedError as refused:
            await body.drain()
            await refuse(scope, send, refused.status, refused.code, str(refused))
        except BodyTooLargeError as error:
            await body.drain()
            await refuse(scope, send, 413, "RequestEntityTooLargeException", str(error))
        finally:
            kept.give_back(body.taken)

    return application


class _Body:
    """One request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive, memory: Memory) -> None:
        self._scope = scope
        self._receive = receive
        self._memory = memory
        self._headers = headers_of(scope)
        self._limit = limit_of(scope, self._headers)
        self._is_spooled = is_of_registry(scope["path"]) or is_spooled(scope, self._headers)
        self._checked = False
        self._received = 0
        self._began = 0.0
        self._whole = False
        self.taken = 0

    def check_announced(self) -> None:
        """Refuse by the announced length, before a byte is read."""
        announced = self._headers.get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > 19:
            raise _RefusedError(400, "InvalidRequest", "Content-Length is not a number of bytes.")
        self._allow(int(announced))

    async def receive(self) -> Message:
        """The next message; the application's `receive`."""
        if self._whole:
            return await self._receive()
        self._began = self._began or time.monotonic()
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            self._allow(self._received)
            if time.monotonic() - self._began > SILENCE_SECONDS + self._received / _SLOWEST:
                raise self._too_slow()
        return message

    async def drain(self) -> None:
        """Let go by what is still to come, so that the client, which may read only after it has sent, sees the answer.

        One that waits to be told to go on sends nothing.
        """
        if b"expect" not in self._headers and not self._whole:
            self._whole = await drained(self._receive)

    def _allow(self, size: int) -> None:
        if size > self._limit:
            signed = is_signed(self._scope, self._headers)
            raise too_large(service_of(self._scope) if signed else "", size, self._limit)
        if size > UNCHECKED and not self._checked:
            self._checked = True
            _authenticate(self._scope, self._headers)
        in_memory = min(size, CHUNK) if self._is_spooled else size
        if in_memory > self.taken:
            self._memory.take(in_memory - self.taken)
            self.taken = in_memory

    @staticmethod
    def _too_slow() -> _RefusedError:
        told = "Your socket connection to the server was not read from or written to within the timeout period."
        return _RefusedError(400, "RequestTimeout", told)


async def drained(receive: Receive) -> bool:
    """Let go by what a client still sends, so that it sees the answer; whether that was all, and not too much."""
    left = _DRAINED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return True
                left -= len(message.get("body", b""))
    return False


def too_large(service: str, size: int, limit: int) -> Exception:
    """The refusal of a body, as the service words it."""
    if service == "s3":
        return _RefusedError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size")
    if service == "lambda":
        told = f"Request must be smaller than {limit} bytes for this operation"
        return _RefusedError(413, "RequestEntityTooLargeException", told)
    return BodyTooLargeError(f"The request body has {size} bytes or more; the limit is {limit} bytes.")


def limit_of(scope: Scope, headers: dict[bytes, bytes]) -> int:
    """How many bytes a request's body may have. Pure."""
    if is_signed(scope, headers):
        return LIMITS.get(service_of(scope), LIMIT)
    if is_of_registry(scope["path"]):
        return _LARGEST_LAYER  # the registry reads nothing before it knows whose the request's token is
    host = headers.get(b"host", b"").decode("latin-1")
    return _DATA_PLANE_LIMIT if any(plane in host for plane in _DATA_PLANES) else ANONYMOUS_LIMIT


def is_signed(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether a request says who sends it, truly or not. Pure."""
    query = scope.get("query_string", b"")
    return (
        headers.get(b"authorization", b"").startswith(_SIGNED)
        or b"X-Amz-Signature=" in query
        or b"&Signature=" in query
    )


def _authenticate(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Refuse a sender whom nobody knows, or whose signature, where it covers a hash of the body, is wrong."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.core.router import extract_access_key_id

    if not headers.get(b"authorization", b"").startswith(b"AWS4-HMAC"):
        return
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    key, account = extract_access_key_id(texts, query), get_account_id()
    failure: Any = iam_evaluator.resolve_credential(key, account, texts.get("x-amz-security-token", ""))
    hashed = texts.get("x-amz-content-sha256", "")
    if not hasattr(failure, "code") and hashed and not hashed.startswith(_SIGNED_IN_CHUNKS):
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        iam_evaluator.pin_signed_request(scope["method"], path.decode("latin-1"), query, scope["headers"])
        failure = iam_evaluator.authenticate(key, account)
    if hasattr(failure, "code"):
        raise _RefusedError(403, failure.code, failure.message)


def install_unpacking() -> None:
    """Have MiniStack unpack only what an authenticated sender has packed, and only so much."""
    from ministack import app
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.core.router import extract_access_key_id

    def _decompress_request_body(body: bytes, headers: dict[str, str]) -> bytes:
        encodings = [each.strip() for each in headers.get("content-encoding", "").split(",")]
        if "gzip" not in map(str.lower, encodings):
            return body
        pinned = iam_evaluator._signed_request.get()
        if not iam_evaluator.caller_verified(extract_access_key_id(headers), get_account_id()):
            iam_evaluator._signed_request.set(pinned)  # is checked again, and the sender told what is wrong with it
            return body
        rest = ", ".join(each for each in encodings if each.lower() != "gzip")
        headers.pop("content-encoding")
        headers.update({"content-encoding": rest} if rest else {})
        return inflated(body, LIMIT)

    app._decompress_request_body = _decompress_request_body


def inflated(body: bytes, limit: int) -> bytes:
    """A gzip body unpacked; as it is where it isn't one. BodyTooLargeError."""
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error:
        return body
    if len(unpacked) > limit:
        raise BodyTooLargeError(f"The request body unpacks to more than {limit} bytes, which is the limit.")
    return unpacked if unpacking.eof else body
