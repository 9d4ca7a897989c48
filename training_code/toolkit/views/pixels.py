"""Pictures made of pixels, as PNG files; needs nothing but NumPy and zlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError
from toolkit.probe import event_files

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def png(pixels: Array) -> bytes:
    """A PNG file of pixels: uint8 (height, width) or (height, width, 3); see `to_pixels` for numbers.

    Raises:
        ToolkitError: the array is no picture; the message says why.
    """
    import numpy as np

    array = np.asarray(pixels)
    if array.dtype != np.uint8:
        raise ToolkitError(f"png: pixels are uint8, not {array.dtype}; toolkit.views.to_pixels makes them of numbers")
    return event_files.png(_picture(array))


def to_pixels(numbers: Any, low: float | None = None, high: float | None = None) -> Array:
    """uint8 pixels of numbers, `low` black and `high` white; by default their least and greatest.

    uint8 stays as it is. What isn't finite is black. A framework's tensor counts if NumPy takes it.
    """
    import numpy as np

    array = np.asarray(numbers)
    if array.dtype == np.uint8:
        return array
    array = array.astype(np.float64)
    finite = array[np.isfinite(array)]
    low = (float(finite.min()) if finite.size else 0.0) if low is None else low
    high = (float(finite.max()) if finite.size else 1.0) if high is None else high
    spread = (array - low) * (255 / (high - low) if high > low else 1.0)
    return np.nan_to_num(spread, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).round().astype(np.uint8)


def _picture(array: Array) -> Array:
    """As (height, width, 1 or 3)."""
    import numpy as np

    whole = array[..., None] if array.ndim == 2 else array
    if whole.ndim == 3 and whole.shape[0] in {1, 3} and whole.shape[2] not in {1, 3}:
        whole = np.moveaxis(whole, 0, -1)  # as PyTorch has it: the channels first
    if whole.ndim != 3 or whole.shape[2] not in {1, 3} or 0 in whole.shape:
        raise ToolkitError(f"a picture is (height, width) or (height, width, 3), not {array.shape}")
    return np.ascontiguousarray(whole)
