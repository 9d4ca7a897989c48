"""The registry protocol over HTTP: an ASGI application, which holds no blob in memory.

What a request's sender may do is asked of `authorize`, before anything is read of its body.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from localaws.registry import manifests, operations, protocol, refusals
from localaws.registry.blobs import CHUNK, DIGEST, OutOfOrderError, UploadGoneError
from localaws.registry.protocol import Call
from localaws.registry.refusals import RegistryError
from localaws.registry.service import Registry
from localaws.registry.tokens import Owner

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Raises RegistryError where an owner may not do what a call is to IAM.
Authorize = Callable[[Owner, Call], None]

_API = ("Docker-Distribution-Api-Version", "registry/2.0")


class DisconnectedError(Exception):
    """The sender of a body is gone before its end."""


class Serving:
    """The ASGI application of a registry."""

    def __init__(self, registry: Registry, authorize: Authorize) -> None:
        self._registry = registry
        self._authorize = authorize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _Request(scope, receive, send)
        try:
            await self._answer(request)
        except RegistryError as refused:
            code, status = refused.of_protocol
            await request.refuse(status, code, refused.message)
        except DisconnectedError:
            return

    async def _answer(self, request: _Request) -> None:
        call = protocol.call_of(request.method, request.path)
        granted = call is not None and call.does == "read_blob"
        if not (granted and self._registry.tokens.is_granted(request.path, request.query, time.time())):
            owner = self._registry.tokens.owner(request.headers.get("authorization", ""), time.time())
            if owner is None:
                await self._challenge(request)
                return
            if call is not None:
                self._authorize(owner, call)
        if protocol.is_ping(request.path):
            await request.answer(200, {"Content-Type": "application/json"}, b"{}")
        elif call is None:
            await request.refuse(405, "UNSUPPORTED", "The operation is unsupported.")
        else:
            self._registry.images.repository(call.repository)
            await getattr(self, f"_{call.does}")(request, call)

    async def _challenge(self, request: _Request) -> None:
        realm = f'Basic realm="https://{self._registry.host}/",service="ecr.amazonaws.com"'
        await request.answer(401, {"Www-Authenticate": realm, "Content-Type": "text/plain"}, b"Not Authorized\n")

    # --------------------------------------------------------------------------------------------------- manifests

    async def _read_manifest(self, request: _Request, call: Call) -> None:
        digest, image = self._registry.images.require(call.repository, _image_id(call.reference))
        if request.method == "GET":
            self._registry.images.pulled(image)
        headers = {"Content-Type": image["mediaType"], "Docker-Content-Digest": digest}
        await request.answer(200, headers, image["manifest"].encode())

    async def _write_manifest(self, request: _Request, call: Call) -> None:
        text = b"".join([b"".join(pieces) async for pieces in request.pieces(manifests.LARGEST)])
        tag = None if DIGEST.fullmatch(call.reference) else call.reference
        if tag is not None:
            operations.check_tag(tag)
        elif (found := f"sha256:{hashlib.sha256(text).hexdigest()}") != call.reference:
            told = f"The manifest's digest is '{found}', not '{call.reference}'"
            raise RegistryError("ImageDigestDoesNotMatchException", told)
        kind = request.headers.get("content-type", "").partition(";")[0].strip() or None
        digest = manifests.read(text, kind).digest
        try:
            self._registry.images.put(call.repository, text, kind, tag)
        except RegistryError as error:
            if error.code != "ImageAlreadyExistsException":
                raise
        place = {"Location": f"/v2/{call.repository}/manifests/{digest}", "Docker-Content-Digest": digest}
        await request.answer(201, place)

    async def _list_tags(self, request: _Request, call: Call) -> None:
        tags = sorted(tag for _, image in self._registry.images.images(call.repository) for tag in image["tags"])
        after = [tag for tag in tags if tag > request.query.get("last", "")]
        most = request.query.get("n", "")
        listed = after[: int(most)] if most.isascii() and most.isdigit() else after
        document = json.dumps({"name": call.repository, "tags": listed}).encode()
        await request.answer(200, {"Content-Type": "application/json"}, document)

    # ------------------------------------------------------------------------------------------------------- blobs

    async def _find_blob(self, request: _Request, call: Call) -> None:
        await request.answer(200, self._blob_headers(call))

    def _blob_headers(self, call: Call) -> dict[str, str]:
        size = self._registry.images.blob_size(call.repository, call.reference)
        if size is None:
            raise refusals.no_layer(call.reference, call.repository, self._registry.images.registry)
        kind = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": call.reference}
        return {**kind, "Content-Length": str(size)}

    async def _read_blob(self, request: _Request, call: Call) -> None:
        headers = self._blob_headers(call)
        with self._registry.images.blobs.path(call.reference).open("rb") as file:
            await request.start(200, headers)
            while piece := await asyncio.to_thread(file.read, CHUNK):
                await request.send({"type": "http.response.body", "body": piece, "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})

    # ----------------------------------------------------------------------------------------------------- uploads

    async def _begin_upload(self, request: _Request, call: Call) -> None:
        upload = self._registry.images.blobs.begin(call.repository)
        if "digest" in request.query:
            await self._finish(request, call, upload)
        else:
            await self._tell(request, call, upload, 202)

    async def _append_upload(self, request: _Request, call: Call) -> None:
        self._require_upload(call)
        await self._take(request, call, call.reference, _first_byte(request.headers.get("content-range")))
        await self._tell(request, call, call.reference, 202)

    async def _tell_upload(self, request: _Request, call: Call) -> None:
        self._require_upload(call)
        await self._tell(request, call, call.reference, 204)

    async def _cancel_upload(self, request: _Request, call: Call) -> None:
        self._require_upload(call)
        self._registry.images.blobs.cancel(call.reference)
        await request.answer(204, {})

    async def _finish_upload(self, request: _Request, call: Call) -> None:
        self._require_upload(call)
        await self._finish(request, call, call.reference)

    async def _finish(self, request: _Request, call: Call, upload: str) -> None:
        digest = request.query.get("digest", "")
        if not DIGEST.fullmatch(digest):
            raise RegistryError("InvalidLayerException", f"'{digest}' is no digest, sha256:<64 hexadecimal digits>")
        await self._take(request, call, upload, None)
        self._registry.images.finish_upload(call.repository, upload, digest)
        place = {"Location": f"/v2/{call.repository}/blobs/{digest}", "Docker-Content-Digest": digest}
        await request.answer(201, place)

    async def _take(self, request: _Request, call: Call, upload: str, first: int | None) -> None:
        """Write a body to an upload. A body that is cut off leaves what came of it, as the upload's size says."""
        blobs = self._registry.images.blobs
        async for pieces in request.pieces():
            try:
                await asyncio.to_thread(blobs.append, upload, pieces, first)
            except OutOfOrderError as error:
                told = f"The upload has {error.size} bytes; what comes next begins there"
                raise RegistryError("InvalidLayerPartException", told) from None
            except UploadGoneError:
                raise refusals.no_upload(upload, call.repository, self._registry.images.registry) from None
            first = None

    def _require_upload(self, call: Call) -> None:
        if self._registry.images.blobs.size(call.reference, call.repository) is None:
            raise refusals.no_upload(call.reference, call.repository, self._registry.images.registry)

    async def _tell(self, request: _Request, call: Call, upload: str, status: int) -> None:
        size = self._registry.images.blobs.size(upload, call.repository) or 0
        place = {"Location": f"/v2/{call.repository}/blobs/uploads/{upload}", "Docker-Upload-UUID": upload}
        await request.answer(status, {**place, "Range": f"0-{max(0, size - 1)}"})


def _image_id(reference: str) -> dict[str, str]:
    return {"imageDigest" if DIGEST.fullmatch(reference) else "imageTag": reference}


def _first_byte(content_range: str | None) -> int | None:
    """Where a piece begins, by its Content-Range, `<start>-<end>`."""
    start = (content_range or "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isascii() and start.isdigit() else None


class _Request:
    """A request with its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        self.send = send
        self._receive = receive

    async def pieces(self, most: int | None = None) -> AsyncIterator[list[bytes]]:
        """The body as it comes, so much at a time that a step to another thread is worth it."""
        pieces, size, total, more = list[bytes](), 0, 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            pieces.append(message.get("body", b""))
            size, total = size + len(pieces[-1]), total + len(pieces[-1])
            if most is not None and total > most:
                raise RegistryError("InvalidParameterException", f"The manifest is larger than {most} bytes")
            more = message.get("more_body", False)
            if size >= CHUNK or not more:
                yield pieces
                pieces, size = [], 0

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """Begin an answer."""
        sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in [_API, *headers.items()]]
        await self.send({"type": "http.response.start", "status": status, "headers": sent})

    async def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Answer with a body; to HEAD without it."""
        length = {} if status == 204 else {"Content-Length": str(len(body))}
        await self.start(status, {**length, **headers})
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def refuse(self, status: int, code: str, message: str) -> None:
        """Answer with an error, as "Error Codes" of the specification has it."""
        document = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        await self.answer(status, {"Content-Type": "application/json; charset=utf-8"}, document)
