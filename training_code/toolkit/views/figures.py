"""What a view returns, as a picture's bytes: checked here, so that a page can trust what it finds."""

from __future__ import annotations

import json
import struct
import xml.parsers.expat
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from contract.views import PICTURE_BYTES, PICTURE_PIXELS, PNG, SVG, VEGA_LITE
from toolkit.views.errors import FigureError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# One of them makes a document a Vega-Lite one ("View specification", Vega-Lite's documentation).
_VIEWS = ("mark", "layer", "facet", "spec", "hconcat", "vconcat", "concat", "repeat")
_SVG_ROOTS = ("http://www.w3.org/2000/svg svg",)


def picture(figure: Any) -> tuple[str, bytes]:
    """The format (SVG, PNG or VEGA_LITE) and the content. Raises FigureError."""
    ending, content = _content(figure)
    if len(content) > PICTURE_BYTES:
        most = f"{PICTURE_BYTES / 2**20:g} MiB"
        raise FigureError(f"the picture has {len(content) / 2**20:.1f} MiB; at most {most}: draw less, or smaller")
    {SVG: _check_svg, PNG: _check_png, VEGA_LITE: lambda _: None}[ending](content)
    return ending, content


def _content(figure: Any) -> tuple[str, bytes]:
    if hasattr(figure, "to_dict") and not isinstance(figure, dict):
        figure = figure.to_dict()
        if not isinstance(figure, dict):
            raise FigureError(f"the figure's to_dict() gave {_kind(figure)}; a Vega-Lite document is a dict")
    if isinstance(figure, dict):
        return VEGA_LITE, _vega_lite(figure)
    if isinstance(figure, str):
        return SVG, figure.encode("utf-8", "surrogatepass")
    if isinstance(figure, (bytes, bytearray, memoryview)):
        return PNG, bytes(figure)
    raise FigureError(
        f"the view returned {_kind(figure)}; a figure is a dict (Vega-Lite), a str (SVG) or bytes (PNG){_hint(figure)}"
    )


def _kind(value: Any) -> str:
    return (
        "None" if value is None else f"a {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")
    )


def _hint(figure: Any) -> str:
    if figure is None:
        return "; is a `return` missing?"
    if hasattr(figure, "savefig"):
        return '; of Matplotlib: figure.savefig(buffer := io.StringIO(), format="svg"); return buffer.getvalue()'
    if hasattr(figure, "dtype"):
        return "; of pixels toolkit.views.png makes a PNG"
    return ""


# Vega-Lite


def _vega_lite(document: dict[Any, Any]) -> bytes:
    schema = document.get("$schema", "")
    if not isinstance(schema, str) or ("vega" in schema and "vega-lite" not in schema):
        raise FigureError(f"$schema is {schema!r}: the document is no Vega-Lite")
    if not any(name in document for name in _VIEWS):
        raise FigureError(f"the dict is no Vega-Lite document: it has none of {', '.join(_VIEWS)}")
    if isinstance(document.get("data"), (list, tuple)):
        raise FigureError('data is a list, which Vega-Lite takes for nothing; write {"values": …} around it')
    try:
        whole = _json(document)
        for url in _urls(whole):
            raise FigureError(f"data must stand in the document (values); a page doesn't load {url!r}")
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FigureError(f"the Vega-Lite document can't be written as JSON: {error}") from error


def _json(value: Any) -> Any:
    """With NumPy's arrays and numbers as lists and numbers; null for what isn't finite."""
    if isinstance(value, Mapping):
        if wrong := [name for name in value if not isinstance(name, str)]:
            raise TypeError(f"its keys must be text; {wrong[0]!r} isn't")
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(part) for part in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if hasattr(value, "tolist"):
        return _json(value.tolist())
    return value


def _urls(document: Any) -> Iterator[Any]:
    """Of data that stand elsewhere."""
    if isinstance(document, dict):
        data = document.get("data")
        if isinstance(data, dict) and "url" in data:
            yield data["url"]
        for name, part in document.items():
            if name not in ("values", "datasets"):
                yield from _urls(part)
    elif isinstance(document, list):
        for part in document:
            yield from _urls(part)


# SVG


def _check_svg(content: bytes) -> None:
    parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
    roots: list[str] = []

    def started(name: str, _attributes: Mapping[str, str]) -> None:
        if not roots:
            roots.append(name)

    def entity(name: str, *_: Any) -> None:
        raise FigureError(f"the SVG declares the entity {name!r}; write it out")

    parser.StartElementHandler, parser.EntityDeclHandler = started, entity
    try:
        parser.Parse(content, True)
    except xml.parsers.expat.ExpatError as error:
        start = content[:40].decode("utf-8", "replace")
        raise FigureError(f"the str is no SVG document: {error}; it starts with {start!r}") from error
    if roots[0] not in _SVG_ROOTS:
        raise FigureError(
            f"the document is no SVG: its first element is <{roots[0].rpartition(' ')[2]}>; a picture starts with "
            '<svg xmlns="http://www.w3.org/2000/svg" …>'
        )


# PNG (W3C, Portable Network Graphics)


def _check_png(content: bytes) -> None:
    if not content.startswith(_SIGNATURE):
        raise FigureError(f"the bytes are no PNG: they start with {content[:8]!r}")
    kinds = []
    try:
        for kind, body in _chunks(content):
            kinds.append(kind)
            if kind == b"IHDR":
                width, height = struct.unpack(">II", body[:8])
                if width * height > PICTURE_PIXELS or not width * height:
                    raise FigureError(f"the PNG has {width} × {height} pixels; at most {PICTURE_PIXELS:,}")
    except (struct.error, ValueError) as error:
        raise FigureError(f"the PNG is broken: {error}") from error
    if kinds[:1] != [b"IHDR"] or b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise FigureError("the PNG is broken: it lacks its header, its pixels or its end")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body, crc = content[at + 8 : at + 8 + length], content[at + 8 + length : at + 12 + length]
        if struct.unpack(">I", crc)[0] != zlib.crc32(kind + body):
            raise ValueError(f"the checksum of a chunk ({kind!r}) is wrong")
        yield kind, body
        at += 12 + length
