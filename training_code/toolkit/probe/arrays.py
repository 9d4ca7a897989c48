"""How the probe reads tensors, whatever framework they are of."""

from __future__ import annotations

from typing import Any, Protocol

from toolkit.probe.tensor_files import Stored


class Arrays(Protocol):
    """One framework's tensors, as the probe reads them."""

    def stored(self, tensor: Any) -> Stored:
        """A copy in the machine's memory, which later changes of the tensor don't reach."""

    def reduced(self, tensor: Any, reductions: tuple[str, ...]) -> dict[str, Any]:
        """Numbers of it (reductions.py), without a copy of the whole."""

    def described(self, tensor: Any) -> tuple[tuple[int, ...], str]:
        """Its shape, and its type in safetensors's words."""
