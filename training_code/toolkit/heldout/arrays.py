"""Held-out Parquet and npz as requests: rows of CSV, and arrays (1, …) as NPY."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.held_out import Reading, segment_name
from contract.held_out_tables import csv_text
from toolkit.heldout.example import CSV, NPY, DataError, Example
from toolkit.heldout.tables import told_columns

# pandas keeps its index as a column of this name.
_INDEX = re.compile(r"__index_level_\d+__")
_FEATURES = ("X", "x", "features", "X_test", "x_test")
_LABELS = ("y", "Y", "labels", "label", "y_test")


def read_parquet(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """Rows of Parquet files; the model is asked in CSV.

    Raises:
        DataError: the image can't read Parquet, or there is no such label.
    """
    examples: list[Example] = []
    first: list[str] = []
    label = 0
    for name in files:
        columns = _columns(folder / name, name)
        names = list(columns)
        if first and names != first:
            raise DataError(f"{name} has the columns {', '.join(names)}, but {files[0]} has {', '.join(first)}")
        first, label = names, _column(name, names, how.label, ("the label", "label column"))
        segment = _segment(name, names, how, label)
        for number in range(len(columns[names[label]])):
            values = {column: columns[column][number] for column in names}
            examples.append(_row(f"{name}:row {number + 1}", values, names[label], segment, how.any_label))
    return examples, told_columns(first, label)


def _columns(path: Path, name: str) -> Mapping[str, list[Any]]:
    """A Parquet file's columns as Python's own values; pyarrow keeps whole numbers whole where pandas may not."""
    try:
        from pyarrow import parquet
    except ImportError:
        return _columns_by_pandas(path, name)
    try:
        table = parquet.ParquetFile(str(path)).read()
    except Exception as error:  # pyarrow's errors have no common base
        raise DataError(f"{name} is no Parquet: {error}") from error
    found = table.to_pydict()
    return {column: values for column, values in found.items() if not _INDEX.fullmatch(column)}


def _columns_by_pandas(path: Path, name: str) -> Mapping[str, list[Any]]:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        message = f"the image can't read {name}: Parquet needs pyarrow; put it into the model's requirements.txt"
        raise DataError(f"{message} ({str(error).splitlines()[0]})") from error
    except Exception as error:  # whatever its engine raises
        raise DataError(f"{name} is no Parquet: {error}") from error
    return {str(column): frame[column].astype(object).where(frame[column].notna(), None).tolist() for column in frame}


def _column(name: str, columns: Sequence[str], asked: int | str, words: tuple[str, str]) -> int:
    """A column's position; `words` name it in messages, by its name and by its position."""
    if isinstance(asked, str):
        if asked not in columns:
            raise DataError(f"{words[0]} {asked!r} isn't among the columns of {name}: {', '.join(columns)[:400]}")
        return columns.index(asked)
    if not asked < len(columns):
        raise DataError(f"{words[1]} {asked} is out of range: {name} has {len(columns)} columns")
    return asked


def _segment(name: str, columns: Sequence[str], how: Reading, label: int) -> str | None:
    if how.segment is None:
        return None
    found = _column(name, columns, how.segment, ("gate.segments.column",) * 2)
    if found == label:
        raise DataError(f"gate.segments.column {how.segment!r} is the label; for floors of classes write gate.classes")
    return columns[found]


def _row(place: str, values: Mapping[str, Any], label: str, segment: str | None, any_label: bool) -> Example:
    part = None if segment is None else segment_name(values[segment])
    truth, several = values[label], any_label and isinstance(values[label], (list, dict))
    texts = {column: _text(place, column, value) for column, value in values.items() if column != label}
    answer = json.dumps(truth, ensure_ascii=False) if several else _text(place, label, truth).strip()
    if not answer:
        raise DataError(f"{place}: the label ({label!r}) is empty")
    return Example(place, csv_text(list(texts.values())), CSV, answer, segment=part)


def _text(place: str, column: str, value: Any) -> str:
    if isinstance(value, (list, dict, bytes)) or getattr(value, "ndim", 0):
        kind = type(value).__name__
        raise DataError(f"{place}: {column!r} is {kind}, which no CSV row can hold; write heldout_fn in serve.py")
    return "" if value is None else str(value)


def read_npz(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """Arrays of npz files: the first axis of the features and of the labels are the examples.

    Raises:
        DataError: which array is which isn't clear, or they don't belong together.
    """
    examples: list[Example] = []
    told = ""
    for name in files:
        arrays = _arrays(folder / name, name)
        features, label = _which(name, arrays, how)
        texts = _labels(name, features, label, arrays, how.any_label)
        body = arrays[features]
        examples += [
            Example(f"{name}:{index}", _npy(body[index : index + 1]), NPY, text) for index, text in enumerate(texts)
        ]
        told = (
            told or f"features in {features!r} {arrays[features].shape} {arrays[features].dtype}, labels in {label!r}"
        )
    return examples, told


def _arrays(path: Path, name: str) -> dict[str, Any]:
    import numpy as np

    try:
        # No pickles: reading data must not run code.
        with np.load(path, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        message = f"{name} can't be read: {error}; write it with numpy.savez(file, X=…, y=…), without Python objects"
        raise DataError(message) from error


def _which(name: str, arrays: Mapping[str, Any], how: Reading) -> tuple[str, str]:
    """The names of the features' array and the labels'."""
    there = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
    label = how.label if isinstance(how.label, str) else next((key for key in _LABELS if key in arrays), None)
    if label not in arrays:
        asked = f"no array {label!r}" if label else f"no array of labels ({', '.join(_LABELS)})"
        raise DataError(f"{name} has {asked}, only {there}; write evaluate.label: <array>")
    rest = [key for key in arrays if key != label]
    features = rest[0] if len(rest) == 1 else next((key for key in _FEATURES if key in rest), None)
    if features is None or not arrays[features].ndim:
        raise DataError(f"{name} has no array of features ({', '.join(_FEATURES)}), only {there}")
    return features, str(label)


def _labels(name: str, features: str, key: str, arrays: Mapping[str, Any], any_label: bool) -> list[str]:
    """The labels as text, one an example; those of more dimensions as JSON, where a label may be a list."""
    labels, shape = arrays[key], arrays[features].shape
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not labels.ndim or (labels.ndim > 1 and not any_label) or len(labels) != shape[0]:
        shapes = f"{features} has the shape {shape}, {key} {labels.shape}"
        raise DataError(f"{name}: {shapes}; one label an example is needed: (n, …) and (n,)")
    return [_label_text(value) for value in labels]


def _label_text(value: Any) -> str:
    if getattr(value, "ndim", 0):
        return json.dumps(value.tolist(), ensure_ascii=False)
    return value.decode() if isinstance(value, bytes) else str(value)


def _npy(array: Any) -> bytes:
    import numpy as np

    body = io.BytesIO()
    np.save(body, array, allow_pickle=False)
    return body.getvalue()
