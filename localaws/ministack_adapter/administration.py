"""Requests of the person who runs this AWS, which AWS itself doesn't have: to interrupt a spot instance.

They carry the root user's secret key, which only this machine's user can read; the guard has turned away what a web
page could send before they are looked at.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

from localaws.ministack_adapter.asgi import Application, Receive, Scope, Send
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.server_file import root_key
from localaws.spot_command import PATH as INTERRUPTIONS

PREFIX = "/_localaws/"
Document = dict[str, Any]
_MAX_BODY = 1 << 16  # bytes
_FIELDS = {"TrainingJobName", "notice", "absence"}


def install(aws: EmbeddedAws) -> None:
    expected = f"Bearer {root_key(aws.state_dir).secret_access_key}".encode()

    def with_administration(inner: Application) -> Application:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
                await inner(scope, receive, send)
                return
            body = await _body(receive)
            if not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), expected):
                status, answer = 403, {"message": "administration asks for the root user's secret access key"}
            else:
                status, answer = await asyncio.to_thread(_answer, aws, scope["method"], scope["path"], body)
            await _send(send, status, answer)

        return application

    aws.wrap(with_administration)


def _answer(aws: EmbeddedAws, method: str, path: str, body: bytes) -> tuple[int, Document]:
    from localaws.sagemaker.core.errors import SageMakerError

    if (method, path) != ("POST", INTERRUPTIONS):
        return 404, {"message": f"there is no {method} {path} here"}
    try:
        name, interruption = _interruption(body)
        aws.sagemaker.interrupt(name, interruption)
    except ValueError as error:
        return 400, {"message": str(error)}
    except SageMakerError as error:
        return 400, {"message": error.message}
    return 200, {"TrainingJobName": name}


def _interruption(body: bytes) -> tuple[str, Any]:
    """The job's name and its interruption. Raises ValueError."""
    from localaws.sagemaker.jobs.spot_market import Interruption

    try:
        document = json.loads(body)
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("TrainingJobName"), str):
        raise ValueError('the body must be an object with a TrainingJobName, as {"TrainingJobName": "my-job"}')
    if unknown := sorted(set(document) - _FIELDS):
        raise ValueError(f"unknown members {', '.join(unknown)}; there are {', '.join(sorted(_FIELDS))}")
    given = {key: value for key, value in document.items() if key != "TrainingJobName"}
    return document["TrainingJobName"], Interruption(**given)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) <= _MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(send: Send, status: int, answer: Document) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
