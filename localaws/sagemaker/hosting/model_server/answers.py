"""Answers to the requests of one connection: the model's, or why there is none."""

from __future__ import annotations

import contextlib
import json
import socket

from .errors import ModelServerError
from .http_messages import Request, Response, head, read_request
from .model import Model


def answer(model: Model, request: Request) -> Response:
    """The response to one request."""
    if request.path == "/ping":
        return Response(200)
    if request.path == "/execution-parameters" and (told := model.execution_parameters()) is not None:
        return told
    if request.path != "/invocations":
        return failure(404, f"There is no {request.path} here, only /ping and /invocations.")
    if request.method != "POST":
        return failure(405, "/invocations takes POST.")
    return model.respond(request)


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
