"""The functions of the user's program, and the container's own in the place of those that it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .errors import StartError

_NAMES = (
    "model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn", "pre_model_fn", "model_warmup_fn",
    "execution_parameters_fn",
)  # fmt: skip
_REPLACED = ("input_fn", "predict_fn", "output_fn")


def no_model_fn(_model_dir: str) -> Any:
    """The place of `model_fn` in containers that have none of their own."""
    raise StartError("the program defines no model_fn(model_dir), so there is nothing to load the model with")


def no_predict_fn(_data: Any, _model: Any) -> Any:
    """The place of `predict_fn` in containers that have none of their own."""
    raise NotImplementedError("the program defines no predict_fn(data, model), and this container has none of its own")


@dataclass(frozen=True)
class Functions:
    """All that a model is loaded and asked with, and what a transform job is told of how to ask it."""

    model_fn: Callable[..., Any]
    input_fn: Callable[..., Any]
    predict_fn: Callable[..., Any]
    output_fn: Callable[..., Any]
    transform_fn: Callable[..., Any] | None = None
    pre_model_fn: Callable[..., Any] | None = None
    model_warmup_fn: Callable[..., Any] | None = None
    execution_parameters_fn: Callable[..., Any] | None = None


def functions_of(module: ModuleType, defaults: Functions) -> Functions:
    """An imported program's functions, completed. StartError when it has both ways to answer."""
    found = {name: getattr(module, name) for name in _NAMES if callable(getattr(module, name, None))}
    replaced = [name for name in _REPLACED if name in found]
    if "transform_fn" in found and replaced:
        raise StartError(f"{module.__file__} defines both transform_fn and {', '.join(replaced)}, which it replaces")
    return dataclasses.replace(defaults, **found)
