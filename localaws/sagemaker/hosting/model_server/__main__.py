"""The server in a model container: `/ping` and `/invocations` around the functions of the user's `serve.py`.

It runs inside the image's own environment, started as a file, so it imports nothing but the standard library and,
when a default needs it, the image's numpy. Its contract is that of SageMaker's framework containers (developer guide,
"Use Your Own Inference Code with Hosting Services", and the inference toolkit's four functions):

    model_fn(model_dir) -> model                         required
    input_fn(request_body, content_type) -> data         default: CSV, JSON and NPY become a numpy array
    predict_fn(data, model) -> prediction                default: `model.predict`, or calling the model
    output_fn(prediction, accept) -> body or (body, type)    default: JSON, CSV or NPY
    transform_fn(model, request_body, content_type, accept)  instead of the last three

Connections come one by one through a socket that the platform holds the other end of (`--control-fd`), so that a model
has no address that anybody else could reach; `--port` serves on loopback instead, to try a model by hand.
The process ends with the platform: the control socket's end of file kills its process group.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import inspect
import io
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
MAX_LINE = 64 * 1024
MAX_BODY = 32 * 1024 * 1024  # above what InvokeEndpoint lets through (25 MB, SageMaker quotas page)
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable"}
REASONS |= {411: "Length Required", 413: "Payload Too Large", 415: "Unsupported Media Type"}


class ModelServerError(Exception):
    """An answer that isn't 200: the status and the sentence that the caller reads as OriginalMessage."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class StartError(Exception):
    """The container can't serve this model: what is missing, and where it was looked for."""


# --- bodies ----------------------------------------------------------------------------------------------------------


def media_type(header: str) -> str:
    """`text/csv; charset=utf-8` -> `text/csv`."""
    return header.partition(";")[0].strip().lower()


def as_received(body: bytes, content_type: str) -> str | bytes:
    """The body as the framework containers hand it to `input_fn`: CSV and JSON as text, anything else as bytes.

    Source: `transformer.py` of the SageMaker Inference Toolkit, which decodes `content_types.UTF8_TYPES`.
    """
    if media_type(content_type) not in {CSV, JSON}:
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelServerError(400, f"The body is not valid {media_type(content_type)}: {error}") from error


def decode(body: str | bytes, content_type: str) -> Any:
    """A request body as a numpy array, exactly as the framework containers' default does it (`decoder.py`).

    CSV has no header, and one line gives one dimension; JSON is a (nested) list; both become float32. NPY is taken
    as it is, but without pickles, which would run the caller's code.
    """
    decoder = _DECODERS.get(media_type(content_type))
    if decoder is None:
        known = ", ".join(_DECODERS)
        raise ModelServerError(415, f"Content type {content_type!r} is not supported here; it can be one of {known}.")
    try:
        return decoder(body)
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ModelServerError(400, f"The body is not valid {media_type(content_type)}: {error}") from error


def _numpy() -> Any:
    """The image's numpy, imported only when a default needs it."""
    return importlib.import_module("numpy")


def _decode_csv(body: str | bytes) -> Any:
    text = body if isinstance(body, str) else body.decode("utf-8")
    if not text.strip():
        raise ValueError("it is empty")
    return _numpy().genfromtxt(io.StringIO(text), delimiter=",", dtype="float32")


def _decode_json(body: str | bytes) -> Any:
    return _numpy().array(json.loads(body), dtype="float32")


def _decode_npy(body: str | bytes) -> Any:
    content = body.encode("latin-1") if isinstance(body, str) else body
    return _numpy().load(io.BytesIO(content), allow_pickle=False)


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A prediction as (body, content type): the first type of `accept` that is known; JSON for `*/*` or nothing."""
    for wanted in accept.split(","):
        kind = media_type(wanted)
        encoder = _ENCODERS.get(JSON if kind in {"", "*/*", "application/*"} else kind)
        if encoder is not None:
            return encoder(prediction)
    raise ModelServerError(406, f"Accept {accept!r} is not supported here; it can be one of {', '.join(_ENCODERS)}.")


def _plain(value: Any) -> Any:
    """Arrays and tensors as lists, for JSON."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return value.tolist() if hasattr(value, "tolist") else value


def _encode_json(prediction: Any) -> tuple[bytes, str]:
    return json.dumps(_plain(prediction), default=_plain).encode(), JSON


def _encode_csv(prediction: Any) -> tuple[bytes, str]:
    """One example a line, numbers as they print themselves."""
    values = prediction.detach().cpu().numpy() if hasattr(prediction, "detach") else prediction
    rows = values if _is_sequence(values) else [values]
    lines = [",".join(map(str, row)) if _is_sequence(row) else str(row) for row in rows]
    return ("\n".join(lines) + "\n").encode(), CSV


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str) and getattr(value, "ndim", 1) > 0


def _encode_npy(prediction: Any) -> tuple[bytes, str]:
    numpy = _numpy()
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.asarray(_plain(prediction)), allow_pickle=False)
    return buffer.getvalue(), NPY


_DECODERS: dict[str, Callable[[str | bytes], Any]] = {CSV: _decode_csv, JSON: _decode_json, NPY: _decode_npy}
_ENCODERS: dict[str, Callable[[Any], tuple[bytes, str]]] = {JSON: _encode_json, CSV: _encode_csv, NPY: _encode_npy}


# --- the model and its four functions --------------------------------------------------------------------------------


def default_predict(data: Any, model: Any) -> Any:
    """`model.predict(data)`, a Booster's with a DMatrix, a torch module's call in inference mode, or `model(data)`."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        with torch.inference_mode():
            return model.eval()(torch.as_tensor(data))
    if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
        return model.predict(sys.modules["xgboost"].DMatrix(data))
    return model.predict(data) if hasattr(model, "predict") else model(data)


@dataclass(frozen=True)
class Functions:
    """What `serve.py` defines, completed by the defaults."""

    model_fn: Callable[[str], Any]
    input_fn: Callable[[str | bytes, str], Any] = decode
    predict_fn: Callable[[Any, Any], Any] = default_predict
    output_fn: Callable[[Any, str], Any] = encode
    transform_fn: Callable[[Any, str | bytes, str, str], Any] | None = None


def functions_of(module: ModuleType) -> Functions:
    """The functions of an imported `serve.py`. StartError without `model_fn`, or with both ways to transform."""
    names = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
    found = {name: getattr(module, name) for name in names if callable(getattr(module, name, None))}
    if "model_fn" not in found:
        raise StartError(
            f"{module.__file__} defines no model_fn(model_dir), so there is nothing to load the model with"
        )
    replaced = sorted(set(found) - {"model_fn", "transform_fn"})
    if "transform_fn" in found and replaced:
        raise StartError(f"{module.__file__} defines both transform_fn and {', '.join(replaced)}, which it replaces")
    arguments = {"model_fn": 1, "transform_fn": 4}
    return Functions(**{name: without_context(function, arguments.get(name, 2)) for name, function in found.items()})


def without_context(function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    """Newer containers pass a last argument `context` to functions that take one; here it is None."""
    try:
        takes = len(inspect.signature(function).parameters)
    except ValueError:  # some functions written in C don't tell
        return function
    return (lambda *given: function(*given, None)) if takes == arguments + 1 else function


def import_program(directory: Path, program: str) -> ModuleType:
    """`program` (a file name) of the code directory as a module, which may import what lies beside it."""
    path = directory / program
    if not path.is_file():
        raise StartError(f"SAGEMAKER_PROGRAM is {program!r}, but there is no such file in {directory}")
    sys.path.insert(0, str(directory))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise StartError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


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
    """What `output_fn` returned, as bytes and their type: it may return text, bytes, or either with its type."""
    body, content_type = result if isinstance(result, tuple) and len(result) == 2 else (result, accept)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, (bytes, bytearray, memoryview)):
        kind = type(body).__name__
        raise TypeError(f"output_fn must return text or bytes, alone or as (body, content_type); it returned {kind}")
    return bytes(body), str(content_type)


# --- HTTP/1.1 --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = JSON


def read_request(stream: BinaryIO, connection: socket.socket) -> Request | None:
    """The next request of a keep-alive connection; None when the other side closed it."""
    first = stream.readline(MAX_LINE).split()
    if len(first) != 3:
        return None
    headers = read_headers(stream)
    if "transfer-encoding" in headers:
        raise ModelServerError(411, "Send a Content-Length; chunked bodies are not supported here.")
    length = int(headers.get("content-length") or 0)
    if length > MAX_BODY:
        raise ModelServerError(413, f"The body has {length} bytes; the limit is {MAX_BODY}.")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(length) if length else b""
    return Request(first[0].decode("latin-1"), first[1].decode("latin-1").partition("?")[0], headers, body)


def read_headers(stream: BinaryIO) -> dict[str, str]:
    """Header lines up to the empty one."""
    headers: dict[str, str] = {}
    while True:
        line = stream.readline(MAX_LINE)
        if line in {b"\r\n", b"\n", b""}:
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()


def head(response: Response) -> bytes:
    """Status line and headers."""
    reason = REASONS.get(response.status, "Error")
    return (
        f"HTTP/1.1 {response.status} {reason}\r\nContent-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n\r\n"
    ).encode("latin-1", "replace")


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
    """` (predict_fn, serve.py line 12)`: the innermost line that isn't this file's."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
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


# --- connections and life --------------------------------------------------------------------------------------------


def connections_of_control(control: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
    """Take the connections that the platform passes; returns when it closed its end, or died."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        for descriptor in descriptors:
            on_connection(socket.socket(fileno=descriptor))
        if not message:
            return


def connections_of_port(port: int, on_connection: Callable[[socket.socket], None]) -> None:
    """Accept connections on loopback until a signal ends the process."""
    with socket.create_server(("127.0.0.1", port)) as server:
        print(f"Serving on http://127.0.0.1:{server.getsockname()[1]}", flush=True)  # noqa: T201 - a container's log
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            on_connection(connection)


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


def load_or_exit(environment: Mapping[str, str]) -> Model:
    """The model; or exit status 1 with the reason in the log, which the platform takes for an unhealthy container."""
    try:
        return load(environment)
    except StartError as error:
        print(f"The container can't start: {error}.", file=sys.stderr, flush=True)  # noqa: T201
    except Exception:  # noqa: BLE001 - whatever the user's code raises while it is imported or loads
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def end_with_platform(control: socket.socket, incoming: queue.SimpleQueue[socket.socket]) -> None:
    """Take connections; when the platform is gone, so is this whole process group, the user's children included."""
    with contextlib.suppress(OSError):
        connections_of_control(control, incoming.put)
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def serve_platform(control: socket.socket) -> None:
    """Load first, then answer: a connection's first /ping is answered as soon as the model can be asked."""
    incoming: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
    in_thread(end_with_platform, control, incoming)
    model = load_or_exit(os.environ)
    while True:
        in_thread(serve_connection, model, incoming.get())


def in_thread(target: Callable[..., None], *arguments: Any) -> None:
    """Run it in a thread that doesn't keep the process alive."""
    threading.Thread(target=target, args=arguments, daemon=True).start()


def main() -> None:
    """The command line: where connections come from."""
    parser = argparse.ArgumentParser(description="Serve the model of /opt/ml/model with its serve.py")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--control-fd", type=int, help="socket on which the platform passes connections")
    where.add_argument("--port", type=int, help="loopback port to serve on (0: a free one)")
    options = parser.parse_args()
    if options.port is None:
        serve_platform(socket.socket(fileno=options.control_fd))
        return
    model = load_or_exit(os.environ)
    connections_of_port(options.port, lambda connection: in_thread(serve_connection, model, connection))


if __name__ == "__main__":
    main()
