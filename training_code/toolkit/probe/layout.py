"""The folder of a job's tensors, which all its workers share, and a line of its index.

    index/<worker>.jsonl                        one JSON object a line, appended once what it names is there
    tensors/<worker>/<mode>-<step>.safetensors  whole tensors of one step
    events/<worker>/<mode>/*.tfevents.*         TensorBoard: scalars, histograms, images
    collections/<worker>.json                   what was to be saved, and the names that were known
    end/<worker>.json                           written when the worker is done: its status and what went wrong

A worker is one process that writes: `<rank>-<time it started>-<process>`. Nobody else has its name, so workers never
write to one file, nor does a job that was interrupted and goes on.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from contract import files
from contract.environment import TENSORS as DIRECTORY_VARIABLE
from toolkit.container import base_folder

TRAIN, EVAL = "TRAIN", "EVAL"
MODES = (TRAIN, EVAL)

# What a tensor is. Names end in it where the name is the probe's own: `conv1/weight`, `conv1/weight.gradient`,
# `relu/output` and `relu/output:1` (the module's second call in one forward pass), `relu/output:1.gradient`.
WEIGHT, BIAS, GRADIENT, BUFFER = "weight", "bias", "gradient", "buffer"
INPUT, OUTPUT, OUTPUT_GRADIENT = "input", "output", "output_gradient"
LOSS, OPTIMIZER, SCALAR, TENSOR, IMAGE = "loss", "optimizer", "scalar", "tensor", "image"
LABEL, PREDICTION, IMPORTANCE, TREE, METRIC = "label", "prediction", "importance", "tree", "metric"

INDEX, TENSORS, EVENTS, COLLECTIONS, END = files.TENSOR_INDEX, "tensors", "events", "collections", "end"

# JSON has no words for these.
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Record:
    """A line of the index: one tensor, or one number of it, at one step.

    collections: those that it was saved for. file: of the whole tensor, else None. reduction: what `value` is of the
    tensor, None for the tensor (or scalar) itself. value: a number; of a histogram {"edges", "counts"}. layer: the type
    of the module whose input or output it is.
    at: seconds since 1970. train_step: at which training step an evaluation step was. dropped: why nothing is there.
    """

    step: int
    mode: str
    name: str
    kind: str
    collections: tuple[str, ...] = ()
    file: str | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "F64"
    reduction: str | None = None
    value: Any = None
    at: float = 0.0
    train_step: int | None = None
    dropped: str | None = None
    layer: str | None = None

    def line(self) -> str:
        """The record as it stands in the index, with the end of the line; empty fields are left out."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        if self.value is not None:
            fields["value"] = _plain(self.value)
        return _encoded(fields) + "\n"

    @staticmethod
    def parse(line: str | bytes) -> Record:
        """The record of a line. Raises ValueError when it isn't one."""
        fields = json.loads(line)
        for name in ("collections", "shape"):
            fields[name] = tuple(fields.get(name, ()))
        if "value" in fields:
            fields["value"] = _number(fields["value"])
        known = {name: value for name, value in fields.items() if name in Record.__dataclass_fields__}
        try:
            return Record(**known)
        except TypeError as error:
            raise ValueError(f"not a record of the index: {error}") from None


# Made once: json.dumps makes an encoder a call where it has arguments.
_encoded = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    # By type, since asking whether something is a Mapping takes longer than all else here.
    if isinstance(value, float):
        return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    if isinstance(value, dict):
        return {name: [_number(part) for part in parts] for name, parts in value.items()}
    return value


def directory(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of a job's tensors: RATCHET_TENSORS, else `tensors` in the job's output folder, else here."""
    variables = os.environ if environment is None else environment
    if named := variables.get(DIRECTORY_VARIABLE):
        return Path(named)
    if output := variables.get("SM_OUTPUT_DIR"):
        return Path(output) / TENSORS
    return base_folder(variables) / "output" / TENSORS


def worker(rank: int) -> str:
    """A name that no other process has, whose order is that of time within a rank."""
    return f"{rank}-{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%f}-{os.getpid()}"


def rank_of(worker: str) -> int:
    """The rank of a worker's name; 0 where the name holds none."""
    head = worker.partition("-")[0]
    return int(head) if head.isdigit() else 0


def rank_in(path: Path) -> int:
    """The rank of the worker that has written a file, by its path within the folder; 0 where no worker has."""
    if path.parts[0] not in (INDEX, TENSORS, EVENTS, COLLECTIONS, END) or len(path.parts) < 2:
        return 0
    return rank_of(path.parts[1])


def mode_of(text: str) -> str:
    """TRAIN or EVAL, however it is written. Raises ValueError otherwise."""
    if text.upper() not in MODES:
        raise ValueError(f"mode {text!r}: there are train and eval")
    return text.upper()


def tensor_file(worker: str, mode: str, step: int) -> str:
    """The file of a step's whole tensors, within the folder."""
    return f"{TENSORS}/{worker}/{mode}-{step:012d}.safetensors"


def mark_of_copy(path: Path) -> Path:
    """The mark that a rule's file, and all before it, is in S3; a hidden file, which nobody copies."""
    return path.with_name(f".{path.name}.copied")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file that is there whole, or not at all, whoever reads it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
