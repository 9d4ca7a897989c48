"""JPEGs and PNGs as what a network takes: small squares in red, green and blue.

The folder's requirements.txt brings Pillow, which no image has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from toolkit.picture_arrays import PicturesError

FORMATS = ("JPEG", "PNG")
# Larger ones would be unpacked into memory only to be made small: a telephone's have 12 to 50 million.
MOST_PIXELS = 64_000_000


def decoded(file: str | Path | BinaryIO, size: int, name: str, *, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """The pixels, whatever the picture's size and colours, as uint8 (size, size, 3).

    Args:
        file: a path or an open file.
        name: what it is called in errors.

    Raises:
        PicturesError: it is neither, it is cut off, or it is too large.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > most_pixels:
                told = f"{name} is {image.width} x {image.height}"
                raise PicturesError(f"{told}; {most_pixels:,} pixels are the most: send it smaller")
            # A JPEG can be read at a half, a quarter or an eighth of its size.
            image.draft("RGB", (size, size))
            return np.array(_coloured(image).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PicturesError(f"{name} can't be read as a JPEG or PNG: {error}") from error


def _coloured(image: Any) -> Any:
    """The picture in red, green and blue: grey, with a palette, CMYK, of 16 bits, or with parts one can see through."""
    from PIL import Image

    if image.mode.startswith("I"):  # of 16 bits, which `convert` would cut off at 255
        return Image.fromarray((np.asarray(image, np.float32) / 257).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        behind = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
