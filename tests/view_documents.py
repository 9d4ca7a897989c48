"""Made-up views as a training would leave them: documents, and pictures of every kind, also of those who mean harm."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contract import times
from ratchet import views
from ratchet.view_pages.section import Kept
from ratchet.views import View

EVERY = 100

Draw = Callable[[int], bytes]


def point_cloud(step: int, points: int = 300) -> bytes:
    """A Vega-Lite document: ten clusters that part as the steps go by."""
    rows = []
    for number in range(points):
        digit, angle = number % 10, number * 2.399963
        apart, wide = 4 * (1 - math.exp(-step / 3000)), 1.6 * math.exp(-step / 6000) + 0.3
        rows.append(
            {
                "x": round(apart * math.cos(digit * 0.628) + wide * math.sin(angle) * (number % 7) / 7, 3),
                "y": round(apart * math.sin(digit * 0.628) + wide * math.cos(angle) * (number % 11) / 11, 3),
                "digit": str(digit),
            }
        )
    return encoded(
        {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "background": None,
            "title": f"t-SNE of the latents, step {step}",
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "tooltip": True},
            "encoding": {
                "x": {"field": "x", "type": "quantitative", "title": None, "scale": {"domain": [-6, 6]}},
                "y": {"field": "y", "type": "quantitative", "title": None, "scale": {"domain": [-6, 6]}},
                "color": {"field": "digit", "type": "nominal"},
            },
        }
    )


def line_chart(step: int) -> bytes:
    """A Vega-Lite document that is as wide as its place: losses until a step."""
    rows = [{"step": at, "loss": round(2.3 * math.exp(-at / 4000), 4)} for at in range(0, step + 1, EVERY)]
    return encoded(
        {
            "width": "container",
            "data": {"values": rows},
            "mark": "line",
            "encoding": {
                "x": {"field": "step", "type": "quantitative"},
                "y": {"field": "loss", "type": "quantitative"},
            },
        }
    )


def drawing(step: int, width: int = 420, height: int = 240) -> bytes:
    """An SVG that reads on light and on dark: a bar for each of ten classes."""
    bars = "".join(
        f'<rect class="accent" x="{20 + 40 * place}" width="28" y="{height - 30 - tall:.1f}" height="{tall:.1f}"/>'
        for place, tall in enumerate(150 * (1 - math.exp(-step * (place + 1) / 20000)) + 4 for place in range(10))
    )
    dark = "@media (prefers-color-scheme:dark){.ink{fill:#e6edf3}.accent{fill:#58a6ff}}"
    style = f".ink{{fill:#1f2328}}.accent{{fill:#0969da}}{dark}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<style>{style}</style>{bars}<text class="ink" x="20" y="{height - 8}" font-size="14">step {step}</text></svg>'
    ).encode()


def pixels(step: int, side: int = 28) -> bytes:
    """A PNG of gray levels that sharpen as the steps go by."""
    sharp = 1 - math.exp(-step / 5000)
    rows = [
        [
            int(
                127
                + 127 * sharp * math.sin((x - side / 2) ** 2 / 40 + (y - side / 2) ** 2 / 30)
                + (step * 31 + x * y) % 5
                - 2
            )
            for x in range(side)
        ]
        for y in range(side)
    ]
    return png(rows)


def png(rows: Sequence[Sequence[int]]) -> bytes:
    """Gray levels as a PNG."""
    return (
        header(len(rows[0]), len(rows))
        + _chunk(
            b"IDAT", zlib.compress(b"".join(b"\0" + bytes(max(0, min(255, value)) for value in row) for row in rows))
        )
        + _chunk(b"IEND", b"")
    )


def header(width: int, height: int) -> bytes:
    """The beginning of a PNG of this size."""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def ending_of(content: bytes) -> str:
    return "png" if content.startswith(b"\x89PNG") else "svg" if content.lstrip().startswith(b"<") else "vl.json"


def document(
    name: str, contents: Mapping[int, bytes], start: datetime, *, every: int = EVERY, **changes: Any
) -> dict[str, Any]:
    """A view's document; a step takes 40 ms."""
    return {
        "name": name,
        "view": name,
        "every": every,
        "parameters": {},
        "status": "ended",
        "pictures": [
            {
                "step": step,
                "file": f"views/{name}/{step:012d}.{ending_of(content)}",
                "bytes": len(content),
                "seconds": 0.2,
                "at": times.text(start + timedelta(seconds=2 + 0.04 * step)),
            }
            for step, content in contents.items()
        ],
        "skipped": 0,
        "failed": 0,
        "problems": [],
        "seconds": 0.2 * len(contents),
        **changes,
    }


def kept(name: str, contents: Mapping[int, bytes], start: datetime, **changes: Any) -> Kept:
    """A view as a report has gathered it."""
    view: View = views.of_document(name, document(name, contents, start, **changes))
    return Kept(view, tuple((picture, contents[picture.step]) for picture in view.pictures))


def course(draw: Draw, steps: int = 12, every: int = EVERY) -> dict[int, bytes]:
    """Pictures of so many steps."""
    return {every * (number + 1): draw(every * (number + 1)) for number in range(steps)}
