"""What trained models become in ONNX, a line each in a folder's compile.py:

return converters.sklearn(estimator)
return converters.xgboost(booster)
return converters.pytorch(network, torch.zeros(1, 3, 32, 32))

Each needs what the compile job installs (requirements.txt beside this file), and its framework.
"""

from __future__ import annotations

import inspect
import io
import json
import warnings
from typing import Any

from toolkit.compiled.model import CLASSES
from toolkit.errors import ToolkitError

# One that PyTorch 2.4 to 2.13 write.
OPSET = 17
INPUT, OUTPUT = "input", "output"


def sklearn(estimator: Any, features: int | None = None) -> Any:
    """A scikit-learn estimator, or a pipeline of them, that takes rows of numbers: one input, float32 (n, features).

    Its thresholds and coefficients become float32, too: how many answers that changes, the job counts.

    Args:
        features: how many numbers a row has, where the estimator doesn't say (`n_features_in_`).

    Raises:
        ToolkitError: skl2onnx can't convert it.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    count = features or getattr(estimator, "n_features_in_", None)
    if count is None:
        raise ToolkitError(f"{type(estimator).__name__} doesn't say how many numbers a row has: write features=64")
    is_classifier = hasattr(estimator, "classes_")
    try:
        made = to_onnx(
            estimator,
            initial_types=[(INPUT, FloatTensorType([None, int(count)]))],
            options={id(estimator): {"zipmap": False}} if is_classifier else None,
        )
    except Exception as error:  # skl2onnx's own errors have no common type
        raise ToolkitError(_cannot(estimator, "skl2onnx", error)) from error
    if is_classifier:
        _note(made, CLASSES, json.dumps(estimator.classes_.tolist()))
    return made


def xgboost(booster: Any) -> Any:
    """An XGBoost booster, or a model with one: one input, float32 (n, features); a classifier's outputs are `label` (a
    class's number) and `probabilities`, a regressor's `variable`.

    Raises:
        ToolkitError: onnxmltools can't convert it.
    """
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    own = booster.get_booster() if hasattr(booster, "get_booster") else booster
    try:
        return convert_xgboost(booster, initial_types=[(INPUT, FloatTensorType([None, int(own.num_features())]))])
    except Exception as error:  # onnxmltools' own errors have no common type
        raise ToolkitError(_cannot(booster, "onnxmltools", error)) from error


def pytorch(network: Any, *examples: Any, inputs: Any = None, outputs: Any = None) -> bytes:
    """A PyTorch network, traced with an example of each of its inputs, whose first axis is that of the requests' rows.

    Args:
        inputs, outputs: their names in the graph; `input` and `output` of one each.

    Raises:
        ToolkitError: PyTorch can't export it.
    """
    import torch

    named = list(inputs or ([INPUT] if len(examples) == 1 else [f"{INPUT}{n}" for n in range(len(examples))]))
    given = list(outputs or [OUTPUT])
    made = io.BytesIO()
    # The newer exporter wants onnxscript, and is no better for networks that can be traced. PyTorch 2.4 knows no other.
    traced = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                examples,
                made,
                input_names=named,
                output_names=given,
                dynamic_axes={name: {0: "rows"} for name in (*named, *given)},
                opset_version=OPSET,
                **traced,
            )
    except Exception as error:  # whatever a network does
        raise ToolkitError(_cannot(network, "torch.onnx", error)) from error
    return made.getvalue()


def _note(model: Any, name: str, text: str) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = name, text


def _cannot(model: Any, who: str, error: Exception) -> str:
    told = " ".join(str(error).split())[:300]
    return f"{who} can't convert {type(model).__name__}: {type(error).__name__}: {told}; write onnx_model in compile.py"
