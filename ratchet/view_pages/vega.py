"""Vega-Lite outside of a browser: the script that draws it in a page, and documents as SVGs.

vl-convert (https://github.com/vega/vl-convert) holds both: the scripts, and an interpreter that runs them. Documents
are drawn in a process of its own, since one that asks for too much ends its interpreter, and the process with it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from ratchet.tuning import theme
from ratchet.view_pages.pictures import TooMuchError, UnusableError

# The newest of vl-convert's, which read older documents, too.
VEGA_LITE = "6.4"
# Of one drawing; the first one also starts the interpreter, which takes seconds on a busy machine.
SECONDS, FIRST_SECONDS = 15.0, 60.0
# A page's plots, unless their documents say a size.
WIDTH, HEIGHT = 340, 220
# So that ten classes have ten colours, on light and on dark.
_MORE = ("#8C6BB1", "#A6761D")


def script(cache: Path | None = None) -> str:
    """Vega, Vega-Lite and vega-embed as one script, which takes seconds to put together.

    cache: the folder in which it is kept.
    """
    kept = cache / f"vega-{version('vl-convert-python')}-{VEGA_LITE}.js" if cache else None
    if kept and kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert  # noqa: PLC0415 - 80 MB, for pages that need it

    bundle: Any = vl_convert.javascript_bundle
    made: str = bundle(vl_version=VEGA_LITE)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f".{kept.name}.{os.getpid()}")
        beside.write_text(made, encoding="utf-8")
        beside.replace(kept)
    return made


def config(looks: theme.Theme, background: str | None = None) -> dict[str, Any]:
    """How a view's document looks unless it says otherwise: as tuning jobs' pictures, with legends and headers."""
    labels = {"labelFont": theme.FONT, "titleFont": theme.FONT, "labelColor": looks.soft, "titleColor": looks.soft}
    ramps = {name: list(looks.ramp) for name in ("ramp", "heatmap", "ordinal")}
    shared = theme.config(looks, background)
    return {
        **shared,
        "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": HEIGHT},
        "legend": {**labels, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11, "symbolSize": 60},
        "header": {**labels, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11},
        "axis": {**shared["axis"], "labelOverlap": True},
        "range": {**shared["range"], **ramps, "category": [*looks.palette, *_MORE]},
        "mark": {"color": looks.palette[0]},
        "text": {"color": looks.ink, "font": theme.FONT},
        "rule": {"color": looks.soft},
    }


class Drawer:
    """Draws documents as SVGs, on white, in a process that is started with the first and ended with the block."""

    def __init__(self, seconds: float = SECONDS, first_seconds: float = FIRST_SECONDS) -> None:
        self._seconds, self._first_seconds = seconds, first_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Drawer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def svg(self, document: Mapping[str, Any]) -> str:
        """The document, drawn.

        Raises:
            UnusableError: it can't be; the message says why. TooMuchError, which is one: it takes too long.
        """
        is_first = self._process is None
        process = self._process = self._process or _start()
        seconds = self._first_seconds if is_first else self._seconds
        try:
            line = _asked(process, json.dumps(document).encode() + b"\n", seconds)
        except (OSError, TimeoutError) as error:
            self._end()
            why = f"takes longer than {seconds:g} s" if isinstance(error, TimeoutError) else "ends the process"
            raise TooMuchError(f"Vega-Lite can't draw it: that {why}") from error
        answer = json.loads(line)
        if "error" in answer:
            raise UnusableError(f"Vega-Lite can't draw it: {answer['error']}")
        return str(answer["svg"])

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _start() -> subprocess.Popen[bytes]:
    # Its interpreter says on standard error where in its own memory it was when it ended.
    return subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def _asked(process: subprocess.Popen[bytes], line: bytes, seconds: float) -> bytes:
    """The line that answers a line. Raises OSError when the process has ended, TimeoutError when it takes too long."""
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    end = time.monotonic() + seconds
    process.stdin.write(line)
    process.stdin.flush()
    answer = b""
    while not answer.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            raise TimeoutError
        more = os.read(process.stdout.fileno(), 1 << 20)
        if not more:
            raise BrokenPipeError
        answer += more
    return answer


def main() -> None:
    """Answers each line, a document, with a line: {"svg": …} or {"error": …}."""
    import vl_convert  # noqa: PLC0415

    looks = config(theme.LIGHT, background=theme.LIGHT.card)
    for line in sys.stdin.buffer:
        try:
            # Loads nothing, wherever a document points.
            svg = vl_convert.vegalite_to_svg(
                json.loads(line), vl_version=VEGA_LITE, config=looks, allowed_base_urls=[], show_warnings=False
            )
            answer = {"svg": svg}
        except Exception as error:  # noqa: BLE001 - whatever a document makes it fail of is said of the document
            answer = {"error": _first_line(str(error))}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _first_line(text: str) -> str:
    """What a stack of JavaScript is about."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = next(
        (line for line in lines if line.startswith(("Error", "TypeError", "RangeError"))), lines[0] if lines else ""
    )
    return told[:300]


if __name__ == "__main__":
    main()
