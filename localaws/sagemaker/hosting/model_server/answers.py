"""Answers to requests: the model's, or why there is none."""

from __future__ import annotations

import json

from .http_messages import Request, Response

PING, INVOCATIONS = "/ping", "/invocations"


def without_the_model(request: Request) -> Response | None:
    """The response to what isn't for the model; None for what only the model can answer."""
    if request.path == PING:
        return Response(200)
    if request.path != INVOCATIONS:
        return failure(404, f"There is no {request.path} here, only {PING} and {INVOCATIONS}.")
    return None if request.method == "POST" else failure(405, f"{INVOCATIONS} takes POST.")


def failure(status: int, message: str) -> Response:
    """An error body, as JSON."""
    return Response(status, json.dumps({"error": message}).encode())


LOADING = failure(503, "The model is still being loaded.")
