"""A compiled model, as `deploy.compile` makes it: what lies where in its model.tar.gz, and by which words it is asked
for.

    model.onnx          the network or the trees, optimised
    compiled.json       how it was made, and how often it answers as the original does (toolkit/compiler.py)
    code/               as before, with another serve.py, which runs model.onnx; the folder's own is OWN_SERVING_SCRIPT
    runtime/            onnxruntime, with which it was tried: an endpoint needs no PyPI to start
    …                   what compile.py keeps of the original's files
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODEL_FILE = "model.onnx"
FIGURES_FILE = "compiled.json"
RUNTIME = "runtime"
# Of the model's folder: what makes the ONNX model, and what the serving container installs then.
SCRIPT = "compile.py"
REQUIREMENTS = "requirements-compiled.txt"
# In the compiled model's code: the folder's own serve.py.
OWN_SERVING_SCRIPT = "serve_uncompiled.py"

# The step's folder of a run, and the job's input with the model that was trained.
FOLDER = "compiled"
TRAINED_INPUT = "trained"

ONNX = "onnx"
TARGETS = (ONNX,)
# The largest share of held-out examples that a compiled model may answer otherwise, unless said.
TOLERANCE = 0.005
# The machine's variable about the job.
COMPILING = "compiling"
# Of the candidate, the champion and `$training`: the archive that training has left, of which the one that serves was
# made.
TRAINED_MODEL_DATA = "trained_model_data"


def trained_model(model: Mapping[str, Any]) -> str:
    """Of a candidate or a champion, the archive that a training goes on from: what training has left."""
    return str(model.get(TRAINED_MODEL_DATA) or model["model_data"])
