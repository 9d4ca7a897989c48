"""The loaded model: where it comes from, and how a request goes through its functions."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .bodies import JSON, as_received
from .functions import Functions, functions_of, import_program


class Model:
    """A loaded model behind its functions. One request at a time, as one worker of the framework containers."""

    def __init__(self, functions: Functions, model_dir: Path, default_accept: str = JSON) -> None:
        self._functions = functions
        self._default_accept = default_accept
        self._model = functions.model_fn(str(model_dir))
        self._turn = threading.Lock()

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """(body, content type) of the answer. An exception of the user's functions passes through."""
        wanted = accept if accept not in {"", "*/*"} else self._default_accept
        with self._turn:
            return as_response(self._transform(body, content_type, wanted), wanted)

    def _transform(self, body: bytes, content_type: str, accept: str) -> Any:
        functions = self._functions
        received = as_received(body, content_type)
        if functions.transform_fn is not None:
            return functions.transform_fn(self._model, received, content_type, accept)
        data = functions.input_fn(received, content_type)
        return functions.output_fn(functions.predict_fn(data, self._model), accept)


def as_response(result: Any, accept: str) -> tuple[bytes, str]:
    """The return value of `output_fn` as bytes and their type: it may return text, bytes, or either with its type."""
    body, content_type = result if isinstance(result, tuple) and len(result) == 2 else (result, accept)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, (bytes, bytearray, memoryview)):
        kind = type(body).__name__
        raise TypeError(f"output_fn must return text or bytes, alone or as (body, content_type); it returned {kind}")
    return bytes(body), str(content_type)


def settings_of(environment: Mapping[str, str]) -> tuple[Path, Path, str, str]:
    """(model directory, code directory, program, default accept), from the container's variables.

    SAGEMAKER_SUBMIT_DIRECTORY is a path here; the platform has fetched an `s3://` one before it started the container.
    """
    base = Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    model_dir = base / "model"
    submitted = environment.get("SAGEMAKER_SUBMIT_DIRECTORY") or "/opt/ml/model/code"
    inside = submitted.removeprefix("/opt/ml/")
    code_dir = base / inside if inside != submitted else Path(submitted)
    program = environment.get("SAGEMAKER_PROGRAM") or "inference.py"  # the framework containers' default
    return model_dir, code_dir, program, environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON


def load(environment: Mapping[str, str]) -> Model:
    """Import the program and load the model, as the environment says."""
    started = time.perf_counter()
    model_dir, code_dir, program, accept = settings_of(environment)
    model = Model(functions_of(import_program(code_dir, program)), model_dir, accept)
    print(f"Loaded {model_dir} with {program} in {time.perf_counter() - started:.2f} s.", flush=True)  # noqa: T201
    return model
