"""Vega-Lite documents drawn outside of a browser by the real vl-convert, in a process that may end or hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from view_documents import line_chart, point_cloud

from ratchet.view_pages import pictures, saving, vega
from ratchet.view_pages.pictures import TooMuchError, UnusableError
from ratchet.view_pages.vega import Drawer

PLAIN: dict[str, Any] = {
    "data": {"values": [{"a": 1, "b": "<script>alert(1)</script>"}, {"a": 2, "b": "\u202e"}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "nominal"}},
}


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    with Drawer(seconds=10.0, first_seconds=120.0) as found:
        yield found


@pytest.mark.parametrize("content", [point_cloud(1000, points=3000), line_chart(4000)], ids=["3,000 points", "a line"])
def test_a_document_is_drawn(drawer: Drawer, content: bytes, tmp_path: Path) -> None:
    path = saving.save(content, tmp_path / "000000000100.vl.json", drawer)
    assert path == tmp_path / "000000000100.svg"
    size = pictures.shape(path.read_bytes(), "svg")
    assert size is not None
    assert size.width > 100 < size.height


def test_text_of_a_document_is_text(drawer: Drawer) -> None:
    drawn = drawer.svg(PLAIN)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mark": "nonsense"}, "Vega-Lite can't draw it: "),
        (
            {"transform": [{"calculate": "constructor.constructor('return 1')()", "as": "c"}]},
            "Vega-Lite can't draw it: ",
        ),
    ],
)
def test_what_vega_refuses_is_said_and_the_next_one_is_drawn(drawer: Drawer, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableError, match=why):
        drawer.svg({**PLAIN, **changes})
    assert drawer.svg(PLAIN).startswith("<svg")


def test_nothing_is_loaded(drawer: Drawer, tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    secret = tmp_path / "secret.json"
    secret.write_text('[{"a": 1, "b": "geheim"}]')
    try:
        for url in (f"http://127.0.0.1:{server.server_port}/a.json", str(secret), secret.as_uri()):
            try:
                drawn = drawer.svg({**PLAIN, "data": {"url": url}})
            except UnusableError:
                continue
            assert "geheim" not in drawn
        image = {"url": {"value": f"http://127.0.0.1:{server.server_port}/a.png"}}
        drawer.svg({**PLAIN, "mark": {"type": "image", "width": 9, "height": 9}, "encoding": image})
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_a_document_that_takes_too_long_or_ends_the_process_is_left() -> None:
    with Drawer(seconds=1.0, first_seconds=120.0) as found:
        found.svg(PLAIN)
        with pytest.raises(TooMuchError, match="that takes longer than 1 s"):
            found.svg({**PLAIN, "width": 1e9})
        assert found.svg(PLAIN).startswith("<svg"), "in another process"
        assert found._process
        found._process.kill()
        found._process.wait()
        with pytest.raises(TooMuchError, match="that ends the process"):
            found.svg(PLAIN)


def test_the_script_is_put_together_once(tmp_path: Path) -> None:
    made = vega.script(tmp_path)
    assert "vegaEmbed" in made
    (kept,) = tmp_path.iterdir()
    kept.write_text("kept")
    assert vega.script(tmp_path) == "kept"
