"""A model behind the SageMaker Inference Toolkit and TorchServe: PyTorch's images.

Source: aws/sagemaker-inference-toolkit, `transformer.py`; pytorch/serve, `ts/context.py` and
`ts/protocol/otf_message_handler.py`.
"""

from __future__ import annotations

import inspect
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from .bodies import TEXT_TYPES
from .context import Context
from .functions import Functions
from .http_messages import Request, Response
from .model import Model, Settings

_TEXT = "text/plain"
_UNSERIALIZABLE = "Unable to serialize model output"


class ToolkitModel(Model):
    """Functions get the request's context as a further argument if they take one; what goes wrong is told as text."""

    def __init__(self, functions: Functions, settings: Settings) -> None:
        self._context = Context(str(settings.model_dir))
        super().__init__(functions, settings)

    def load(self) -> object:
        """The result of `model_fn`, between `pre_model_fn` and `model_warmup_fn`."""
        functions, model_dir = self.functions, str(self.settings.model_dir)
        if functions.pre_model_fn is not None:
            self._run(functions.pre_model_fn, model_dir)
        model: object = self._run(functions.model_fn, model_dir)
        if functions.model_warmup_fn is not None:
            self._run(functions.model_warmup_fn, model_dir, model)
        return model

    def transform(self, request: Request) -> Response:
        """The functions' answer, with the status and the headers that they set on the context."""
        self._context.begin(request.headers)
        content_type, accept = request.headers.get("content-type"), self.accept_of(request)
        body = request.body.decode() if content_type in TEXT_TYPES else request.body
        result = self._result(body, content_type, accept)
        answer, kind = (result[0], result[1]) if isinstance(result, tuple) else (result, accept)
        self._context.set_response_content_type(0, kind)
        return self._response(answer)

    def _result(self, body: str | bytes, content_type: str | None, accept: str) -> Any:
        functions = self.functions
        if functions.transform_fn is not None:
            return self._run(functions.transform_fn, self.model, body, content_type, accept)
        data = self._run(functions.input_fn, body, content_type)
        return self._run(functions.output_fn, self._run(functions.predict_fn, data, self.model), accept)

    def _run(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function, with the context when it takes one argument more."""
        takes = len(inspect.signature(function).parameters)
        if takes not in (len(given), len(given) + 1):
            raise TypeError(f"{function.__name__} takes {takes} arguments but {len(given)} were given.")
        return function(*given, self._context) if takes > len(given) else function(*given)

    def _response(self, answer: Any) -> Response:
        status, headers = self._context.get_response_status(0)[0], dict(self._context.get_response_headers(0))
        kind = headers.pop("content-type")
        try:
            return Response(status, octets(answer), kind, headers)
        except TypeError:
            traceback.print_exc()
            return Response(503, _UNSERIALIZABLE.encode(), _TEXT)

    def failure(self, error: Exception) -> Response:
        """The message and the traceback, with status 500 or that of an error of the toolkit's own kind."""
        traceback.print_exception(error)
        sys.stderr.flush()
        trace = "".join(traceback.format_exception(error))
        own = any(kind.__name__ == "BaseInferenceToolkitError" for kind in type(error).__mro__)
        status, message = (error.status_code, error.message) if own else (500, error)  # type: ignore[attr-defined]
        return Response(int(status), f"{message}\n{trace}".encode(), _TEXT)


def octets(answer: Any) -> bytes:
    """Text and bytes as they are, anything else as indented JSON. TypeError when it is none."""
    if isinstance(answer, str):
        return answer.encode()
    return bytes(answer) if isinstance(answer, (bytes, bytearray)) else json.dumps(answer, indent=2).encode()
