"""Numbers of a tensor, with NumPy. x are its n elements as float64; those of half precision are widened first.

    mean      Σx / n                     norm   √Σx²  (L2)            abs_mean      Σ|x| / n
    variance  Σ(x - mean)² / n           l1     Σ|x|                  abs_variance  of |x|
    std       √variance                  zeros  share of x = 0        abs_std       √abs_variance
    min, max, sum                        nonfinite  how many are NaN or infinite
    histogram {"edges": [65], "counts": [64]}: equal bins from min to max of the finite elements

NaN and infinities show in all of them but the histogram, as NumPy has it. Of an empty tensor they are NaN, sums are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BINS = 64


def of(array: Array, reduction: str) -> Any:
    """A tensor's reduction: a float, or a histogram. Raises KeyError for an unknown one."""
    import numpy as np

    if reduction == "histogram":
        return histogram(array)
    with np.errstate(all="ignore"):
        numbers = np.asarray(array, np.float64)
        if reduction in _OF_NOTHING or numbers.size:
            return float(_FORMULAS[reduction](numbers))
        _FORMULAS[reduction]
        return float("nan")


def histogram(array: Array) -> dict[str, list[float]]:
    """64 equal bins over the finite elements."""
    import numpy as np

    flat = np.asarray(array).reshape(-1)
    flat = flat.astype(np.float64 if flat.dtype == np.float64 else np.float32, copy=False)
    # A total is finite only if all are, which costs a fifth of asking each.
    with np.errstate(all="ignore"):
        finite = flat if np.isfinite(flat.sum(dtype=np.float64)) else flat[np.isfinite(flat)]
    if not finite.size:
        return {"edges": [0.0, 0.0], "counts": [0.0]}
    counts, edges = np.histogram(finite, BINS, spread(float(finite.min()), float(finite.max())))
    return {"edges": edges.astype(float).tolist(), "counts": counts.astype(float).tolist()}


def spread(low: float, high: float) -> tuple[float, float]:
    """The histogram's ends: wide enough for its bins to differ, even of elements that hardly do."""
    size = max(abs(low), abs(high))
    if high - low > max(1e-4 * size, 1e-30):
        return low, high
    half = max(size, 1.0) / 2
    return low - half, high + half


_OF_NOTHING = frozenset({"sum", "norm", "l1", "nonfinite"})
_FORMULAS: Mapping[str, Callable[[Any], Any]] = {
    "mean": lambda x: x.mean(),
    "std": lambda x: x.std(),
    "variance": lambda x: x.var(),
    "min": lambda x: x.min(),
    "max": lambda x: x.max(),
    "sum": lambda x: x.sum(),
    "norm": lambda x: (x * x).sum() ** 0.5,
    "l1": lambda x: abs(x).sum(),
    "zeros": lambda x: (x == 0).mean(),
    "nonfinite": lambda x: x.size - _finite(x).sum(),
    "abs_mean": lambda x: abs(x).mean(),
    "abs_std": lambda x: abs(x).std(),
    "abs_variance": lambda x: abs(x).var(),
    "abs_min": lambda x: abs(x).min(),
    "abs_max": lambda x: abs(x).max(),
}


def _finite(x: Array) -> Any:
    import numpy as np

    return np.isfinite(x)
