"""The benchmark of serving, without servers of models: its light client, its signatures, its figures."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench import harness, results, serving
from bench.serving import Round
from bench.serving_load import Measured, Signer, WrongAnswerError, load, plain

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n%b\r\n7"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[int]]]:
    """A port whose connections get these answers in turn, one for each; and how many requests each has brought."""
    served: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        with connection:
            while connection.recv(10_000):
                served[number] += 1
                answer = answers[(sum(served) - 1) % len(answers)]
                connection.sendall(answer)
                if b"close" in answer:
                    return

    def accept() -> None:
        for number in range(100):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            served.append(0)
            threading.Thread(target=serve, args=(connection, number), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], served
        listener.shutdown(socket.SHUT_RDWR)


def test_each_client_asks_again_when_it_is_answered() -> None:
    with answering(OK % b"") as (port, served):
        found = load(port, plain("/x", "text/csv", {b"1,2": b"7"}), 3, 20)
    assert (len(found.latencies), sum(served), len(served)) == (20, 20, 3)
    assert found.throughput == 20 / found.seconds


def test_a_connection_that_the_server_closes_is_made_anew() -> None:
    with answering(OK % b"", OK % b"Connection: close\r\n") as (port, served):
        load(port, plain("/x", "text/csv", {b"1,2": b"7"}), 1, 6)
    assert served == [2, 2, 2]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (OK.replace(b"200 OK", b"503 No") % b"", "it answered b'HTTP/1.1 503"),
        (OK[:-1] % b"" + b"8", "it answered b'8', where b'7' belongs"),
        (OK.replace(b"Content-Length: 1", b"Transfer-Encoding: chunked") % b"", "without Content-Length"),
    ],
)
def test_an_answer_that_is_none_ends_the_benchmark(answer: bytes, told: str) -> None:
    with answering(answer) as (port, _), pytest.raises(WrongAnswerError, match=told):
        load(port, plain("/x", "text/csv", {b"1,2": b"7"}), 1, 1)


def test_requests_are_signed_as_botocore_signs_them() -> None:
    url, body = "http://127.0.0.1:4566/endpoints/digits/invocations", b"1,2,3"
    request = AWSRequest("POST", url, data=body)
    SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "sagemaker", "eu-west-1").add_auth(request)
    now = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    own = Signer("AKIDEXAMPLE", "secret", "eu-west-1").head(
        "127.0.0.1:4566", "/endpoints/digits/invocations", body, now
    )
    assert f"Authorization: {request.headers['Authorization']}\r\n" in own
    assert f"X-Amz-Date: {request.context['timestamp']}\r\n" in own
    assert hashlib.sha256(body).hexdigest() not in own, "the body's hash is signed, and not sent"


def test_figures_are_those_of_the_rounds() -> None:
    def one(bare: float, latency: float, eight: float) -> Round:
        servers = {
            1: Measured([latency] * 10, 1.0),
            8: Measured([8.0] * 10, 10 / eight),
            32: Measured([30.0] * 10, 1.0),
        }
        return Round([bare] * 10, {"server": servers, "endpoint": servers, "mms": servers})

    rounds = [one(2.0, 2.5, 400.0), one(4.0, 4.25, 200.0), one(2.0, 3.0, 300.0)]
    found = serving.document("forest", rounds, lambda _text: None)
    assert found["figures"] == {
        "bare_ms": 2.0,
        **{f"{prefix}overhead_ms": 0.5 for prefix in ("", "invoke_", "mms_")},
        **{f"{prefix}throughput_ratio": 0.8 for prefix in ("", "invoke_", "mms_")},
    }
    assert [row["server"] for row in found["servers"]] == ["server", "endpoint", "mms"]
    assert found["servers"][0]["model"] == "forest"
    assert found["servers"][0]["p50"] == [3.0, 8.0, 30.0]
    assert found["servers"][0]["p50_over_bare"] == [1.5, 4.0, 15.0]
    quick = {"figures": {"invoke_ms": 1.5}, "samples": {"invoke_ms": [1.0, 1.5, 2.0]}}
    found = serving.joined([quick, found, serving.document("net", rounds, lambda _text: None, "net_")])
    assert found["figures"]["net_mms_overhead_ms"] == 0.5
    page = results.rendered({"serving": harness._described(found, harness.machine())})
    assert "| `invoke_ms` | InvokeEndpoint, a decision tree, one light client | 1.5 | 1 – 2, n = 3 | 2 ✓ |" in page
    assert "| `mms_overhead_ms` | multi-model-server: a request beyond the bare function | 0.5 |" in page
    assert "| net | endpoint | 3 (1.5), 8 (4), 30 (15) | 4.25 (2.12), 8 (4), 30 (15) | 0.02, 0.8, 0.02 |" in page
