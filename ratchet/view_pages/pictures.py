"""A picture as a page can show it: what it is, how large, or why it can't be shown.

Nothing of it is trusted. An SVG or a PNG stands in an `<img>`, where no script of theirs runs and nothing is loaded; a
Vega-Lite document is data for the page's own script.
"""

from __future__ import annotations

import base64
import io
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from contract import views as words

# An `<img>` without a size of its own (CSS Images 3, "Default Sizing Algorithm").
DEFAULT_SIZE = (300.0, 150.0)
# Of a Vega-Lite document: pixels of a side, which a browser would have to draw, and levels of nesting.
LONGEST, DEEPEST = 10_000, 100
# A PNG of fewer pixels a side is shown in a multiple of them, up to so many.
FEW_PIXELS, ENLARGED = 160, 320

_PNG = b"\x89PNG\r\n\x1a\n"
_LENGTH = re.compile(r"\s*(\d{1,12}(?:\.\d{0,12})?)\s*(?:px)?\s*", re.ASCII)


class UnusableError(Exception):
    """A picture that a page can't show; the message says why."""


class TooMuchError(UnusableError):
    """A picture that takes more time or memory to draw than there is."""


@dataclass(frozen=True)
class Shape:
    """A picture's own size in pixels."""

    width: float
    height: float


def shape(content: bytes, ending: str) -> Shape | None:
    """The size of a picture that can be shown; None of a Vega-Lite document, which has none before it is drawn.

    Raises:
        UnusableError: it can't be shown.
    """
    if ending == words.VEGA_LITE:
        document(content)
        return None
    return _png(content) if ending == words.PNG else _svg(content)


def data_uri(content: bytes, ending: str) -> str:
    """An SVG or a PNG as a URI that holds it."""
    return f"data:{words.CONTENT_TYPES[ending]};base64,{base64.b64encode(content).decode('ascii')}"


def enlarged(size: Shape) -> Shape:
    """The size in which a PNG is shown."""
    longest = max(size.width, size.height)
    times = ENLARGED // longest if longest < FEW_PIXELS else 1
    return Shape(size.width * times, size.height * times)


def _png(content: bytes) -> Shape:
    """By its first chunk (PNG specification, "IHDR Image header")."""
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 24:
        raise UnusableError("it is no PNG")
    width, height = struct.unpack(">II", content[16:24])
    if not width or not height:
        raise UnusableError("it is no PNG: it has no pixels")
    if width * height > words.PICTURE_PIXELS:
        raise UnusableError(f"it has {width} × {height} pixels, more than the {words.PICTURE_PIXELS:,} that are shown")
    return Shape(float(width), float(height))


def _svg(content: bytes) -> Shape:
    if b"<!ENTITY" in content:
        raise UnusableError("it declares entities, which an SVG here may not")
    try:
        root = next(element for _, element in ElementTree.iterparse(io.BytesIO(content), events=("start",)))  # noqa: S314 - the root alone, and no entities
    except (ElementTree.ParseError, StopIteration, LookupError, ValueError) as error:
        raise UnusableError(f"it is no SVG: {error}") from error
    if root.tag != "{http://www.w3.org/2000/svg}svg":
        raise UnusableError("it is no SVG: its first element is no svg of http://www.w3.org/2000/svg")
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    of_box = [_length(part) for part in box[2:4]] if len(box) == 4 else [None, None]
    width, height = _length(root.get("width")), _length(root.get("height"))
    if of_box[0] and of_box[1] and not (width and height):
        ratio = of_box[0] / of_box[1]
        width, height = (width or (height * ratio if height else of_box[0])), height or (width or of_box[0]) / ratio
    return Shape(width or DEFAULT_SIZE[0], height or DEFAULT_SIZE[1])


def _length(text: str | None) -> float | None:
    """Pixels; None of any other length, and of none at all."""
    found = _LENGTH.fullmatch(text or "")
    return float(found[1]) or None if found else None


def document(content: bytes) -> dict[str, Any]:
    """A Vega-Lite document, without what would have a page load something or be drawn otherwise than by the page.

    Raises:
        UnusableError: it is none, loads data, or is too large to be drawn.
    """
    try:
        found = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnusableError("it is no Vega-Lite document, which is a JSON object")
    # How vega-embed is to draw, which is the page's business; and the address of a schema, which nobody asks.
    kept = {name: value for name, value in found.items() if name not in ("usermeta", "$schema")}
    for path, parent, name, value in _fields(kept):
        if name == "url" and parent == "data":
            raise UnusableError(f"{path} loads data from elsewhere; a view's data stand in its document")
        if (name in ("width", "height") or (name == "step" and parent in ("width", "height"))) and _is_long(value):
            raise UnusableError(f"{path} is {value:g}; more than {LONGEST} pixels aren't drawn")
    return kept


def _fields(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """(path, the name that its object has, name, value) of every field of every object."""
    waiting: list[tuple[str, str, Any, int]] = [("", "", found, 0)]
    while waiting:
        path, own, value, depth = waiting.pop()
        if depth > DEEPEST:
            raise UnusableError(f"{path[:80]}… is nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            # Rows are no part of the document's structure, whatever they call their columns.
            for name, each in value.items():
                yield f"{path}{name}", own, name, each
            parts = [(f"{path}{name}.", name, each, depth + 1) for name, each in value.items() if name != "values"]
            waiting.extend(part for part in parts if part[1] != "datasets" or depth)
        elif isinstance(value, list):
            waiting.extend((f"{path}{place}.", own, each, depth + 1) for place, each in enumerate(value))


def _is_long(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > LONGEST


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which JSON has not")
