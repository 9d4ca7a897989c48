"""A compiled model, as `predict_fn` gets it.

model.run(pictures)                 all outputs, arrays in the graph's order
model.predict(rows)                 of scikit-learn's estimators, as these answer
model.predict_proba(rows), model.classes_

onnxruntime comes from the model's own folder (contract.compiled.RUNTIME), where it brings it along.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from contract import compiled
from toolkit.errors import ServingError

# The graph's own notes, which converters write.
CLASSES = "classes"
_NUMPY = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


class OnnxModel:
    """A session of onnxruntime's on model.onnx, of one thread: one request is one row more often than not.

    Attributes:
        folder: the model's, with the files that compile.py keeps.
        notes: what the graph says of itself, texts by names.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._session = session(self.folder / compiled.MODEL_FILE)
        self.notes: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._inputs = [(one.name, one.type) for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]

    def run(self, *inputs: Any, **named: Any) -> list[Any]:
        """The outputs, in the graph's order. Arrays are taken as the types that the graph's inputs have.

        Raises:
            ServingError: there are more inputs or fewer, or other names.
        """
        given = {**{name: array for (name, _), array in zip(self._inputs, inputs)}, **named}
        types = dict(self._inputs)
        if set(given) != set(types) or len(inputs) + len(named) != len(types):
            needed, count = ", ".join(types), len(inputs) + len(named)
            raise ServingError(f"the compiled model has {len(types)} inputs ({needed}); {count} were given")
        found: list[Any] = self._session.run(None, {name: _as(array, types[name]) for name, array in given.items()})
        return found

    def output(self, name: str, *inputs: Any, **named: Any) -> Any:
        """One of the outputs, by its name. Raises ServingError where there is none."""
        if name not in self._outputs:
            raise ServingError(f"the compiled model has no output {name!r}; it has {', '.join(self._outputs)}")
        return self.run(*inputs, **named)[self._outputs.index(name)]

    def predict(self, rows: Any) -> Any:
        """Labels (n,) of a classifier's, numbers (n,) or (n, outputs) of a regressor's: the graph's first output."""
        first = self.run(rows)[0]
        return first[:, 0] if first.ndim == 2 and first.shape[1] == 1 else first

    @property
    def classes_(self) -> Any:
        """A classifier's labels, in the order of its probabilities. Raises AttributeError of any other."""
        if CLASSES not in self.notes:
            raise AttributeError("the compiled model says no classes: it is no classifier of scikit-learn's")
        import numpy as np

        return np.array(json.loads(self.notes[CLASSES]))

    @property
    def predict_proba(self) -> Any:
        """Each class's probability, (n, classes), as a function of rows. Raises AttributeError as `classes_`."""
        self.classes_  # noqa: B018 - raises
        return lambda rows: self.output("probabilities", rows)


def session(model: Path) -> Any:
    """A session on a file in ONNX, with one thread.

    Raises:
        ServingError: there is no onnxruntime, or it can't run the file.
    """
    runtime = model.parent / compiled.RUNTIME
    if runtime.is_dir() and str(runtime) not in sys.path:
        sys.path.append(str(runtime))  # the image's packages, NumPy among them, come first
    try:
        import onnxruntime
    except ImportError as error:
        raise ServingError(f"a compiled model needs onnxruntime, which isn't here: {error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common type
        raise ServingError(f"{model.name} can't be run by onnxruntime: {' '.join(str(error).split())[:300]}") from error


def _as(array: Any, kind: str) -> Any:
    """An array of the type that the graph's input has."""
    import numpy as np

    return np.asarray(array, dtype=_NUMPY[kind]) if kind in _NUMPY else array
