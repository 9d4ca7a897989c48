"""PyTorch's tensors, for the probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from toolkit.probe.reductions import BINS, spread
from toolkit.probe.tensor_files import BFLOAT16, Stored

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: BFLOAT16,
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}


class TorchArrays:
    """Reads PyTorch's tensors; see arrays.Arrays."""

    def stored(self, tensor: Any) -> Stored:
        """A copy; of a sparse tensor, the dense one."""
        plain = tensor.detach()
        plain = plain.to_dense() if plain.layout is not torch.strided else plain
        copy = plain.resolve_conj().resolve_neg().to("cpu", copy=True).contiguous()
        if copy.dtype is torch.bfloat16:
            return Stored.of_bits(copy.view(torch.int16).numpy().view("u2"))
        return Stored.of(copy.numpy())

    @torch.no_grad()
    def reduced(self, tensor: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Numbers, computed by PyTorch where the tensor is; only they leave its device."""
        x = tensor.detach()
        x = x if x.dtype in {torch.float32, torch.float64} else x.to(torch.float32)
        return {name: histogram(x) if name == "histogram" else _number(x, name) for name in wanted}

    def described(self, tensor: Any) -> tuple[tuple[int, ...], str]:
        """The shape and type."""
        return tuple(tensor.shape), _DTYPES.get(tensor.dtype, str(tensor.dtype))


def _number(x: torch.Tensor, name: str) -> float:
    if x.numel() == 0:
        return 0.0 if name in {"sum", "norm", "l1", "nonfinite"} else float("nan")
    return float(_FORMULAS[name](x))


def histogram(x: torch.Tensor) -> dict[str, list[float]]:
    """64 equal bins over the finite elements (reductions.py)."""
    flat = x.reshape(-1)
    flat = flat if bool(torch.isfinite(flat.sum(dtype=torch.float64))) else flat[torch.isfinite(flat)]
    if not flat.numel():
        return {"edges": [0.0, 0.0], "counts": [0.0]}
    low, high = spread(*(float(end) for end in torch.aminmax(flat)))
    counts = torch.histc(flat, BINS, low, high)
    width = (high - low) / BINS
    return {"edges": [low + width * i for i in range(BINS)] + [high], "counts": counts.tolist()}


def _norm(order: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: torch.linalg.vector_norm(x, order)


# |x| by norms (sum, largest and smallest), which make no copy of it; its variance needs one.
_FORMULAS: Mapping[str, Callable[[torch.Tensor], Any]] = {
    "mean": torch.mean,
    "std": lambda x: torch.std(x, correction=0),
    "variance": lambda x: torch.var(x, correction=0),
    "min": torch.min,
    "max": torch.max,
    "sum": torch.sum,
    "norm": _norm(2),
    "l1": _norm(1),
    "zeros": lambda x: 1 - torch.count_nonzero(x) / x.numel(),
    "nonfinite": lambda x: x.numel() - torch.isfinite(x).sum(),
    "abs_mean": lambda x: torch.linalg.vector_norm(x, 1) / x.numel(),
    "abs_std": lambda x: torch.std(x.abs(), correction=0),
    "abs_variance": lambda x: torch.var(x.abs(), correction=0),
    "abs_min": _norm(float("-inf")),
    "abs_max": _norm(float("inf")),
}
TORCH = TorchArrays()
