"""The server of the page that follows a run: to whom it answers, what, and what never."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_documents import START
from view_documents import document, drawing, encoded, pixels

from contract import views as words
from ratchet import views
from ratchet.view_pages import vega
from ratchet.view_pages.live import LivePage
from ratchet.views import Picture, View

EVIL = "</script><script>alert(1)</script>"


class Bucket:
    """The pictures of one view, `bars`."""

    def __init__(self) -> None:
        self.contents = {100: drawing(100), 200: pixels(200), 300: encoded({"mark": "bar", "usermeta": {}})}
        self.contents |= {400: encoded({"data": {"url": "http://a"}}), 500: b"<html/>", 600: drawing(600)}
        self.asked: list[str] = []

    def view(self, **changes: Any) -> View:
        return views.of_document("bars", document("bars", self.contents, START, **changes))

    def content(self, folder: str, picture: Picture) -> bytes | None:
        self.asked.append(f"{folder}/{picture.file}")
        if picture.step == 600:
            return None
        return self.contents[picture.step]


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def live(tmp_path: Path, bucket: Bucket) -> Iterator[LivePage]:
    (tmp_path / f"vega-{vega.version('vl-convert-python')}-{vega.VEGA_LITE}.js").write_text("window.vegaEmbed = 1;")
    with LivePage(f"iris-tree {EVIL}\x1b", bucket.content, tmp_path) as found:
        yield found


def asked(live: LivePage, path: str, host: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for each in [f"127.0.0.1:{live.port}"] if host is None else [host] if host else []:
        connection.putheader("Host", each)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_and_what_there_is(live: LivePage, bucket: Bucket) -> None:
    status, headers, page = asked(live, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert EVIL.encode() not in page
    assert b"\x1b" not in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy

    live.show("Running", "t", (bucket.view(skipped=2),), ended=False)
    status, headers, body = asked(live, "/views.json?after=-1")
    found = json.loads(body)
    assert (found["headline"], found["ended"], found["version"]) == ("Running", False, 1)
    (view,) = found["views"]
    assert view["name"] == "bars"
    assert [picture["step"] for picture in view["pictures"]] == [100, 200, 300, 400, 500, 600]
    assert [picture["kind"] for picture in view["pictures"]] == ["image", "image", "vega", "vega", "image", "image"]
    assert asked(live, "/views.json?after=1")[0] == 204, "nothing is new"
    live.show("Running", "t", (bucket.view(skipped=2),), ended=False)
    assert asked(live, "/views.json?after=1")[0] == 204
    live.show("Promoted", "t", (bucket.view(skipped=2),), ended=True)
    assert json.loads(asked(live, "/views.json?after=1")[2])["ended"]


def test_pictures_come_as_what_they_are_and_run_nothing(live: LivePage, bucket: Bucket) -> None:
    live.show("Running", "t", (bucket.view(),), ended=False)
    urls = {each["step"]: each["url"] for each in json.loads(asked(live, "/views.json")[2])["views"][0]["pictures"]}
    for step, kind, content in [
        (100, "image/svg+xml", drawing(100)),
        (200, "image/png", pixels(200)),
        (300, "application/json", b'{"mark": "bar"}'),
    ]:
        status, headers, body = asked(live, urls[step])
        assert (status, headers["Content-Type"], body) == (200, kind, content)
        assert headers["Content-Security-Policy"].endswith("sandbox")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    for step, code, why in [
        (400, 422, b"data.url loads data from elsewhere"),
        (500, 422, b"it is no SVG"),
        (600, 404, b"it is no longer there"),
    ]:
        status, headers, body = asked(live, urls[step])
        assert (status, headers["Content-Type"]) == (code, "text/plain; charset=utf-8")
        assert why in body
        assert headers["Cache-Control"] == "no-store"
    assert set(bucket.asked) == {f"t/{words.picture('bars', step, ending)}" for step, ending in ENDINGS.items()}


ENDINGS = {100: "svg", 200: "png", 300: "vl.json", 400: "vl.json", 500: "svg", 600: "svg"}


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "[::1]"])
def test_who_comes_by_another_name_is_told_nothing(live: LivePage, bucket: Bucket, host: str) -> None:
    """A page of elsewhere whose name has been made to lead to this machine (DNS rebinding)."""
    live.show("Running", "t", (bucket.view(),), ended=False)
    for path in ("/", "/views.json", f"/pictures/bars/{100:012d}"):
        status, _, body = asked(live, path, host)
        assert (status, body) == (421, f"this page is {live.url}".encode())
    assert asked(live, "/views.json", f"localhost:{live.port}")[0] == 200
    assert bucket.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/bars/000000000700",
        "/pictures/other/000000000100",
        "/pictures/bars/100",
        "/pictures/bars/../../../etc/passwd",
        "/pictures/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/pictures/",
        "/.ratchet",
        "http://evil.example/",
    ],
)
def test_nothing_else_is_served(live: LivePage, bucket: Bucket, path: str) -> None:
    live.show("Running", "t", (bucket.view(),), ended=False)
    status, _, body = asked(live, path)
    assert (status, body) == (404, b"there is no such picture") or path == "http://evil.example/"
    assert b"root:" not in body
    assert bucket.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_it_only_tells(live: LivePage, method: str) -> None:
    assert asked(live, "/views.json", method=method)[0] == 501


def test_it_listens_on_this_machine_alone_and_ends_with_its_block(tmp_path: Path, bucket: Bucket) -> None:
    (tmp_path / f"vega-{vega.version('vl-convert-python')}-{vega.VEGA_LITE}.js").write_text("window.vegaEmbed = 1;")
    with LivePage("iris", bucket.content, tmp_path) as live:
        assert live._server.server_address[0] == "127.0.0.1"
        assert live.url == f"http://127.0.0.1:{live.port}/"
        port = live.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_an_aws_that_does_not_answer_ends_nothing(live: LivePage, bucket: Bucket) -> None:
    def refuse(_folder: str, _picture: Picture) -> bytes | None:
        raise OSError("AWS doesn't answer")

    live._content = refuse
    live.show("Running", "t", (bucket.view(),), ended=False)
    assert asked(live, f"/pictures/bars/{100:012d}")[::2] == (502, b"AWS doesn't answer")
    assert asked(live, "/views.json")[0] == 200
