"""Files of a channel as a DMatrix (aws/sagemaker-xgboost-container, data_utils.py)."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from sagemaker_algorithm_toolkit import exceptions as exc
from sagemaker_containers import _content_types
from sagemaker_xgboost_container.constants import xgb_content_types
from sagemaker_xgboost_container.content_type import parse
from sagemaker_xgboost_container.recordio_protobuf import read_recordio_protobuf

CSV, LIBSVM, PARQUET, RECORDIO_PROTOBUF = "csv", "libsvm", "parquet", "recordio-protobuf"
MAX_FOLDER_DEPTH = 3
_NAMES = {
    CSV: CSV,
    LIBSVM: LIBSVM,
    PARQUET: PARQUET,
    RECORDIO_PROTOBUF: RECORDIO_PROTOBUF,
    _content_types.CSV: CSV,
    xgb_content_types.LIBSVM: LIBSVM,
    xgb_content_types.X_LIBSVM: LIBSVM,
    xgb_content_types.X_PARQUET: PARQUET,
    xgb_content_types.X_RECORDIO_PROTOBUF: RECORDIO_PROTOBUF,
}
VALID_CONTENT_TYPES = list(_NAMES)
_DUPLICATE = "Suspected identical files found. (%s and %s with same size %d bytes)."


def get_content_type(content_type_cfg_val: str | None) -> str:
    """``csv``, ``libsvm``, ``parquet`` or ``recordio-protobuf``; libsvm for None. UserError for any other."""
    if content_type_cfg_val is None:
        return LIBSVM
    kind, parameters = parse(content_type_cfg_val.lower())
    if kind not in _NAMES:
        known = ", ".join(VALID_CONTENT_TYPES)
        raise exc.UserError(f"{content_type_cfg_val} is not an accepted ContentType: {known}.")
    if _NAMES[kind] == CSV and parameters.get("label_size", "1") != "1":
        raise exc.UserError(
            f"{content_type_cfg_val} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return _NAMES[kind]


def validate_data_file_path(data_path: str, content_type: str | None) -> None:
    """Look at the first lines of each file. UserError for a path that isn't there or a file of another format."""
    checks: dict[str, Callable[[Path], None]] = {CSV: _check_csv, LIBSVM: _check_libsvm}
    check = checks.get(get_content_type(content_type), lambda _file: None)
    for file in _files(data_path):
        check(file)


def get_dmatrix(
    data_path: str | list[str], content_type: str, csv_weights: int = 0, is_pipe: bool = False
) -> xgb.DMatrix | None:
    """All files below one path or several; None where there are none. UserError for data without labels."""
    paths = data_path if isinstance(data_path, list) else [data_path]
    files = [str(file) for path in paths if Path(path).exists() for file in _files(path)]
    if not files:
        return None
    readers: dict[str, Callable[[], xgb.DMatrix]] = {
        CSV: lambda: get_csv_dmatrix(files, csv_weights, is_pipe),
        LIBSVM: lambda: get_libsvm_dmatrix(files, is_pipe),
        PARQUET: lambda: get_parquet_dmatrix(files, is_pipe),
        RECORDIO_PROTOBUF: lambda: get_recordio_protobuf_dmatrix(files, is_pipe),
    }
    matrix = readers[content_type.lower()]()
    if matrix.get_label().size == 0:
        raise exc.UserError("Got input data without labels. Please check the input data set.")
    return matrix


def get_csv_dmatrix(path: str | list[str], csv_weights: int, is_pipe: bool = False) -> xgb.DMatrix:
    """Labels in the first column, with `csv_weights` 1 weights in the second; no header."""
    _refuse_pipe(is_pipe, "CSV")
    files = _listed(path)

    def read() -> xgb.DMatrix:
        with Path(files[0]).open() as file:
            delimiter = _delimiter(file.readline())
        rows = np.vstack([pd.read_csv(name, header=None, sep=delimiter).to_numpy(np.float32) for name in files])
        weights = {"weight": rows[:, 1]} if csv_weights == 1 else {}
        return xgb.DMatrix(rows[:, 2 if weights else 1 :], label=rows[:, 0], **weights)

    return _loaded("csv", read)


def get_libsvm_dmatrix(files_path: str | list[str], is_pipe: bool = False) -> xgb.DMatrix:
    """``label index:value`` lines."""
    _refuse_pipe(is_pipe, "LibSVM")
    return _loaded("libsvm", lambda: _libsvm(_listed(files_path)))


def get_parquet_dmatrix(path: str | list[str], is_pipe: bool = False) -> xgb.DMatrix:
    """Labels in the first column."""
    _refuse_pipe(is_pipe, "Parquet")

    def read() -> xgb.DMatrix:
        rows = np.vstack([pd.read_parquet(file).to_numpy() for file in _listed(path)])
        return xgb.DMatrix(rows[:, 1:], label=rows[:, 0])

    return _loaded("parquet", read)


def get_recordio_protobuf_dmatrix(path: str | list[str], is_pipe: bool = False) -> xgb.DMatrix:
    """Records of SageMaker's protobuf, with their labels."""
    _refuse_pipe(is_pipe, "RecordIO-Protobuf")

    def read() -> xgb.DMatrix:
        features, labels = read_recordio_protobuf(b"".join(Path(file).read_bytes() for file in _listed(path)))
        return xgb.DMatrix(features, label=labels)

    return _loaded("recordio-protobuf", read)


def get_size(data_path: str, is_pipe: bool = False) -> int:
    """Bytes of a file or of all files below a directory; 0 for a path that isn't there, 1 for a pipe."""
    if is_pipe and Path(f"{data_path}_0").exists():
        return 1
    path = Path(data_path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    if path.is_dir() and any(file.name.startswith(".") for file in files):
        raise exc.UserError("Hidden file found in the data path! Remove that before training.")
    return sum(file.stat().st_size for file in files)


def check_data_redundancy(train_path: str, validate_path: str) -> None:
    """Warn of files that have the same name and size in both directories."""
    for what, path in (("training", train_path), ("validation", validate_path)):
        if not Path(path).exists():
            raise exc.UserError(f"{what} data's path is not existed")
    for file in (file for file in Path(train_path).iterdir() if file.is_file()):
        twin = Path(validate_path) / file.name
        if twin.is_file() and twin.stat().st_size == file.stat().st_size:
            logging.warning(_DUPLICATE, file, twin, file.stat().st_size)


def _libsvm(files: list[str]) -> xgb.DMatrix:
    labels: list[float] = []
    entries: list[tuple[int, int, float]] = []
    for line in (line for file in files for line in Path(file).read_text().splitlines() if line.strip()):
        label, *features = line.split()
        for token in features:
            index, _, value = token.partition(":")
            entries.append((len(labels), int(index), float(value)))
        labels.append(float(label.partition(":")[0]))
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - the other formats do without

    rows, columns, values = zip(*entries, strict=True)
    return xgb.DMatrix(csr_matrix((values, (rows, columns)), shape=(len(labels), max(columns) + 1)), label=labels)


def _files(data_path: str) -> Iterator[Path]:
    """A file itself, or those of a directory's first levels that aren't hidden."""
    path = Path(data_path)
    if not path.exists():
        raise exc.UserError(f"{data_path} is not a valid path!")
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    for file in found:
        below = file.relative_to(path).parts
        if file.is_file() and len(below) <= MAX_FOLDER_DEPTH and not file.name.startswith((".", "_")):
            yield file


def _listed(path: str | list[str]) -> list[str]:
    return path if isinstance(path, list) else [str(file) for file in _files(path)]


def _loaded(kind: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except exc.UserError:
        raise
    except Exception as error:
        raise exc.UserError(f"Failed to load {kind} data with exception:\n{error}") from error


def _refuse_pipe(is_pipe: bool, kind: str) -> None:
    if is_pipe:
        raise exc.UserError(f"Pipe mode for {kind} is no longer supported. Please use Fast File mode instead.")


def _delimiter(line: str) -> str:
    try:
        return csv.Sniffer().sniff(line).delimiter
    except csv.Error as error:
        raise exc.UserError(f"Could not determine delimiter on line {line[:50]}:\n{error}") from error


def _check_csv(file: Path) -> None:
    with file.open(errors="ignore") as lines:
        _delimiter(lines.readline())


def _check_libsvm(file: Path) -> None:
    """The first line that has features decides."""
    with file.open(errors="ignore") as lines:
        for line in lines:
            features = line.split()[1:]
            if not all(_is_number(part) for part in (line.split() or [""])[0].split(":")) or not all(
                feature.count(":") == 1 for feature in features
            ):
                raise exc.UserError(
                    f"First line '{line[:50]}...' of file '{file.name}' is not 'LIBSVM' format. "
                    "Please ensure the file is in 'LIBSVM' format."
                )
            if features:
                return


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
