"""Answers to requests: the model's, or why there is none."""

from __future__ import annotations

import json

from .http_messages import Request, Response
from .model import Model

PING, INVOCATIONS, EXECUTION_PARAMETERS = "/ping", "/invocations", "/execution-parameters"


def without_the_model(request: Request) -> Response | None:
    """The response to what isn't for the model; None for what only the model can answer."""
    if request.path == PING:
        return Response(200)
    if request.path == EXECUTION_PARAMETERS:
        return None
    if request.path != INVOCATIONS:
        return _not_found(request)
    return None if request.method == "POST" else failure(405, f"{INVOCATIONS} takes POST.")


def of_the_model(model: Model, request: Request) -> Response:
    """The model's response to what is for it."""
    if request.path == EXECUTION_PARAMETERS:
        return model.execution_parameters() or _not_found(request)
    return model.respond(request)


def failure(status: int, message: str) -> Response:
    """An error body, as JSON."""
    return Response(status, json.dumps({"error": message}).encode())


LOADING = failure(503, "The model is still being loaded.")


def _not_found(request: Request) -> Response:
    return failure(404, f"There is no {request.path} here, only {PING} and {INVOCATIONS}.")
