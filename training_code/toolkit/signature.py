"""`@signed` on a model's last function: every answer of the endpoint says which model package gave it.

    from toolkit.signature import signed

    @signed
    def output_fn(prediction, accept):
        return text, "text/csv"

An update of an endpoint that was rolled back looks like one that succeeded, and an old fleet may answer beside a new
one: the endpoint's description doesn't tell whose answer it is. The name stands in the header CustomAttributes, which
AWS's SDKs give back (InvokeEndpoint, API reference). Verify reads it, and so may a caller.

AWS's containers take a header in two ways. scikit-learn's and XGBoost's hand what the function returns to Flask, which
takes a response (aws/sagemaker-containers, `_transformer.py`); PyTorch's hands the function a context, on which it is
set (aws/sagemaker-inference-toolkit, `transformer.py`). Where no run has deployed the model, in an evaluation for
instance, the function is left as it is.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

from contract.signatures import HEADER, MODEL_PACKAGE
from contract.signatures import signed as with_signature

# The image's own variable, whose value begins with the name of the framework's container.
_SERVING_MODULE = "SAGEMAKER_SERVING_MODULE"
_PYTORCH = "sagemaker_pytorch"
# What Flask says of a text without a type.
_HTML = "text/html; charset=utf-8"


def signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose answers name their model package; itself where there is none."""
    package = os.environ.get(MODEL_PACKAGE)
    if not package:
        return function
    if os.environ.get(_SERVING_MODULE, "").startswith(_PYTORCH):
        return _on_context(function, package)
    return _as_response(function, package)


def _on_context(function: Callable[..., Any], package: str) -> Callable[..., Any]:
    """The inference toolkit gives its context to a function with one parameter more."""
    parameters = list(inspect.signature(function).parameters.values())
    takes_context = "context" in [parameter.name for parameter in parameters]
    given = len(parameters) - takes_context

    def answering(*arguments: Any) -> Any:
        answer = function(*arguments[: len(parameters)])
        if len(arguments) > given:
            context = arguments[given]
            own = context.get_response_headers(0).get(HEADER.lower(), "")
            context.set_response_header(0, HEADER, with_signature(package, own))
        return answer

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    shown = parameters if takes_context else [*parameters, context]
    answering.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    answering.__name__ = function.__name__
    return answering


def _as_response(function: Callable[..., Any], package: str) -> Callable[..., Any]:
    def answering(*arguments: Any) -> Any:
        return _response(function(*arguments), package)

    answering.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    answering.__name__ = function.__name__
    return answering


def _response(answer: Any, package: str) -> Any:
    """What a function returned, with the header; what is no answer of a kind that is known stays as it is."""
    headers = getattr(answer, "headers", None)
    if headers is not None:
        headers[HEADER] = with_signature(package, headers.get(HEADER, ""))
        return answer
    body, kind = answer[:2] if isinstance(answer, tuple) else (answer, _HTML)
    if not isinstance(body, (str, bytes)) or not kind:
        return answer
    return Response(body.encode() if isinstance(body, str) else body, str(kind), {HEADER: with_signature(package)})


class Response:
    """An answer with headers: an application of WSGI, which Flask takes for a response, with a response's members."""

    status_code = 200

    def __init__(self, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self.body, self.content_type, self.headers = body, content_type, headers

    def get_data(self) -> bytes:
        """The body."""
        return self.body

    def __call__(self, _environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        told = {"Content-Type": self.content_type, "Content-Length": str(len(self.body)), **self.headers}
        start("200 OK", list(told.items()))
        return [self.body]
