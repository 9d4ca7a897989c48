"""The page that follows a run's views, served to this machine's browsers while a command runs.

It answers on 127.0.0.1 only, to who has come by that name (a page of elsewhere, whose name has been made to lead here,
comes by its own), and serves the page, what there is of the views, and their pictures: no file.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from contract import times
from contract import views as words
from ratchet import pages
from ratchet.terminal import shown
from ratchet.view_pages import pictures, section, vega
from ratchet.view_pages.pictures import UnusableError
from ratchet.views import Picture, View

# A browser that says nothing more is left.
IDLE_SECONDS = 30.0
_PICTURE = re.compile(r"/pictures/([A-Za-z0-9_-]{1,64})/(\d{12})")
# Of a picture that is opened by itself: whatever it holds, it runs nothing, and loads nothing.
_HARMLESS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

Document = dict[str, Any]
Content = Callable[[str, Picture], bytes | None]


@dataclass(frozen=True)
class Shown:
    """What the page shows: a headline, views, whether more may come; and the folder in which their pictures lie."""

    headline: str = ""
    ended: bool = False
    folder: str = ""
    views: tuple[View, ...] = ()
    version: int = 0
    by_name: Mapping[tuple[str, int], Picture] = field(default_factory=dict)


class LivePage:
    """The page, and the server of it; it ends with the block.

    content: asked for a picture's content, by its folder, from several threads.
    """

    def __init__(self, title: str, content: Content, cache: Path | None = None) -> None:
        self._shown, self._content, self._lock = Shown(), content, threading.Lock()
        self._html, self._policy = _page(title, cache)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="views-page", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> LivePage:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def show(self, headline: str, folder: str, views: tuple[View, ...], *, ended: bool) -> None:
        """Has the page show this from now on."""
        new = Shown(headline, ended, folder, views)
        with self._lock:
            old = self._shown
            if (new.headline, new.ended, new.folder, new.views) == (old.headline, old.ended, old.folder, old.views):
                return
            by_name = {(view.name, picture.step): picture for view in views for picture in view.pictures}
            self._shown = Shown(headline, ended, folder, views, old.version + 1, by_name)

    def answer(self, target: str) -> tuple[HTTPStatus, str, bytes, str]:
        """(status, content type, content, its policy) of what a path stands for."""
        parts = urlsplit(target)
        with self._lock:
            now = self._shown
        if parts.path == "/":
            return HTTPStatus.OK, "text/html; charset=utf-8", self._html, self._policy
        if parts.path == "/views.json":
            if parts.query == f"after={now.version}":
                return HTTPStatus.NO_CONTENT, "", b"", _HARMLESS
            return HTTPStatus.OK, "application/json", json.dumps(_document(now)).encode(), _HARMLESS
        found = _PICTURE.fullmatch(parts.path)
        picture = now.by_name.get((found[1], int(found[2]))) if found else None
        if picture is None:
            return _refusal(HTTPStatus.NOT_FOUND, "there is no such picture")
        return self._picture(now.folder, picture)

    def _picture(self, folder: str, picture: Picture) -> tuple[HTTPStatus, str, bytes, str]:
        content = self._content(folder, picture)
        if content is None:
            return _refusal(HTTPStatus.NOT_FOUND, "it is no longer there")
        try:
            if picture.ending == words.VEGA_LITE:
                content = json.dumps(pictures.document(content), allow_nan=False).encode()
            else:
                pictures.shape(content, picture.ending)
        except (UnusableError, ValueError) as error:
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, shown(str(error)))
        return HTTPStatus.OK, words.CONTENT_TYPES[picture.ending], content, _HARMLESS


def _refusal(status: HTTPStatus, why: str) -> tuple[HTTPStatus, str, bytes, str]:
    return status, "text/plain; charset=utf-8", why.encode(), _HARMLESS


def _page(title: str, cache: Path | None) -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy."""
    scripts = [vega.script(cache), section.own_script(), section.own_script("views_live.js")]
    whole = section.made((), {"start": None, "live": True}, scripts)
    template = pages.templates().get_template("views_live.html.j2")
    empty = section.Figure("", "", (), ())
    policy = pages.policy(whole.scripts, "img-src 'self' data:", "connect-src 'self'", "frame-ancestors 'none'")
    return template.render(title=title, section=whole, empty=empty).encode(), policy


def _document(now: Shown) -> Document:
    """What the page's script asks for."""
    return {
        "version": now.version,
        "headline": shown(now.headline),
        "ended": now.ended,
        "views": [
            {
                "name": view.name,
                "told": section.told(view),
                "sentences": section.sentences(view) if view.pictures or now.ended else ("No picture of it yet.",),
                "problems": section.problems(view),
                "pictures": [_told(view, picture) for picture in view.pictures],
            }
            for view in now.views
        ],
    }


def _told(view: View, picture: Picture) -> Document:
    at = times.text(picture.at) if picture.at else None
    return {
        "step": picture.step,
        "at": at,
        "kind": section.VEGA if picture.ending == words.VEGA_LITE else section.IMAGE,
        "pixels": picture.ending == words.PNG,
        # Another address for one that was drawn anew.
        "url": f"/pictures/{view.name}/{picture.step:012d}?{quote(f'{at}-{picture.bytes}')}",
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page: LivePage) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = page

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a browser that goes away in the middle is no error of the command's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "Ratchet", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        if self.headers.get("Host") not in (f"127.0.0.1:{self.server.page.port}", f"localhost:{self.server.page.port}"):
            self._send(*_refusal(HTTPStatus.MISDIRECTED_REQUEST, f"this page is {self.server.page.url}"))
            return
        try:
            answer = self.server.page.answer(self.path)
        except Exception as error:  # noqa: BLE001 - AWS can't be reached, say: the page goes on
            answer = _refusal(HTTPStatus.BAD_GATEWAY, shown(str(error)))
        self._send(*answer)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str) -> None:
        # A picture's address says which one it is.
        is_kept = status == HTTPStatus.OK and self.path.startswith("/pictures/")
        self.send_response(status)
        for name, value in {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            # No page of elsewhere may embed it.
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "private, max-age=86400" if is_kept else "no-store",
        }.items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's name
        """Says nothing."""
