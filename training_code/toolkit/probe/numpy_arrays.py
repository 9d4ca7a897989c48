"""NumPy's arrays, and whatever becomes one, for the probe."""

from __future__ import annotations

from typing import Any

from toolkit.probe import reductions
from toolkit.probe.tensor_files import Stored


class NumpyArrays:
    """Reads NumPy's arrays; see arrays.Arrays."""

    def stored(self, tensor: Any) -> Stored:
        """A copy."""
        import numpy as np

        return Stored.of(np.array(tensor))

    def reduced(self, tensor: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Numbers, by NumPy's formulas."""
        return {name: reductions.of(tensor, name) for name in wanted}

    def described(self, tensor: Any) -> tuple[tuple[int, ...], str]:
        """The shape and type, without a copy."""
        import numpy as np

        found = Stored.of(np.asarray(tensor))
        return tuple(found.array.shape), found.dtype


NUMPY = NumpyArrays()
