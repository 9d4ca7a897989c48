"""The functions of the user's `serve.py`, and the defaults of those that it leaves out."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .bodies import decode, encode
from .errors import StartError


def default_predict(data: Any, model: Any) -> Any:
    """`model.predict(data)`, a Booster's with a DMatrix, a torch module's call in inference mode, or `model(data)`."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        with torch.inference_mode():
            return model.eval()(torch.as_tensor(data))
    if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
        return model.predict(sys.modules["xgboost"].DMatrix(data))
    return model.predict(data) if hasattr(model, "predict") else model(data)


@dataclass(frozen=True)
class Functions:
    """The functions that `serve.py` defines, completed by the defaults."""

    model_fn: Callable[[str], Any]
    input_fn: Callable[[str | bytes, str], Any] = decode
    predict_fn: Callable[[Any, Any], Any] = default_predict
    output_fn: Callable[[Any, str], Any] = encode
    transform_fn: Callable[[Any, str | bytes, str, str], Any] | None = None


def functions_of(module: ModuleType) -> Functions:
    """The functions of an imported `serve.py`. StartError without `model_fn`, or with both ways to transform."""
    names = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
    found = {name: getattr(module, name) for name in names if callable(getattr(module, name, None))}
    if "model_fn" not in found:
        raise StartError(
            f"{module.__file__} defines no model_fn(model_dir), so there is nothing to load the model with"
        )
    replaced = sorted(set(found) - {"model_fn", "transform_fn"})
    if "transform_fn" in found and replaced:
        raise StartError(f"{module.__file__} defines both transform_fn and {', '.join(replaced)}, which it replaces")
    arguments = {"model_fn": 1, "transform_fn": 4}
    return Functions(**{name: without_context(function, arguments.get(name, 2)) for name, function in found.items()})


def without_context(function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    """Newer containers pass a last argument `context` to functions that take one; here it is None."""
    try:
        takes = len(inspect.signature(function).parameters)
    except ValueError:  # some functions written in C don't tell
        return function
    return (lambda *given: function(*given, None)) if takes == arguments + 1 else function


def import_program(directory: Path, program: str) -> ModuleType:
    """`program` (a file name) of the code directory as a module, which may import what lies beside it."""
    path = directory / program
    if not path.is_file():
        raise StartError(f"SAGEMAKER_PROGRAM is {program!r}, but there is no such file in {directory}")
    sys.path.insert(0, str(directory))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise StartError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
