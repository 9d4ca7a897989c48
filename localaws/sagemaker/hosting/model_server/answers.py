"""Answers to the requests of one connection: the model's, or why there is none."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import traceback
from pathlib import Path

from .bodies import JSON
from .errors import ModelServerError
from .http_messages import Request, Response, head, read_request
from .model import Model

_HERE = Path(__file__).parent


def answer(model: Model, request: Request) -> Response:
    """The response to one request; nothing that user code raises gets past here."""
    if request.path == "/ping":
        return Response(200)
    if request.path != "/invocations":
        return failure(404, f"There is no {request.path} here, only /ping and /invocations.")
    if request.method != "POST":
        return failure(405, "/invocations takes POST.")
    content_type = request.headers.get("content-type") or JSON
    try:
        return Response(200, *model.invoke(request.body, content_type, request.headers.get("accept", "")))
    except Exception as error:  # noqa: BLE001 - whatever serve.py raises becomes an answer, and its traceback a log line
        return failure_of(error)


def failure_of(error: Exception) -> Response:
    """An exception as a response, with its own `status_code` when it has one, else 500; its traceback is logged."""
    status = getattr(error, "status_code", None)
    if isinstance(error, ModelServerError):
        return failure(error.status_code, str(error))
    traceback.print_exception(error)
    sys.stderr.flush()
    is_http = isinstance(status, int) and 400 <= status <= 599
    return failure(status if is_http and status else 500, f"{type(error).__name__}: {error}{place_of(error)}")


def place_of(error: Exception) -> str:
    """` (predict_fn, serve.py line 12)`: the innermost line that isn't the server's own."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent != _HERE]
    user = [f for f in frames if "site-packages" not in f.filename] or frames
    return f" ({user[-1].name}, {Path(user[-1].filename).name} line {user[-1].lineno})" if user else ""


def failure(status: int, message: str) -> Response:
    """An error body, as JSON."""
    return Response(status, json.dumps({"error": message}).encode())


def serve_connection(model: Model, connection: socket.socket) -> None:
    """Answer requests on one connection until the other side closes it."""
    with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
        while True:
            try:
                request = read_request(stream, connection)
            except (ModelServerError, ValueError) as error:  # what follows on this connection can't be trusted
                response = failure(getattr(error, "status_code", 400), str(error))
                connection.sendall(head(response) + response.body)
                return
            if request is None:
                return
            response = answer(model, request)
            connection.sendall(head(response) + response.body)
