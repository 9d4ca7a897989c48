"""Digits in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from demo.data import SIDE, Row

# From a pixel's 0 to its 16; two characters a pixel, since a terminal's are twice as high as wide.
SHADES = " ░▒▓█"
GAP = "   "


def drawn(digits: Sequence[Row]) -> list[str]:
    """The digits side by side, a line of text a row of pixels."""
    return [GAP.join(_line(digit, y) for digit in digits) for y in range(SIDE)]


def captioned(texts: Sequence[str]) -> str:
    """A text under each digit."""
    return GAP.join(text.center(2 * SIDE) for text in texts)


def _line(digit: Row, y: int) -> str:
    pixels = digit[1 + SIDE * y : 1 + SIDE * (y + 1)]
    return "".join(2 * SHADES[min(int(pixel) * len(SHADES) // 17, len(SHADES) - 1)] for pixel in pixels)
