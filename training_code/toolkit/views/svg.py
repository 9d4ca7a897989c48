"""SVG documents that read well on light and on dark pages.

They stand in `<img>`, where no style of the page reaches them, so they bring their own, by the reader's colour scheme:

    class    as text or area                as a line
    ink      what is to be read             axes, outlines
    soft     captions, less important       secondary lines
    grid     –                              grids, borders that should hardly be seen
    accent   the one thing that stands out  the same

`line` beside one of them makes a line of it: class="line accent". For numbers shown as colours bring your own; steps of
one hue between transparent and opaque (`fill-opacity` on `accent`) work on both.
"""

from __future__ import annotations

from html import escape

_LIGHT = {"ink": "#1f2328", "soft": "#59636e", "grid": "#d1d9e0", "accent": "#0969da"}
_DARK = {"ink": "#e6edf3", "soft": "#9aa6b2", "grid": "#3d444d", "accent": "#58a6ff"}
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def _rules(colours: dict[str, str]) -> str:
    fills = "".join(f".{name}{{fill:{colour}}}" for name, colour in colours.items())
    return fills + "".join(f".line.{name}{{fill:none;stroke:{colour}}}" for name, colour in colours.items())


STYLE = f"text{{font-family:{_FONT}}}{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"


def document(width: float, height: float, *parts: str, title: str = "") -> str:
    """An SVG document of this size, in pixels, with the classes above.

    Args:
        parts: its elements, as text; see `text`, and `escaped` for words within.
        title: what the picture shows, for those who can't see it.
    """
    named = f"<title>{escaped(title)}</title>" if title else ""
    size = f'width="{_number(width)}" height="{_number(height)}" viewBox="0 0 {_number(width)} {_number(height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return f"{head}{named}<style>{STYLE}</style>{''.join(parts)}</svg>"


def text(x: float, y: float, words: object, *, css: str = "ink", size: float = 12, anchor: str = "start") -> str:  # noqa: PLR0913 - as SVG has it
    """A line of text whose baseline is at y. anchor: start, middle or end, which part of it stands at x."""
    where = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" text-anchor="{anchor}"'
    return f'<text {where} class="{css}">{escaped(words)}</text>'


def width_of(words: object, size: float = 12) -> float:
    """About how wide a text is, in pixels; nobody can measure it here."""
    return 0.6 * size * len(str(words))


def escaped(words: object) -> str:
    """Words that may stand in the document, as text or as an attribute's value."""
    return escape(str(words))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
