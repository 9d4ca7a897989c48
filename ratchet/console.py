"""Rich's console, through which nothing reaches the terminal but text and Rich's own controls."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ratchet.terminal import shown


class SafeConsole(Console):
    """Shows control characters in any text, wherever it comes from, however it is laid out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_line(segment.text), segment.style)


def _line(text: str) -> str:
    return text if text.isprintable() or text == "\n" else shown(text)
