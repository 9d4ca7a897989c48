"""Errors in the protocol of the service that a request is for."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qs

from localaws.ministack_adapter.asgi import Scope, Send

Response = tuple[int, dict[str, str], bytes]


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """A request's headers, their names in lower case."""
    return {name.lower(): value for name, value in scope.get("headers", [])}


async def refuse(scope: Scope, send: Send, status: int, code: str, message: str) -> None:
    """Answer a request with an error, and take nothing more from its connection."""
    from ministack.core.router import detect_service

    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers_of(scope).items()}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    service = detect_service(scope["method"], scope["path"], headers, query)
    _, told, body = error(service, status, code, message, headers)
    head = {**told, "content-length": str(len(body)), "connection": "close"}
    sent = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def error(service: str, status: int, code: str, message: str, headers: dict[str, str]) -> Response:
    """An error as MiniStack words its refusals for the service: JSON, XML, or CBOR where the request is."""
    from ministack.core.iam_actions import access_denied_response

    answer: tuple[int, dict[str, str], Any] = access_denied_response(
        service, "", "", str(uuid.uuid4()), error_code=code, message=message, headers=headers
    )
    return status, answer[1], answer[2]
