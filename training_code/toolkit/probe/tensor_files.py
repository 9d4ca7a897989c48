"""Whole tensors as safetensors files: written once, in the order given; one tensor read without the others.

The format (github.com/huggingface/safetensors, "Format"): 8 bytes, little-endian, the length of a JSON header; the
header {name: {"dtype", "shape", "data_offsets": [begin, end]}}; then the tensors' bytes, row-major, little-endian. It
is written here rather than by its library because the framework images lack that, and a job may have no network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import ProbeError
from toolkit.safetensors_types import DTYPES, NAMES

if TYPE_CHECKING:
    import numpy as np

    # (offset, length) -> bytes, of a file or of an object in S3.
    Reader = Callable[[int, int], bytes]

BFLOAT16 = "BF16"


@dataclass(frozen=True)
class Stored:
    """A tensor as it is written. dtype: safetensors's word; of BF16, which NumPy lacks, `array` holds the bits."""

    array: np.ndarray[Any, Any]
    dtype: str

    @staticmethod
    def of(array: Any) -> Stored:
        """Makes one of anything that NumPy takes. Raises ProbeError for what isn't numbers."""
        import numpy as np

        plain = np.asarray(array)
        if plain.dtype.name not in DTYPES:
            raise ProbeError(f"tensors of {plain.dtype.name} can't be saved; convert them to numbers first")
        return Stored(np.require(plain, plain.dtype.newbyteorder("<"), ["C"]), DTYPES[plain.dtype.name])

    @staticmethod
    def of_bits(bits: Any, dtype: str = BFLOAT16) -> Stored:
        """Makes one of a 16-bit type's bits (uint16)."""
        import numpy as np

        return Stored(np.require(bits, "<u2", ["C"]), dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return int(self.array.nbytes)

    def numbers(self) -> np.ndarray[Any, Any]:
        """The array that NumPy computes with; BF16 as float32."""
        return _widened(self.array) if self.dtype == BFLOAT16 else self.array


def write(path: Path, tensors: Mapping[str, Stored]) -> None:
    """Writes the tensors to one file, which is there whole or not at all. Raises OSError."""
    header, begin = {}, 0
    for name, tensor in tensors.items():
        offsets = [begin, begin := begin + tensor.nbytes]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.array.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts aligned
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(len(text).to_bytes(8, "little"))
            file.write(text)
            for tensor in tensors.values():
                file.write(tensor.array.reshape(-1).view("u1").data)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def read(reader: Reader, name: str, where: str) -> np.ndarray[Any, Any]:
    """One tensor of a file; BF16 comes as float32.

    Args:
        where: what the file is called in an error.

    Raises:
        ProbeError: the file isn't one, or doesn't hold the tensor.
    """
    import numpy as np

    try:
        length = int.from_bytes(reader(0, 8), "little")
        found = json.loads(reader(8, length))[name]
        begin, end = found["data_offsets"]
        kind = "<u2" if found["dtype"] == BFLOAT16 else np.dtype(NAMES[found["dtype"]]).newbyteorder("<")
        content = bytearray(reader(8 + length + begin, end - begin) if end > begin else b"")
        array = np.frombuffer(content, kind).reshape(found["shape"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeError(f"{where}: can't read tensor {name} ({type(error).__name__}: {error})") from error
    return _widened(array) if found["dtype"] == BFLOAT16 else array


def _widened(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float32 of bfloat16's bits, which are its upper half."""
    return (bits.astype("<u4") << 16).view("<f4")
