"""A model behind `sagemaker_containers`, a Flask application: scikit-learn's and XGBoost's images.

Source: aws/sagemaker-containers, `_transformer.py` and `_worker.py`, and what Flask and Werkzeug make of them: whatever
goes wrong is status 500 with a page of HTML, its traceback in the log; a bare text is HTML too.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

from .bodies import JSON, TEXT_TYPES
from .http_messages import Request, Response
from .model import Model

HTML = "text/html; charset=utf-8"
# A request that has this header is answered to the next container of a chain, which must see what Werkzeug makes of it.
PASSED_ON = "x-passed-on"
_ITS_OWN = ("content-type", "content-length")  # of a response's headers, what is said beside them
# Werkzeug's page for InternalServerError.
_PAGE = """<!doctype html>
<html lang=en>
<title>500 Internal Server Error</title>
<h1>Internal Server Error</h1>
<p>The server encountered an internal error and was unable to complete your request. Either the server is \
overloaded or there is an error in the application.</p>
"""


class FlaskModel(Model):
    """Functions get what `sagemaker_containers` gives them; what they return is what Flask takes."""

    answers_others_while_one_waits = True
    _told: frozenset[str] = frozenset()

    def transform(self, request: Request) -> Response:
        """The functions' answer."""
        functions, accept = self.functions, self.accept_of(request)
        content_type = request.headers.get("content-type") or JSON
        body = request.body.decode(errors="replace") if content_type in TEXT_TYPES else request.body
        if functions.transform_fn is not None:
            result = functions.transform_fn(self.model, body, content_type, accept)
        else:
            data = functions.input_fn(body, content_type)
            result = functions.output_fn(functions.predict_fn(data, self.model), accept)
        if PASSED_ON in request.headers:
            return response_of(_with_charset(result))
        self._tell_of(result)
        return response_of(result)

    def execution_parameters(self) -> Response | None:
        """What the program's `execution_parameters_fn` returns (sagemaker-scikit-learn-container, `serving.py`)."""
        function = self.functions.execution_parameters_fn
        if function is None:
            return None
        try:
            return response_of(function())
        except Exception as error:  # noqa: BLE001 - whatever it raises becomes an answer, its traceback log lines
            return self.failure(error)

    def failure(self, error: Exception) -> Response:
        """Flask's page; the traceback is logged."""
        print("Exception on /invocations [POST]", file=sys.stderr)  # noqa: T201 - a container's log
        traceback.print_exception(error)
        sys.stderr.flush()
        return Response(500, _PAGE.encode(), HTML)

    def _tell_of(self, result: Any) -> None:
        """Say in the log, once, where the content type that the caller sees isn't what the function seems to say."""
        note = note_on(result)
        if note and note not in self._told:
            self._told |= {note}
            print(note, file=sys.stderr, flush=True)  # noqa: T201 - a container's log


def note_on(result: Any) -> str | None:
    """A sentence on an answer whose content type surprises in AWS."""
    if isinstance(result, (str, bytes)):
        return (
            "output_fn returned no content type with its text, so it is answered as text/html: return (text, accept)."
        )
    if _gets_a_charset(result):
        return (
            f"AWS's image says {result[1]}; charset=utf-8 for {result[1]} (Werkzeug adds it); here it stays as it is."
        )
    return None


def _gets_a_charset(result: Any) -> bool:
    return isinstance(result, tuple) and str(result[1]).startswith("text/") and "charset" not in str(result[1])


def _with_charset(result: Any) -> Any:
    """A result whose content type is as Werkzeug says it."""
    return (result[0], f"{result[1]}; charset=utf-8") if _gets_a_charset(result) else result


def response_of(result: Any) -> Response:
    """What Flask makes of a function's result: (body, content type), text, JSON, or a response object."""
    if isinstance(result, tuple):
        return Response(200, _octets(result[0]), str(result[1] or JSON))
    if isinstance(result, (str, bytes, bytearray)):
        return Response(200, _octets(result), HTML)
    if isinstance(result, (dict, list)):
        return Response(200, f"{json.dumps(result, sort_keys=True, separators=(',', ':'))}\n".encode(), JSON)
    if hasattr(result, "get_data") and hasattr(result, "status_code"):
        more = {name: value for name, value in result.headers.items() if name.lower() not in _ITS_OWN}
        return Response(result.status_code, result.get_data(), result.content_type, more)
    raise TypeError(f"output_fn returned {type(result).__name__}; it must return (body, content type)")


def _octets(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    parts = [_part(part) for part in body]
    return b"".join(parts)


def _part(part: Any) -> bytes:
    if not isinstance(part, (str, bytes)):
        raise TypeError(f"a body is text or bytes, or a sequence of these; it holds {type(part).__name__}")
    return part.encode() if isinstance(part, str) else part
