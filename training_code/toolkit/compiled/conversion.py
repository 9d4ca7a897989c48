"""A trained model -> ONNX, by its folder's compile.py, or of a scikit-learn estimator by itself; optimised, in int8.

It runs the model's own code, and onnxruntime and onnx of the compile job: in a process of its own.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract import compiled
from toolkit import image_functions, serving
from toolkit.compiled.serving import FUNCTIONS
from toolkit.errors import ToolkitError

# Weights of these become int8: convolutions in int8 are slower than in float32 (onnxruntime's ConvInteger; a ResNet-18
# took five times as long).
QUANTISED = ("MatMul", "Gemm", "Gather")
# int8 is worth a difference in answers if the file is smaller by so much.
SMALLER = 0.9


def onnx_model(folder: Path) -> bytes:
    """The model in a folder, with its code below it, as its compile.py makes it.

    The code goes first on the import path of this process, for good.

    Raises:
        ToolkitError: there is no way from this model to ONNX, or what was made isn't ONNX. What the folder's own code
            raises passes through.
    """
    code = folder / "code"
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    script = importlib.import_module("compile") if (code / compiled.SCRIPT).is_file() else None
    check_functions(code, script)
    convert: Callable[[str], Any] | None = getattr(script, "onnx_model", None)
    made = convert(str(folder)) if convert else _of_estimator(folder)
    content = _bytes(made, "onnx_model" if convert else "the converter")
    _check(content)
    return content


def kept(folder: Path) -> list[str]:
    """The files of the model that stay, KEEP of compile.py; after `onnx_model`.

    Raises:
        ToolkitError: KEEP isn't a list of files that the model has.
    """
    names = getattr(sys.modules.get("compile"), "KEEP", ())
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ToolkitError(f"KEEP of {compiled.SCRIPT} is {names!r}; it is a list of files, as ['labels.json']")
    for name in names:
        path, code = (folder / name).resolve(), (folder / "code").resolve()
        if folder.resolve() not in path.parents or code in path.parents or not path.is_file():
            there = sorted(one.name for one in folder.iterdir() if one.is_file())
            raise ToolkitError(f"KEEP of {compiled.SCRIPT} names {name!r}; the model's files are {', '.join(there)}")
    return list(names)


def check_functions(code: Path, script: Any) -> None:
    """Raises ToolkitError where the image's own functions would answer, and are of the framework."""
    own = image_functions.of_image()
    if own.input_fn is image_functions.array:  # NumPy's
        return
    text = "".join(path.read_text(errors="replace") for path in (code / serving.SCRIPT,) if path.is_file())
    missing = [name for name in FUNCTIONS if not hasattr(script, name) and f"def {name}" not in text]
    if missing:
        raise ToolkitError(
            f"neither {compiled.SCRIPT} nor {serving.SCRIPT} has {', '.join(missing)}, and the image's own take the "
            f"framework, without which a compiled model answers: write them in {compiled.SCRIPT}"
        )


def optimised(model: bytes) -> bytes:
    """The model with onnxruntime's optimisations of the graph that hold on any machine: constants folded, nodes fused.

    Those of a machine's own are made when a session begins.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # errors
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, compiled.MODEL_FILE))
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Path(folder, compiled.MODEL_FILE).read_bytes()


def in_int8(model: bytes) -> bytes | None:
    """The model with the weights of its dense layers in int8, what they multiply is scaled as it comes (dynamic
    quantisation); None where that makes it hardly smaller, as of trees and convolutions.

    Args:
        model: not optimised yet: onnxruntime's own nodes can't be quantised.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if not {node.op_type for node in onnx.load_from_string(model).graph.node} & set(QUANTISED):
        return None
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        before.write_bytes(model)
        logging.disable(logging.WARNING)  # advice on a step that is there for shapes, which nothing here needs
        try:
            quantize_dynamic(before, after, weight_type=QuantType.QInt8, op_types_to_quantize=list(QUANTISED))
        except Exception as error:  # noqa: BLE001 - a graph that it can't take apart; the other form is there
            print(f"int8: not of this model: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
            return None
        finally:
            logging.disable(logging.NOTSET)
        made = after.read_bytes()
    return optimised(made) if len(made) < SMALLER * len(model) else None


def _of_estimator(folder: Path) -> Any:
    """Of a folder without onnx_model: what serve.py loads, if that is scikit-learn's."""
    from toolkit.compiled import converters

    model = serving.load_functions(folder / "code").load(str(folder))
    if type(model).__module__.split(".")[0] == "sklearn":
        return converters.sklearn(model)
    raise ToolkitError(
        f"model_fn loads {type(model).__module__}.{type(model).__name__}, and only scikit-learn's estimators are "
        f"converted by themselves; write {compiled.SCRIPT} with onnx_model(model_dir): toolkit.compiled.converters has "
        "a line for XGBoost and PyTorch"
    )


def _bytes(made: Any, who: str) -> bytes:
    if hasattr(made, "SerializeToString"):
        return bytes(made.SerializeToString())
    if isinstance(made, (str, os.PathLike)):
        try:
            return Path(made).read_bytes()
        except OSError as error:
            raise ToolkitError(f"{who} returned the path {made}, which can't be read: {error.strerror}") from error
    if isinstance(made, (bytes, bytearray)):
        return bytes(made)
    raise ToolkitError(f"{who} returned {type(made).__name__}; it returns ONNX: bytes, a ModelProto, or a file's path")


def _check(content: bytes) -> None:
    """Raises ToolkitError where it is no model in ONNX that onnxruntime runs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: the sentence says it
    try:
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common type
        told = " ".join(str(error).split())[:300]
        raise ToolkitError(f"what onnx_model returned isn't a model that onnxruntime runs: {told}") from error
