"""The model server's protocol and its defaults, without a process: connections are socket pairs."""

from __future__ import annotations

import dataclasses
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from waiting import WAIT_SECONDS

from localaws.sagemaker.hosting.connection import Connection, request_head
from localaws.sagemaker.hosting.model_server import (
    containers,
    desk,
    flask_model,
    functions,
    model,
    one_at_a_time,
    server,
)
from localaws.sagemaker.hosting.model_server.desk import Desk
from localaws.sagemaker.hosting.model_server.errors import StartError
from localaws.sagemaker.hosting.model_server.flask_model import FlaskModel
from localaws.sagemaker.hosting.model_server.functions import Functions
from localaws.sagemaker.hosting.model_server.http_messages import Request, Response, message
from localaws.sagemaker.hosting.model_server.model import Model
from localaws.sagemaker.hosting.model_server.toolkit_model import ToolkitModel
from localaws.sagemaker.hosting.worker import ControlDoor, UnhealthyError, Worker

THERE = model.settings_of({"SAGEMAKER_BASE_DIR": "/there"})
PASS_ON = Functions(
    model_fn=lambda directory: f"model of {directory}",
    input_fn=lambda body, _type: body,
    predict_fn=lambda data, model: [data, model],
    output_fn=lambda prediction, accept: (json.dumps(prediction), accept),
)


def text_model(predict: Callable[[Any, Any], Any] = PASS_ON.predict_fn, kind: type[Model] = FlaskModel) -> Model:
    return kind(dataclasses.replace(PASS_ON, predict_fn=predict), THERE)


def asked(of: Model, body: bytes = b"1", **headers: str) -> Response:
    given = {"content-type": "text/csv", "accept": "text/csv", **headers}
    return of.respond(Request("POST", "/invocations", given, body))


def running(load: Callable[[], Model]) -> Desk:
    """A desk in a thread that ends with the tests."""
    made = Desk()
    threading.Thread(target=made.run, args=(load,), daemon=True).start()
    return made


def connected(to: Desk) -> socket.socket:
    """Our end of a connection."""
    ours, theirs = socket.socketpair()
    to.add(theirs)
    ours.settimeout(5)
    return ours


@pytest.fixture
def serve() -> Iterator[Callable[[Model], socket.socket]]:
    """Serves a model on a connection, whose other end it gives."""
    ends: list[socket.socket] = []

    def start(model: Model) -> socket.socket:
        ends.append(connected(running(lambda: model)))
        return ends[-1]

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
        assert (answer.status, json.loads(answer.body)) == (200, [number.decode(), "model of /there/model"])
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


@pytest.mark.fidelity(
    "Endpoints",
    "A container answers /ping with 200 only once model_fn has returned; until then with 503, within 2 seconds.",
    "SageMaker DG, Custom Inference Code with Hosting Services",
)
def test_nothing_is_answered_before_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(desk, "_HELD_SECONDS", 0.1)
    loaded = threading.Event()

    def load() -> Model:
        assert loaded.wait(5)
        return text_model()

    end = connected(running(load))
    assert ask(end, "GET", "/ping") == (503, b'{"error": "The model is still being loaded."}')
    assert ask(end, "POST", "/invocations", b"1")[0] == 503
    end.sendall(request_head("GET", "/ping", {}, 0))
    loaded.set()
    assert end.recv(1000).startswith(b"HTTP/1.1 200 "), "who waits learns of it at once"
    assert ask(end, "POST", "/invocations", b"1")[0] == 200


def test_a_ping_is_answered_while_the_model_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.02)
    begun, released = threading.Event(), threading.Event()

    def predict(data: Any, _model: Any) -> Any:
        begun.set()
        return released.wait(5) and data

    serving = running(lambda: text_model(predict))
    busy = connected(serving)
    busy.sendall(request_head("POST", "/invocations", {"Content-Type": "text/csv"}, 1) + b"7")
    assert begun.wait(5)
    other = connected(serving)
    assert ask(other, "GET", "/ping")[0] == 200
    assert ask(other, "GET", "/elsewhere")[0] == 404
    released.set()
    assert busy.recv(1000).endswith(b'"7"')


LARGE = b"30000000"  # more than a socket keeps


def repeats() -> Model:
    return text_model(lambda data, _model: "x" * int(data))


def test_a_client_that_doesnt_read_its_answer_keeps_no_ping_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.02)
    serving = running(repeats)
    silent, other = connected(serving), connected(serving)
    silent.sendall(request_head("POST", "/invocations", {"Content-Type": "text/csv"}, len(LARGE)) + LARGE)
    silent.recv(1)
    assert ask(other, "GET", "/ping")[0] == 200
    silent.close()
    assert ask(other, "POST", "/invocations", b"3", **{"Content-Type": "text/csv"}) == (200, b'"xxx"')


def test_a_client_that_doesnt_read_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_SEND_SECONDS", 0.1)
    serving = running(repeats)
    silent, other = connected(serving), connected(serving)
    silent.sendall(request_head("POST", "/invocations", {"Content-Type": "text/csv"}, len(LARGE)) + LARGE)
    silent.recv(1)
    assert ask(other, "POST", "/invocations", b"3", **{"Content-Type": "text/csv"}) == (200, b'"xxx"')
    given_up = select.poll()  # whoever reads before that isn't
    given_up.register(silent, select.POLLRDHUP)
    assert given_up.poll(WAIT_SECONDS * 1000)
    with silent.makefile("rb") as stream:
        assert len(stream.read()) < int(LARGE), "there is an end, and not that of the answer"


def test_answers_come_in_the_order_of_their_requests_whoever_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_LOOK_SECONDS", 0.02)
    end = connected(running(lambda: text_model(lambda data, _model: time.sleep(0.2) or data)))
    asked = request_head("POST", "/invocations", {"Content-Type": "text/csv"}, 1) + b"7"
    end.sendall(asked + request_head("GET", "/ping", {}, 0) + asked)
    end.shutdown(socket.SHUT_WR)
    with end.makefile("rb") as stream:
        said = stream.read()
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b'"7"', b"", b'"7"'], "all are answered although the client sends no more"


def module(**functions: Any) -> ModuleType:
    made = ModuleType("serve")
    made.__dict__.update(functions, __file__="serve.py")
    return made


def test_a_program_completes_the_containers_functions_and_has_one_way_to_answer() -> None:
    with pytest.raises(StartError, match="both transform_fn and input_fn, predict_fn"):
        functions.functions_of(module(model_fn=len, transform_fn=len, predict_fn=len, input_fn=len), PASS_ON)
    found = functions.functions_of(module(model_fn=len, predict_fn=divmod), PASS_ON)
    assert (found.model_fn, found.predict_fn, found.input_fn) == (len, divmod, PASS_ON.input_fn)


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
    assert (str(settings.code_dir), settings.program) == (code_dir, program)


def test_a_header_cant_smuggle_another() -> None:
    with pytest.raises(ValueError, match="line break"):
        request_head("POST", "/invocations", {"Accept": "a\r\nX-Evil: 1"}, 0)


def test_an_answer_s_headers_stay_one_line_each() -> None:
    written = message(Response(200, b"", "text/csv\r\nX-Evil: 1", {"X-Note": "a\nb"}))
    assert written == b"HTTP/1.1 200 OK\r\nContent-Type: text/csv X-Evil: 1\r\nContent-Length: 0\r\nX-Note: a b\r\n\r\n"


# --- scikit-learn's and XGBoost's server


@pytest.mark.fidelity(
    "Endpoints",
    "scikit-learn's and XGBoost's functions get text for exactly text/csv and application/json, bytes for other types.",
    "aws/sagemaker-containers, src/sagemaker_containers/_worker.py, Request.content",
)
def test_flask_functions_get_text_for_two_types_and_bytes_for_others() -> None:
    echo = text_model(lambda data, _model: [type(data).__name__, len(data)])
    given = {"text/csv": "str", "application/json": "str", "text/csv; charset=utf-8": "bytes", "image/png": "bytes"}
    told = {kind: json.loads(asked(echo, "ä".encode(), **{"content-type": kind}).body)[0] for kind in given}
    assert told == given


@pytest.mark.fidelity(
    "Endpoints",
    "A text that output_fn returns without a content type is answered as text/html by scikit-learn's and XGBoost's "
    "images.",
    "pallets/flask, Flask.make_response; aws/sagemaker-containers, _transformer.py",
)
@pytest.mark.parametrize(
    ("returned", "body", "content_type"),
    [
        (("a", "text/csv"), b"a", "text/csv"),
        ((b"\x93", "image/png"), b"\x93", "image/png"),
        ((["a", b"b"], "text/csv"), b"ab", "text/csv"),
        ("a", b"a", "text/html; charset=utf-8"),
        (b"a", b"a", "text/html; charset=utf-8"),
        ({"b": 1, "a": [2]}, b'{"a":[2],"b":1}\n', "application/json"),
    ],
)
def test_what_flask_makes_of_an_answer(returned: Any, body: bytes, content_type: str) -> None:
    answered = flask_model.response_of(returned)
    assert (answered.status, answered.body, answered.content_type) == (200, body, content_type)


@pytest.mark.fidelity(
    "Endpoints",
    "Whatever goes wrong in a function of scikit-learn's or XGBoost's image, an unknown content type included, is "
    "status 500 with a page of HTML; the log has the traceback.",
    "aws/sagemaker-containers, _transformer.py and _functions.py (error_wrapper); aws/amazon-sagemaker-examples#589",
)
@pytest.mark.parametrize("raised", [ValueError("three columns"), TypeError("no number")], ids=["value", "type"])
def test_an_error_is_a_page_and_its_traceback_is_logged(raised: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    def predict(_data: Any, _model: Any) -> Any:
        raise raised

    answered = asked(text_model(predict))
    assert (answered.status, answered.content_type) == (500, "text/html; charset=utf-8")
    assert b"<title>500 Internal Server Error</title>" in answered.body
    logged = capfd.readouterr().err
    assert "Exception on /invocations [POST]" in logged
    assert f"{type(raised).__name__}: {raised}" in logged
    assert "test_hosting_model_server.py" in logged


@pytest.mark.parametrize("returned", [5, None, ([1, 2], "text/csv"), object()])
def test_what_is_no_answer_is_an_error_too(returned: Any) -> None:
    unable = FlaskModel(dataclasses.replace(PASS_ON, output_fn=lambda _prediction, _accept: returned), THERE)
    assert asked(unable).status == (200 if returned == (None, "text/csv") else 500)


def test_an_answer_that_surprises_in_aws_is_told_in_the_log_once(capfd: pytest.CaptureFixture[str]) -> None:
    bare = FlaskModel(dataclasses.replace(PASS_ON, output_fn=lambda _prediction, _accept: "a"), THERE)
    asked(bare), asked(bare)
    assert capfd.readouterr().err.count("answered as text/html: return (text, accept)") == 1
    asked(text_model())
    assert "AWS's image says text/csv; charset=utf-8" in capfd.readouterr().err


# --- PyTorch's server


@pytest.mark.fidelity(
    "Endpoints",
    "A function of PyTorch's image that takes one argument more gets the request's context, with its headers; what "
    "it sets there (status, headers) is the answer's.",
    "aws/sagemaker-inference-toolkit, transformer.py, and its issue 110; pytorch/serve, ts/context.py",
)
def test_the_toolkits_functions_may_take_the_context() -> None:
    def output_fn(prediction: Any, accept: str, context: Any) -> str:
        context.set_response_status(418, "tea")
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "brewed")
        return str(context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")) + accept + str(prediction[0])

    of = ToolkitModel(dataclasses.replace(PASS_ON, output_fn=output_fn), THERE)
    answered = asked(of, b"1", **{"x-amzn-sagemaker-custom-attributes": "7"})
    assert (answered.status, answered.body, answered.content_type) == (418, b"7text/csv1", "text/csv")
    assert answered.headers == {"x-amzn-sagemaker-custom-attributes": "brewed"}


def test_a_function_of_another_number_of_arguments_is_refused() -> None:
    answered = asked(ToolkitModel(dataclasses.replace(PASS_ON, predict_fn=lambda data: data), THERE))
    assert (answered.status, b"takes 1 arguments but 2 were given" in answered.body) == (500, True)


def test_models_are_warmed_up_between_the_functions_that_ask_for_it() -> None:
    seen: list[Any] = []
    more = {"pre_model_fn": seen.append, "model_warmup_fn": lambda folder, model: seen.append((folder, model))}
    ToolkitModel(dataclasses.replace(PASS_ON, **more), THERE)
    assert seen == ["/there/model", ("/there/model", "model of /there/model")]


@pytest.mark.fidelity(
    "Endpoints",
    "What goes wrong in a function of PyTorch's image is status 500 with the message and the traceback as text.",
    "aws/sagemaker-inference-toolkit, transformer.py, Transformer.handle_error",
)
def test_an_error_of_the_toolkit_says_what_and_where() -> None:
    answered = asked(text_model(lambda _data, _model: 1 // 0, ToolkitModel))
    assert answered.status == 500
    assert answered.body.startswith(b"integer division or modulo by zero\nTraceback (most recent call last):\n")
    assert b"test_hosting_model_server.py" in answered.body


def test_an_error_of_the_toolkits_own_kind_has_its_own_status() -> None:
    class BaseInferenceToolkitError(Exception):
        status_code, message = 422, "no such row"

    def predict(_data: Any, _model: Any) -> Any:
        raise BaseInferenceToolkitError

    answered = asked(text_model(predict, ToolkitModel))
    assert (answered.status, answered.body.partition(b"\n")[0]) == (422, b"no such row")


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ("a", 200, b"a"),
        (b"a", 200, b"a"),
        ([1], 200, b"[\n  1\n]"),
        (("a", "x/y"), 200, b"a"),
        (object(), 503, b"Unable to"),
    ],
)
def test_what_torchserve_makes_of_an_answer(returned: Any, status: int, body: bytes) -> None:
    answered = asked(ToolkitModel(dataclasses.replace(PASS_ON, output_fn=lambda _p, _a: returned), THERE))
    assert (answered.status, answered.body[: len(body)]) == (status, body)
    assert answered.content_type == (
        "x/y" if isinstance(returned, tuple) else "text/plain" if status == 503 else "text/csv"
    )


def test_text_that_is_none_is_an_error_of_the_toolkit() -> None:
    assert asked(text_model(kind=ToolkitModel), b"\xff").status == 500


# --- containers


def program(folder: Path, text: str, serving: str, name: str = "inference.py") -> dict[str, str]:
    code = folder / "model" / "code"
    code.mkdir(parents=True)
    (code / name).write_text(text)
    return {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_SERVING_MODULE": serving}


SERVERS = {
    "sagemaker_sklearn_container.serving:main": FlaskModel,
    "sagemaker_xgboost_container.serving:main": FlaskModel,
    "sagemaker_pytorch_container.serving:main": ToolkitModel,
}


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of tests have the same names: none is found where another one was."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in ("inference", "beside"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("serving", SERVERS)
def test_the_image_says_which_container_serves(tmp_path: Path, serving: str) -> None:
    environment = program(tmp_path, "from beside import A\ndef model_fn(folder):\n    return A\n", serving)
    (tmp_path / "model" / "code" / "beside.py").write_text("A = 'loaded'\n")
    loaded = containers.load(environment)
    assert (type(loaded), loaded.model) == (SERVERS[serving], "loaded")


@pytest.mark.fidelity(
    "Endpoints",
    "scikit-learn's and XGBoost's images serve a copy of the code in /opt/ml/code; PyTorch's serves it from "
    "/opt/ml/model/code, whatever SAGEMAKER_SUBMIT_DIRECTORY says.",
    "aws/sagemaker-containers, _modules.py (import_module); aws/sagemaker-inference-toolkit, environment.py (code_dir)",
)
@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize(
    ("serving", "submitted", "place"),
    [
        ("sagemaker_sklearn_container.serving:main", "/opt/ml/model/code", "code/inference.py"),
        ("sagemaker_pytorch_container.serving:main", "/opt/ml/model/code", "model/code/inference.py"),
        ("sagemaker_pytorch_container.serving:main", "/opt/ml/code", "model/code/inference.py"),
    ],
)
def test_where_a_container_serves_the_code_from(tmp_path: Path, serving: str, submitted: str, place: str) -> None:
    environment = program(tmp_path, "def model_fn(folder):\n    return __file__\n", serving)
    loaded = containers.load(environment | {"SAGEMAKER_SUBMIT_DIRECTORY": submitted})
    assert loaded.model == str(tmp_path / place)


@pytest.mark.usefixtures("own_modules")
def test_a_program_may_be_said_as_a_module(tmp_path: Path) -> None:
    environment = program(tmp_path, "def model_fn(folder):\n    return 7\n", "sagemaker_sklearn_container.serving:main")
    assert containers.load(environment | {"SAGEMAKER_PROGRAM": "inference"}).model == 7


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize(
    ("text", "more", "refusal"),
    [
        ("", {}, r"defines no model_fn\(model_dir\)"),
        ("", {"SAGEMAKER_PROGRAM": "serve.py"}, "'serve.py', but there is no such module in .*/code"),
        ("", {"SAGEMAKER_PROGRAM": "src/serve.py"}, "'src/serve.py', but .* imported by its name"),
    ],
)
def test_a_container_that_cant_start_says_why(tmp_path: Path, text: str, more: dict[str, str], refusal: str) -> None:
    with pytest.raises(StartError, match=refusal):
        containers.load(program(tmp_path, text, "sagemaker_sklearn_container.serving:main") | more)


# --- several workers


COUNTS = """
import json, os, sys, threading, time

def model_fn(folder):
    return os.getpid()

def predict_fn(data, model):
    if data == 0:
        threading.Thread(target=time.sleep, args=(60,)).start()
        sys.exit(7)
    return [model, os.getpid()]

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


class Started(subprocess.Popen[str]):
    """A process as the platform sees a container: without limits."""

    exceeded = None
    stop = subprocess.Popen.terminate


def started(folder: Path, workers: str, program: str = COUNTS) -> tuple[Started, Worker]:
    """The model server as a process, and the platform's side of it."""
    (folder / "model" / "code").mkdir(parents=True)
    (folder / "model" / "code" / "serve.py").write_text(program + "\ndef input_fn(body, kind):\n    return int(body)\n")
    variables = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_PROGRAM": "serve.py"}
    ours, theirs = socket.socketpair()
    with theirs:
        process = Started(
            [sys.executable, Path(server.__file__).with_name("__main__.py"), "--control-fd", str(theirs.fileno())],
            env={**variables, "SAGEMAKER_MODEL_SERVER_WORKERS": workers},
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
    return process, Worker(process, ControlDoor(ours))


def until_healthy(process: Started, worker: Worker) -> None:
    """Wait until it answers; what it said goes with the error where it doesn't."""
    try:
        worker.wait_until_healthy(WAIT_SECONDS)
    except UnhealthyError as error:
        process.kill()
        error.add_note(process.communicate()[1])
        raise


@pytest.mark.fidelity(
    "Containers",
    "SAGEMAKER_MODEL_SERVER_WORKERS processes load the model, each for itself.",
    "aws/sagemaker-containers, _server.py and _env.py; aws/sagemaker-inference-toolkit, environment.py",
)
def test_as_many_workers_answer_as_are_asked_for(tmp_path: Path) -> None:
    process, worker = started(tmp_path, "2")
    until_healthy(process, worker)
    connections = [worker._pool.take(10) for _ in range(4)]
    asks = request_head("POST", "/invocations", {"Content-Type": "text/csv"}, 1)
    answers = [json.loads(connection.ask(asks, b"1", 10).body) for connection in connections]
    assert all(loaded == asked for loaded, asked in answers)
    pids = [asked for _, asked in answers]
    assert (len(set(pids)), pids[:2]) == (2, pids[2:]), "in turn"
    assert process.pid not in pids
    with pytest.raises(OSError):
        connections[0].ask(asks, b"0", 10)
    assert process.wait(10) == 7, "the container ends with a worker of it, and is the platform's to start again"
    assert process.stderr is not None
    said = process.stderr.read()
    assert "The model's code has ended the process: sys.exit(7)." in said
    assert "A worker ended with exit code 7" in said
    worker._door.close()


@pytest.mark.parametrize("workers", ["0", "two", "-1"])
def test_a_wrong_number_of_workers_is_told(tmp_path: Path, workers: str) -> None:
    process, worker = started(tmp_path, workers)
    assert process.stderr is not None
    assert (
        f"SAGEMAKER_MODEL_SERVER_WORKERS is '{workers}'; it must be a whole number from 1 on" in process.stderr.read()
    )
    assert process.wait(10) == 1
    worker._door.close()


def test_no_worker_copies_the_code_that_another_imports(tmp_path: Path) -> None:
    long = COUNTS + "# " + "and so on " * 100_000 + "\n"  # so that a half of it isn't all of it
    for turn in range(5):
        process, worker = started(tmp_path / str(turn), "4", long)
        until_healthy(process, worker)
        worker._door.close()
        assert process.wait(10) == -signal.SIGKILL


def test_workers_end_with_the_platform(tmp_path: Path) -> None:
    process, worker = started(tmp_path, "3")
    until_healthy(process, worker)
    worker._door.close()
    assert process.wait(10) == -signal.SIGKILL
    assert process.stderr is not None
    assert process.stderr.read() == "", "and the last that wrote there, too"


# ------------------------------------------------------------------------------------ who waits lets others be answered


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Model], Desk]]:
    """Serves a model in a process whose waits let others be answered, as long as the test takes."""
    monkeypatch.setattr(time, "sleep", time.sleep)
    monkeypatch.setattr(threading.Event, "wait", threading.Event.wait)

    def start(of: Model) -> Desk:
        found = running(lambda: of)
        if of.answers_others_while_one_waits:
            found.let_others_while_waiting()
        return found

    yield start


def sent(end: socket.socket, *bodies: bytes) -> socket.socket:
    end.sendall(b"".join(request_head("POST", "/invocations", {}, len(body)) + body for body in bodies))
    return end


def word(data: str | bytes) -> str:
    """A body as a function gets it: of text, or of no type."""
    return data if isinstance(data, str) else data.decode()


def read(end: socket.socket) -> bytes:
    return end.recv(1000).rpartition(b"\r\n\r\n")[2]


@pytest.mark.fidelity(
    "Containers",
    "While a request waits, a worker of scikit-learn's and XGBoost's containers (gunicorn with gevent) answers others; "
    "PyTorch's answers one after the other.",
    "aws/sagemaker-containers, _server.py; aws/sagemaker-inference-toolkit, transformer.py",
)
@pytest.mark.parametrize(("kind", "seen"), [(FlaskModel, True), (ToolkitModel, False)])
@pytest.mark.parametrize("way", ["event", "sleep"])
def test_while_a_request_waits_others_are_answered_where_aws_s_worker_does(
    waits: Callable[[Model], Desk], kind: type[Model], seen: bool, way: str
) -> None:
    came, waiting = threading.Event(), threading.Event()

    def predict(data: str | bytes, _model: Any) -> bool:
        if word(data) != "first":
            came.set()
            return True
        waiting.set()
        until = time.monotonic() + (5 if seen else 0.3)
        while way == "sleep" and not came.is_set() and time.monotonic() < until:
            time.sleep(0.01)
        return came.wait(until - time.monotonic()) if way == "event" else came.is_set()

    desk = waits(text_model(predict, kind))
    first = sent(connected(desk), b"first")
    assert waiting.wait(5)
    second = sent(connected(desk), b"second")
    assert (json.loads(read(first)), json.loads(read(second))) == (seen, True)


def test_model_code_runs_for_one_request_at_a_time_however_many_wait(waits: Callable[[Model], Desk]) -> None:
    """As in a greenlet: it may rely on nobody else between two waits."""
    inside, most, begun = 0, 0, 0

    def predict(_data: bytes, _model: Any) -> int:
        nonlocal inside, most, begun
        begun += 1
        until = time.monotonic() + 5
        while begun < 8 and time.monotonic() < until:
            time.sleep(0.001)
        inside += 1
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            most = max(most, inside)
        inside -= 1
        return begun

    desk = waits(text_model(predict))
    ends = [sent(connected(desk), b"x") for _ in range(8)]
    assert [read(end) for end in ends] == [b"8"] * 8, "all have waited for each other"
    assert most == 1


def test_a_connection_s_answers_come_in_the_order_of_its_requests(waits: Callable[[Model], Desk]) -> None:
    order = []

    def predict(data: str | bytes, _model: Any) -> str:
        order.append(word(data))
        time.sleep(0.1 if word(data) == "a" else 0)
        order.append(word(data))
        return word(data)

    end = sent(connected(waits(text_model(predict))), b"a", b"b", b"c")
    received = b""
    while received.count(b"HTTP/1.1 200") < 3:
        received += end.recv(1000)
    assert [part[-3:] for part in received.split(b"HTTP/1.1 200")[1:]] == [b'"a"', b'"b"', b'"c"']
    assert order == ["a", "a", "b", "b", "c", "c"]


def test_a_lock_that_is_held_while_its_owner_waits_stops_nobody_for_good(
    waits: Callable[[Model], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gevent's own lock would let its owner go on; here the owner goes on after a while."""
    monkeypatch.setattr(one_at_a_time, "_PATIENCE_SECONDS", 0.1)
    lock = threading.Lock()

    def predict(data: str | bytes, _model: Any) -> str:
        with lock:
            time.sleep(0.05)
        return word(data)

    desk = waits(text_model(predict))
    ends = [sent(connected(desk), body) for body in (b"1", b"2", b"3")]
    assert [read(end) for end in ends] == [b'"1"', b'"2"', b'"3"']


@pytest.mark.usefixtures("waits")
def test_code_that_ends_the_process_ends_it_from_whichever_thread() -> None:
    ended: list[BaseException] = []
    told, staying, leave = threading.Event(), threading.Event(), threading.Event()

    def predict(data: str | bytes, _model: Any) -> bool:
        if word(data) == "leave":
            leave.set()
            raise SystemExit(3)
        staying.set()
        return leave.wait(5)

    def heard(error: BaseException) -> None:
        ended.append(error)
        told.set()

    desk = Desk()
    desk.let_others_while_waiting()
    threading.Thread(target=desk.run, args=(lambda: text_model(predict), heard), daemon=True).start()
    first = sent(connected(desk), b"stay")
    assert staying.wait(5)
    sent(connected(desk), b"leave")
    assert told.wait(5) and isinstance(ended[0], SystemExit)
    assert read(first) == b"true"


@pytest.mark.parametrize(("said", "size"), [({}, 1), ({"SAGEMAKER_TS_BATCH_SIZE": "8"}, 8)])
def test_torchserve_s_batches_are_read_as_aws_s_image_does(said: dict[str, str], size: int) -> None:
    assert containers.batch_size(said) == size
    with pytest.raises(StartError, match="SAGEMAKER_TS_BATCH_SIZE is 'many'; it must be a whole number"):
        containers.batch_size({"SAGEMAKER_TS_BATCH_SIZE": "many"})


@pytest.mark.parametrize(
    ("framework", "told"), [("sagemaker_pytorch_container", True), ("sagemaker_sklearn_container", False)]
)
def test_who_asks_torchserve_for_batches_is_told_that_here_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], framework: str, told: bool
) -> None:
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "batches.py").write_text("def model_fn(folder): return folder")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "batches", raising=False)
    container = containers._CONTAINERS[framework]._replace(install=lambda settings, _isolation: settings)
    monkeypatch.setitem(containers._CONTAINERS, framework, container)
    containers.load(
        {
            "SAGEMAKER_SERVING_MODULE": f"{framework}.serving:main",
            "SAGEMAKER_BASE_DIR": str(tmp_path),
            "SAGEMAKER_PROGRAM": "batches.py",
            "SAGEMAKER_TS_BATCH_SIZE": "8",
        }
    )
    assert ("here each is answered by itself" in capsys.readouterr().out) is told
