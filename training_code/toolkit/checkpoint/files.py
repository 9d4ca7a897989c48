"""One checkpoint as one file: a tree of plain values, whose arrays lie behind it as safetensors. No pickled code.

The format (github.com/huggingface/safetensors, "Format"): 8 bytes, little-endian, the length of a JSON header; the
header {name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {str: str}}; then the arrays' bytes. The
metadata hold the tree, as JSON in which `{"$array": name}` stands for an array, and a checksum of the bytes.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.safetensors_types import DTYPES, NAMES

_METADATA, _TREE, _CHECKSUM = "__metadata__", "tree", "crc32"
# What a mapping with one such key stands for.
_ARRAY, _TEXTS, _TENSOR, _BFLOAT16 = "$array", "$texts", "$tensor", "$bfloat16"
_TUPLE, _MAPPING = "$tuple", "$mapping"
_MARKS = {_ARRAY, _TEXTS, _TENSOR, _BFLOAT16, _TUPLE, _MAPPING}
_MAX_HEADER = 1 << 30  # bytes; more is no header


class CheckpointError(ToolkitError):
    """A checkpoint can't be written, read or used; the message says which, why, and what would be right."""


def write(path: Path, tree: Any) -> None:
    """Writes a tree of dicts, lists, tuples, text, numbers, booleans, None, NumPy arrays and PyTorch tensors.

    The file is there whole or not at all, also after a power cut.

    Raises:
        CheckpointError: something in the tree is none of these (it is named), or the file can't be written.
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_encoded(tree, "", arrays), separators=(",", ":"))
    header, begin, checksum = {}, 0, 0
    for name, array in arrays.items():
        offsets = [begin, begin := begin + array.nbytes]
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        checksum = zlib.crc32(_bytes(array), checksum)
    metadata = {_TREE: text, _CHECKSUM: str(zlib.crc32(text.encode(), checksum))}
    encoded = json.dumps({_METADATA: metadata, **header}, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the arrays start aligned
    try:
        _replace(path, [len(encoded).to_bytes(8, "little"), encoded, *(_bytes(array) for array in arrays.values())])
    except OSError as error:
        raise CheckpointError(f"the checkpoint {path} can't be written: {error.strerror or error}") from error


def read(path: Path) -> Any:
    """The tree that was written.

    Raises:
        CheckpointError: the file isn't one, or isn't whole.
    """
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        if length > min(len(content), _MAX_HEADER):
            raise ValueError("its header is longer than the file")
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop(_METADATA)
        data = memoryview(content)[8 + length :]
        if str(zlib.crc32(metadata[_TREE].encode(), zlib.crc32(data))) != metadata[_CHECKSUM]:
            raise ValueError("its checksum doesn't fit its content")
        arrays = {name: _array(entry, data) for name, entry in header.items()}
        return _decoded(json.loads(metadata[_TREE]), arrays)
    except OSError as error:
        raise CheckpointError(f"the checkpoint {path} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no whole checkpoint: {error}") from error


def _replace(path: Path, parts: list[Any]) -> None:
    # Always the same name: SageMaker copies what an interruption leaves of it to S3, and never takes it away there.
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encoded(value: Any, where: str, arrays: dict[str, Any]) -> Any:
    """The tree as JSON has it; what lies in `arrays` afterwards is named after its place."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return _encoded_mapping(value, where, arrays)
    if type(value) in (list, tuple):
        items = [_encoded(item, f"{where}.{index}", arrays) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if _is_a(value, "torch", "Tensor"):
        return _encoded_tensor(value, where, arrays)
    if _is_a(value, "numpy", "ndarray") and value.dtype.kind == "U":
        return {_TEXTS: [list(value.shape), value.reshape(-1).tolist()]}
    if _is_a(value, "numpy", "ndarray") or _is_a(value, "numpy", "generic"):
        return {_ARRAY: _kept(value, where, arrays)}
    raise CheckpointError(
        f"{where.strip('.') or 'the state'} is a {type(value).__module__}.{type(value).__qualname__}, which a "
        "checkpoint can't hold; give it numbers, text, lists, mappings, arrays or tensors"
    )


def _encoded_mapping(value: dict[Any, Any], where: str, arrays: dict[str, Any]) -> Any:
    """A mapping as JSON has it; as pairs, where its keys aren't text or look like a mark."""
    if all(type(key) is str for key in value) and not _MARKS & value.keys():
        return {key: _encoded(item, f"{where}.{key}", arrays) for key, item in value.items()}
    pairs = [
        [_encoded(key, f"{where}.{key} (the key)", arrays), _encoded(item, f"{where}.{key}", arrays)]
        for key, item in value.items()
    ]
    return {_MAPPING: pairs}


def _encoded_tensor(value: Any, where: str, arrays: dict[str, Any]) -> Any:
    import torch

    plain = value.detach().cpu().contiguous()
    if plain.dtype == torch.bfloat16:  # which NumPy lacks: its bits
        return {_BFLOAT16: _kept(plain.view(torch.int16).numpy(), where, arrays)}
    return {_TENSOR: _kept(plain.numpy(), where, arrays)}


def _kept(array: Any, where: str, arrays: dict[str, Any]) -> str:
    import numpy as np

    plain = np.asarray(array)
    if plain.dtype.name not in DTYPES:
        raise CheckpointError(
            f"{where.strip('.')} is an array of {plain.dtype.name}, which a checkpoint can't hold; use numbers"
        )
    name = where.strip(".") or "value"
    while name in arrays or name == _METADATA:
        name += "_"
    arrays[name] = np.array(plain, plain.dtype.newbyteorder("<"), order="C")
    return name


def _bytes(array: Any) -> Any:
    return array.reshape(-1).view("u1").data


def _array(entry: dict[str, Any], data: memoryview) -> Any:
    import numpy as np

    begin, end = entry["data_offsets"]
    kind = np.dtype(NAMES[entry["dtype"]]).newbyteorder("<")
    return np.frombuffer(bytearray(data[begin:end]), kind).reshape(entry["shape"])  # a copy, which may be written to


def _decoded(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (mark := next(iter(value))) in _MARKS:
        return _UNMARKED[mark](value[mark], arrays)
    return {key: _decoded(item, arrays) for key, item in value.items()}


def _texts(stored: list[Any], _arrays: dict[str, Any]) -> Any:
    import numpy as np

    shape, items = stored
    return np.array(items, dtype=str).reshape(shape)


def _tensor(name: str, arrays: dict[str, Any]) -> Any:
    import torch

    return torch.from_numpy(arrays[name])


def _bfloat16(name: str, arrays: dict[str, Any]) -> Any:
    import torch

    return _tensor(name, arrays).view(torch.bfloat16)


_UNMARKED: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    _ARRAY: lambda name, arrays: arrays[name] if arrays[name].shape else arrays[name][()],
    _TEXTS: _texts,
    _TENSOR: _tensor,
    _BFLOAT16: _bfloat16,
    _TUPLE: lambda items, arrays: tuple(_decoded(item, arrays) for item in items),
    _MAPPING: lambda pairs, arrays: {_decoded(key, arrays): _decoded(item, arrays) for key, item in pairs},
}


def _is_a(value: Any, module: str, name: str) -> bool:
    """Whether it is of a library's type, without importing the library for the answer."""
    found = sys.modules.get(module)
    return found is not None and isinstance(value, getattr(found, name))
