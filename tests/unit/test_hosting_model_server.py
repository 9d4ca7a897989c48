"""The model server's protocol and its defaults, without a process: connections are socket pairs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from localaws.sagemaker.hosting.model_server import answers, bodies, functions, model, server
from localaws.sagemaker.hosting.model_server.errors import ModelServerError, StartError
from localaws.sagemaker.hosting.model_server.functions import Functions
from localaws.sagemaker.hosting.model_server.model import Model
from localaws.sagemaker.hosting.worker import Connection, request_head

Ask = Callable[..., Any]


def text_model(predict: Callable[[Any, Any], Any] = lambda data, model: [data, model]) -> Model:
    functions = Functions(
        model_fn=lambda directory: f"model of {directory}",
        input_fn=lambda body, _type: body,
        predict_fn=predict,
    )
    return Model(functions, Path("/there"))


@pytest.fixture
def serve() -> Iterator[Callable[[Model], socket.socket]]:
    """Serves a model on a connection, whose other end it gives."""
    ends: list[socket.socket] = []

    def start(model: Model) -> socket.socket:
        ours, theirs = socket.socketpair()
        threading.Thread(target=answers.serve_connection, args=(model, theirs), daemon=True).start()
        ours.settimeout(5)
        ends.append(ours)
        return ours

    yield start
    for end in ends:
        end.close()


def ask(end: socket.socket, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    answer = Connection(end).ask(request_head(method, path, headers, len(body)), body, 5)
    return answer.status, answer.body


def test_one_connection_answers_many_requests(serve: Callable[[Model], socket.socket]) -> None:
    connection = Connection(serve(text_model()))
    assert connection.ask(request_head("GET", "/ping", {}, 0), b"", 5).status == 200
    for number in (b"1", b"2"):
        answer = connection.ask(request_head("POST", "/invocations", {"Content-Type": "text/csv"}, 1), number, 5)
        assert (answer.status, json.loads(answer.body)) == (200, [number.decode(), "model of /there"])
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /invocations HTTP/1.1\r\n\r\n", 405),
        ("POST /elsewhere HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 404),
        ("POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST /invocations HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("POST /invocations HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
    ],
)
def test_what_isnt_http_for_a_model_is_answered_as_such(
    serve: Callable[[Model], socket.socket], request_text: str, status: int
) -> None:
    end = serve(text_model())
    end.sendall(request_text.encode())
    assert end.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_large_body_is_waited_for(serve: Callable[[Model], socket.socket]) -> None:
    end = serve(text_model(lambda data, _model: len(data)))
    end.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
    assert end.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    end.sendall(b"x" * 3_000_000)
    assert end.recv(1000).endswith(b"\r\n\r\n3000000")


def test_an_exception_is_an_answer_that_says_where(serve: Callable[[Model], socket.socket]) -> None:
    status, body = ask(serve(text_model(lambda _data, _model: 1 // 0)), "POST", "/invocations", b"1")
    assert status == 500
    assert "ZeroDivisionError" in json.loads(body)["error"]
    assert "test_hosting_model_server.py line" in json.loads(body)["error"]


def test_the_connections_of_a_closed_platform_end(serve: Callable[[Model], socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    seen: list[socket.socket] = []
    passed, kept = socket.socketpair()
    with theirs, passed, kept:
        socket.send_fds(ours, [b"c"], [passed.fileno()])
        ours.close()
        server.connections_of_control(theirs, seen.append)
        seen[0].sendall(b"through")
        assert kept.recv(10) == b"through"
        seen[0].close()


@pytest.mark.parametrize(
    ("prediction", "accept", "body", "content_type"),
    [
        ([1, 2], "*/*", "[1, 2]", "application/json"),
        ([1, 2], "", "[1, 2]", "application/json"),
        ({"a": [1]}, "application/json; charset=utf-8", '{"a": [1]}', "application/json"),
        ([[1, 2], [3, 4]], "text/csv", "1,2\n3,4\n", "text/csv"),
        (["a", "b"], "image/png, text/csv", "a\nb\n", "text/csv"),
        (5, "text/csv", "5\n", "text/csv"),
    ],
)
def test_a_prediction_is_encoded_as_asked(prediction: Any, accept: str, body: str, content_type: str) -> None:
    assert bodies.encode(prediction, accept) == (body.encode(), content_type)


def test_unknown_types_are_named(serve: Callable[[Model], socket.socket]) -> None:
    with pytest.raises(ModelServerError, match="Accept 'image/png' is not supported here; it can be one of") as caught:
        bodies.encode([1], "image/png")
    assert caught.value.status_code == 406
    with pytest.raises(ModelServerError, match="Content type 'image/png' is not supported here") as caught:
        bodies.decode(b"1", "image/png")
    assert caught.value.status_code == 415


def test_what_output_fn_may_return() -> None:
    assert model.as_response("text", "text/plain") == (b"text", "text/plain")
    assert model.as_response((b"bytes", "image/png"), "text/plain") == (b"bytes", "image/png")
    with pytest.raises(TypeError, match="it returned list"):
        model.as_response([1], "text/plain")


def test_default_prediction_uses_what_the_model_offers() -> None:
    class Predicts:
        def predict(self, data: str) -> str:
            return f"predicted {data}"

    assert functions.default_predict("x", Predicts()) == "predicted x"
    assert functions.default_predict("x", str.upper) == "X"


def module(**functions: Any) -> ModuleType:
    made = ModuleType("serve")
    made.__dict__.update(functions, __file__="serve.py")
    return made


def test_serve_py_must_say_how_to_load_and_one_way_to_answer() -> None:
    with pytest.raises(StartError, match="no model_fn"):
        functions.functions_of(module(predict_fn=len))
    with pytest.raises(StartError, match="both transform_fn and input_fn, predict_fn"):
        functions.functions_of(module(model_fn=len, transform_fn=len, predict_fn=len, input_fn=len))
    found = functions.functions_of(module(model_fn=len, predict_fn=divmod))
    assert (found.model_fn, found.predict_fn, found.input_fn) == (len, divmod, bodies.decode)


def test_functions_may_take_a_context() -> None:
    def model_fn(model_dir: str, context: object) -> tuple[str, object]:
        return model_dir, context

    assert functions.functions_of(module(model_fn=model_fn)).model_fn("here") == ("here", None)


@pytest.mark.parametrize(
    ("environment", "code_dir", "program"),
    [
        ({}, "/opt/ml/model/code", "inference.py"),
        ({"SAGEMAKER_BASE_DIR": "/x/ml", "SAGEMAKER_PROGRAM": "serve.py"}, "/x/ml/model/code", "serve.py"),
        ({"SAGEMAKER_BASE_DIR": "/x", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/code"}, "/x/code", "inference.py"),
        ({"SAGEMAKER_SUBMIT_DIRECTORY": "/elsewhere"}, "/elsewhere", "inference.py"),
    ],
)
def test_where_the_code_is(environment: dict[str, str], code_dir: str, program: str) -> None:
    settings = model.settings_of(environment)
    assert (str(settings[1]), settings[2]) == (code_dir, program)


def test_a_header_cant_smuggle_another() -> None:
    with pytest.raises(ValueError, match="line break"):
        request_head("POST", "/invocations", {"Accept": "a\r\nX-Evil: 1"}, 0)


def test_the_functions_get_text_as_text_and_the_rest_as_bytes() -> None:
    assert bodies.as_received("1,ä".encode(), "text/csv; charset=utf-8") == "1,ä"
    assert bodies.as_received(b"[1]", "application/json") == "[1]"
    assert bodies.as_received(b"\x93NUMPY", "application/x-npy") == b"\x93NUMPY"
    with pytest.raises(ModelServerError, match="not valid text/csv"):
        bodies.as_received(b"\xff", "text/csv")


def test_input_fn_gets_text_for_csv_and_json_and_bytes_for_the_rest() -> None:
    assert bodies.as_received("é".encode(), "text/csv; charset=utf-8") == "é"
    assert bodies.as_received(b"[1]", "application/json") == "[1]"
    assert bodies.as_received(b"\xff", "application/x-npy") == b"\xff"
    with pytest.raises(ModelServerError, match="The body is not valid text/csv") as caught:
        bodies.as_received(b"\xff", "text/csv")
    assert caught.value.status_code == 400
