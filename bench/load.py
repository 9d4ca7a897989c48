"""Requests to an endpoint without pause, by a light client: who answered what was asked when, and what failed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localaws.server_file import Server

SIGN_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Failure:
    """A request that was answered with something else than 200; status 0 where it wasn't answered at all.

    at: when it was asked.
    """

    at: float
    status: int
    body: bytes

    @property
    def is_models_own(self) -> bool:
        """Whether the model itself answered so (ModelError of InvokeEndpoint)."""
        return b"from primary with message" in self.body


class Signed:
    """InvokeEndpoint's headers, signed anew once a minute: AWS takes a signature for five."""

    def __init__(self, server: Server, path: str, body: bytes) -> None:
        self._server, self._path, self._body = server, path, body
        self._headers, self._signed_at = self._sign(), time.monotonic()

    def _sign(self) -> dict[str, str]:
        server = self._server
        request = AWSRequest("POST", f"{server.endpoint_url}{self._path}", {"Content-Type": "text/csv"}, self._body)
        key = Credentials(server.access_key_id, server.secret_access_key)
        SigV4Auth(key, "sagemaker", server.region).add_auth(request)
        return dict(request.headers.items())

    def headers(self) -> dict[str, str]:
        """The headers of a request that is sent now."""
        if time.monotonic() - self._signed_at > SIGN_EVERY_SECONDS:
            self._headers, self._signed_at = self._sign(), time.monotonic()
        return self._headers


def requests_of(server: Server, endpoint: str, body: bytes = b"1") -> Callable[[], tuple[int, bytes]]:
    """InvokeEndpoint, sent as often as it is called, by any thread: its status and body."""
    path = f"/endpoints/{endpoint}/invocations"
    signed = Signed(server, path, body)
    pool = urllib3.connection_from_url(server.endpoint_url, maxsize=8, block=True)

    def send() -> tuple[int, bytes]:
        answer = pool.request("POST", path, body=body, headers=signed.headers(), retries=False)
        return answer.status, answer.data

    return send


class Load:
    """Some threads that ask a model which answers with its name, `{"model": ...}`, until it is left; `pause`: seconds
    that each waits between two requests. Times are those at which a request was asked: one that is on its way when
    traffic moves is answered by the fleet that has it."""

    def __init__(self, server: Server, endpoint: str, threads: int = 2, pause: float = 0.0) -> None:
        self._pause = pause
        self._send = requests_of(server, endpoint)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.answers: list[tuple[float, str]] = []
        self.failures: list[Failure] = []

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            at = time.time()
            try:
                status, body = self._send()
            except Exception as error:  # noqa: BLE001 - any failure at all is what this is about
                status, body = 0, repr(error).encode()
            if status == 200:
                self.answers.append((at, json.loads(body)["model"]))
            else:
                self.failures.append(Failure(at, status, body))

    @property
    def sent(self) -> int:
        """How many requests there have been."""
        return len(self.answers) + len(self.failures)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
