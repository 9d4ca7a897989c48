"""Refuse what a web page could send to a server on loopback, and MiniStack's own unauthenticated paths.

A page on any site can make the browser send requests to 127.0.0.1 (CSRF), and a site whose name is made to resolve to
127.0.0.1 can even read the answers (DNS rebinding). The first carries a foreign `Origin`, the second a foreign `Host`.
"""

from __future__ import annotations

import json

from localaws.ministack_adapter.asgi import Application, Receive, Scope, Send

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "[::1]"}
_HEALTH_PATH = "/_ministack/health"
# Reset, configuration and message dumps, which ask for no credentials.
_ADMIN_PREFIXES = ("/_ministack/", "/_localstack/", "/_aws/ses", "/_aws/sqs")


def guarded(inner: Application) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await inner(scope, receive, send)
            return
        reason = refusal(scope)
        if reason is None:
            # MiniStack must see loopback as secure transport: buckets that deny plain HTTP are reached over it.
            await inner({**scope, "scheme": "https"} if scope["type"] == "http" else scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(send, reason)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    return application


def refusal(scope: Scope) -> str | None:
    """Why this request is refused, or None. Pure."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
    host = headers.get("host", "")
    if not is_loopback(host):
        return f"the Host header names {host!r}; this AWS answers on 127.0.0.1 and localhost only"
    origin = headers.get("origin")
    if origin is not None and not is_loopback(origin.partition("://")[2]):
        return f"the Origin header names {origin!r}; web pages of other sites may not call this AWS"
    path = scope.get("path", "")
    if path.startswith(_ADMIN_PREFIXES) and path != _HEALTH_PATH and not _is_callback(path):
        return f"{path} is an administration path without authentication, and is closed here"
    return None


def is_loopback(host: str) -> bool:
    """Whether a `host[:port]` is this machine. Names under `.localhost` always resolve to loopback (RFC 6761)."""
    name = host.strip().lower()
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    return name in _LOOPBACK_NAMES or name.endswith(".localhost")


def _is_callback(path: str) -> bool:
    """Whether functions and jobs of this AWS use the path themselves, with a secret in it."""
    return path.startswith(("/_ministack/cfn-response/", "/_ministack/cfn-signal/"))


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "message": f"Refused: {reason}."}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
