"""Jobs' own requests to S3: signed as botocore signs them, asked again where that helps, and never half an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from localaws.sagemaker.core import s3_wire
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.s3_wire import NoAnswerError, Request, S3Error, S3Wire

ROLE = Credentials("ASIAEXAMPLE", "secret/+=", "token==", datetime.now(UTC))
ENDPOINT = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "bucket", query={"list-type": "2", "prefix": "a b/ü+&=~", "encoding-type": "url"}),
        Request(
            "PUT", "bucket", "odd key/ü+%2F~'()!*.csv", headers={"x-amz-server-side-encryption": "aws:kms"}, body=b"x"
        ),
        Request("GET", "bucket", "/twice//slashed/../as it is"),
        Request("POST", "bucket", "key", {"uploads": ""}),
        Request("HEAD", "bucket"),
    ],
    ids=lambda request: f"{request.method} {request.path}",
)
def test_requests_are_signed_as_botocore_signs_them(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = S3Wire(ENDPOINT, "us-east-1", ROLE)._signed(request_)
    at = datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: at)
    url = f"{ENDPOINT}{request_.path}" + (f"?{request_.words}" if request_.query else "")
    theirs = botocore.awsrequest.AWSRequest(request_.method, url, dict(request_.headers), request_.body)
    credentials = botocore.credentials.Credentials(ROLE.access_key_id, ROLE.secret_access_key, ROLE.session_token)
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(theirs)
    assert sent["authorization"] == theirs.headers["Authorization"]


class _Server(BaseHTTPRequestHandler):
    """Answers what is in `answers`, one after another: a status, a body, and how many bytes of it are announced."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, bytes, int]]] = []
    connections: ClassVar[set[object]] = set()

    def do_GET(self) -> None:
        status, body, announced = self.answers.pop(0)
        self.connections.add(self.client_address)
        if status:
            self.send_response(status)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = not status or announced != len(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(*answers: tuple[int, bytes, int]) -> Iterator[S3Wire]:
    _Server.answers, _Server.connections = list(answers), set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield S3Wire(f"http://127.0.0.1:{server.server_address[1]}", "us-east-1", ROLE)
        server.shutdown()


def read(wire: S3Wire) -> bytes:
    with wire.ask(Request("GET", "bucket", "key")) as answer:
        return answer.read()


def test_it_is_asked_again_where_that_may_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_wire, "_PAUSES", (0.0, 0.0))
    with answering((503, b"", 0), (0, b"", 0), (200, b"there", 5), (200, b"again", 5)) as wire:
        assert [read(wire), read(wire)] == [b"there", b"again"]
        assert len(_Server.connections) == 3, "the last answer came on the connection of the one before"
    with answering(*[(500, b"<Error><Code>InternalError</Code><Message>full</Message></Error>", 64)] * 3) as wire:
        with pytest.raises(S3Error, match=r"^InternalError \(500\): full$"):
            read(wire)
        assert not _Server.answers
    with answering((0, b"", 0), (0, b"", 0), (0, b"", 0)) as wire, pytest.raises(NoAnswerError):
        read(wire)


def test_a_refusal_is_told_at_once_with_its_code() -> None:
    document = b'<Error xmlns="http://s3.amazonaws.com/"><Code>NoSuchKey</Code><Message>gone</Message></Error>'
    with answering((404, document, len(document)), (200, b"", 0)) as wire:
        with pytest.raises(S3Error) as refused:
            read(wire)
        assert (refused.value.code, refused.value.status, refused.value.message) == ("NoSuchKey", 404, "gone")
        assert len(_Server.answers) == 1


def test_half_an_object_is_no_answer() -> None:
    with answering((200, b"half", 8)) as wire, pytest.raises(NoAnswerError, match="4 bytes are missing"):
        read(wire)
