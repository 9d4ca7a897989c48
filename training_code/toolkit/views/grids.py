"""Many small pictures in one: rows and columns with captions, as an SVG."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError
from toolkit.views import svg
from toolkit.views.pixels import png, to_pixels

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_GAP, _FONT = 6.0, 12.0


def image_grid(
    rows: Sequence[Sequence[Any]],
    *,
    row_names: Sequence[object] = (),
    column_names: Sequence[object] = (),
    scale: float = 4,
    title: str = "",
) -> str:
    """An SVG of pictures in rows, with captions that are readable on light and on dark pages.

    Args:
        rows: arrays (height, width) or (height, width, 3), all of one size: uint8, or floats from 0 (black) to 1
            (white), beyond which they are cut; `to_pixels` spreads others. None leaves a place empty.
        row_names, column_names: captions, at the left and above.
        scale: how many pixels of the SVG a pixel is wide.
        title: what the picture shows, for those who can't see it.

    Raises:
        ToolkitError: something in it is no picture, or of another size; the message says where.
    """
    pictures = [[_pixels(each, row, column) for column, each in enumerate(of)] for row, of in enumerate(rows)]
    height, width = _size(pictures)
    left = max((svg.width_of(name, _FONT) for name in row_names), default=0.0) + (_GAP if row_names else 0.0)
    top = _FONT + _GAP if column_names else 0.0
    across, down = width * scale + _GAP, height * scale + _GAP
    parts = [
        *_captions(column_names, lambda column: (left + column * across + width * scale / 2, _FONT), "middle"),
        *_captions(row_names, lambda row: (left - _GAP, top + row * down + height * scale / 2 + _FONT / 3), "end"),
        *(
            _image(each, left + column * across, top + row * down, scale)
            for row, of in enumerate(pictures)
            for column, each in enumerate(of)
            if each is not None
        ),
    ]
    columns = max(map(len, pictures))
    return svg.document(left + columns * across - _GAP, top + len(pictures) * down - _GAP, *parts, title=title)


def _captions(names: Sequence[object], place: Callable[[int], tuple[float, float]], anchor: str) -> Iterator[str]:
    for number, name in enumerate(names):
        yield svg.text(*place(number), name, size=_FONT, anchor=anchor)


def _pixels(picture: Any, row: int, column: int) -> Array | None:
    import numpy as np

    if picture is None:
        return None
    array = np.asarray(picture)
    pixels = to_pixels(array, 0.0, 1.0)
    if pixels.ndim not in {2, 3}:
        where = f"row {row}, column {column}"
        raise ToolkitError(
            f"image_grid: {where}: a picture is (height, width) or (height, width, 3), not {array.shape}"
        )
    return pixels


def _size(pictures: Sequence[Sequence[Array | None]]) -> tuple[int, int]:
    sizes = {each.shape[:2] for of in pictures for each in of if each is not None}
    if len(sizes) != 1:
        found = " and ".join(map(str, sorted(sizes))) or "none"
        raise ToolkitError(f"image_grid: pictures must be of one size; there are {found}")
    return sizes.pop()  # type: ignore[return-value]


def _image(pixels: Array, x: float, y: float, scale: float) -> str:
    data = base64.b64encode(png(pixels)).decode("ascii")
    size = f'width="{pixels.shape[1] * scale:g}" height="{pixels.shape[0] * scale:g}"'
    return f'<image x="{x:g}" y="{y:g}" {size} style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
