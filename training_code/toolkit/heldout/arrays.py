"""Held-out Parquet and npz as requests: rows of CSV, and arrays (1, …) as NPY.

Parquet needs pyarrow. AWS's scikit-learn images have it (aws/sagemaker-scikit-learn-container,
docker/*/base/Dockerfile.cpu: 14.0.1 in 1.2-1, 17.0.0 in 1.4-2), and so have those of XGBoost
(aws/sagemaker-xgboost-container, the same: 22.0.0 in 3.0.5). An image of a user's own may have anything: what the image
can't read is said here.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import held_out_arrays, held_out_columns
from contract.held_out import Reading, joined, segment_name
from contract.held_out_tables import csv_text
from toolkit.heldout.example import CSV, NPY, DataError, Example
from toolkit.heldout.tables import told_columns


def read_parquet(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """Rows of Parquet files; the model is asked in CSV.

    Raises:
        DataError: the image can't read Parquet, or there is no such label.
    """
    examples: list[Example] = []
    first: list[str] = []
    labels: list[int] = []
    for name in files:
        columns = _columns(folder / name, name)
        names = list(columns)
        held_out_columns.check_same(files[0], first or names, name, names)
        first, labels = names, held_out_columns.labels_of(name, names, how)
        segment = held_out_columns.segment_of(name, names, how, labels)
        for number in range(len(columns[names[0]])):
            values = {column: columns[column][number] for column in names}
            told = [names[label] for label in labels]
            examples.append(_row(f"{name}:row {number + 1}", values, told, segment, how.any_label))
    return examples, told_columns(first, labels)


def _columns(path: Path, name: str) -> Mapping[str, list[Any]]:
    """A Parquet file's columns as Python's own values; pyarrow keeps whole numbers whole where pandas may not."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        return _columns_by_pandas(path, name, error)
    try:
        table = parquet.ParquetFile(str(path)).read()
    except Exception as error:  # pyarrow's errors have no common base
        raise DataError(f"{name} is no Parquet: {error}") from error
    found = table.to_pydict()
    return {column: found[column] for column in held_out_columns.without_index(list(found))}


def _columns_by_pandas(path: Path, name: str, without: ImportError) -> Mapping[str, list[Any]]:
    """The same by whatever else pandas finds; `without`: why pyarrow isn't to be had."""
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        message = f"the image can't read {name}: Parquet needs pyarrow; put it into the model's requirements.txt"
        raise DataError(f"{message} ({str(without).splitlines()[0]})") from error
    except Exception as error:  # whatever its engine raises
        raise DataError(f"{name} is no Parquet: {error}") from error
    return {str(column): frame[column].astype(object).where(frame[column].notna(), None).tolist() for column in frame}


def _row(place: str, values: Mapping[str, Any], labels: Sequence[str], segment: str | None, any_label: bool) -> Example:
    texts = {column: _text(place, column, value) for column, value in values.items() if column not in labels}
    part = None if segment is None else segment_name(values[segment])
    answer = joined([_answer(place, label, values[label], any_label) for label in labels])
    return Example(place, csv_text(list(texts.values())), CSV, answer, segment=part)


def _answer(place: str, label: str, truth: Any, any_label: bool) -> str:
    if any_label and isinstance(truth, (list, dict)):
        return json.dumps(truth, ensure_ascii=False)
    text = _text(place, label, truth).strip()
    if not text:
        raise DataError(f"{place}: the label ({label!r}) is empty")
    return text


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
        shapes = {key: array.shape for key, array in arrays.items()}
        features, label = held_out_arrays.which(name, shapes, how)
        held_out_arrays.check_shapes(name, (features, label), shapes, how)
        told = told or f"features in {features!r} {shapes[features]} {arrays[features].dtype}, labels in {label!r}"
        examples += _of_arrays(name, arrays[features], arrays[label])
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


def _of_arrays(name: str, features: Any, labels: Any) -> list[Example]:
    flat = labels.reshape(-1) if labels.size == len(features) else labels
    texts = [_label_text(value) for value in flat]
    return [
        Example(f"{name}:{index}", _npy(features[index : index + 1]), NPY, text) for index, text in enumerate(texts)
    ]


def _label_text(value: Any) -> str:
    if getattr(value, "ndim", 0):
        return json.dumps(value.tolist(), ensure_ascii=False)
    return value.decode() if isinstance(value, bytes) else str(value)


def _npy(array: Any) -> bytes:
    import numpy as np

    body = io.BytesIO()
    np.save(body, array, allow_pickle=False)
    return body.getvalue()
