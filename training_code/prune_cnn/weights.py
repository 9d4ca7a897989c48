"""A network on disk: `model.safetensors` (its state) and `architecture.json`. Data only: nothing in them is run.

The safetensors format (its README, "Format"): 8 bytes with the header's length, a JSON header of name -> dtype, shape
and offsets, then the numbers, little-endian, row by row. Written here in a few lines, because the framework's images
have no package for it.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import torch
from network import Architecture, ArchitectureError, build

STATE, ARCHITECTURE = "model.safetensors", "architecture.json"
_TYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LONGEST_HEADER = 100_000_000


class WeightsError(Exception):
    """A file that holds no tensors, or not those of the architecture beside it."""


def save(folder, arch, state):
    """Writes the network into the folder, which must exist."""
    write(Path(folder) / STATE, state)
    (Path(folder) / ARCHITECTURE).write_text(arch.to_json())


def load(folder):
    """The network in the folder, ready to predict; its architecture.

    Raises:
        WeightsError: the files are missing, broken, or don't fit each other.
    """
    try:
        arch = Architecture.from_json((Path(folder) / ARCHITECTURE).read_text())
        model = build(arch)
        model.load_state_dict(read(Path(folder) / STATE))
    except OSError as error:
        raise WeightsError(f"{error.filename} can't be read: {error.strerror}") from error
    except (ArchitectureError, RuntimeError) as error:
        raise WeightsError(f"{folder}: {error}") from error
    return model.eval(), arch


def write(path, tensors):
    """Writes tensors by name; float32, but int64 for whole numbers."""
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    header, at = {}, 0
    for name, array in arrays.items():
        kind = _NAMES[array.dtype]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with Path(path).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def _array(tensor):
    array = tensor.detach().cpu().numpy()
    return np.ascontiguousarray(array, _TYPES["I64" if array.dtype.kind in "iu" else "F32"]).reshape(array.shape)


def read(path):
    """The tensors of a file, by name.

    Raises:
        WeightsError: not a safetensors file, or one with other types than float32 and int64.
    """
    content = Path(path).read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        if length > _LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = json.loads(content[8 : 8 + length])
        header.pop("__metadata__", None)
        return {name: _tensor(content[8 + length :], **entry) for name, entry in header.items()}
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is no safetensors file of float32 and int64: {error!r}") from error


def _tensor(content, *, dtype, shape, data_offsets):
    start, end = data_offsets
    return torch.from_numpy(np.frombuffer(content[start:end], _TYPES[dtype]).reshape(shape).copy())
