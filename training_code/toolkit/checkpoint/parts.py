"""The parts of a checkpoint: each kind of thing that it can hold, as a state and back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolkit.checkpoint.files import CheckpointError

# Made anew from the parameters at every partial_fit (sklearn/linear_model/_stochastic_gradient.py).
_DERIVED = frozenset({"_loss_function_"})


@dataclass(frozen=True)
class Part:
    """One thing of the script's: its state now, and how a state is put back into it.

    own: of processes that train together each has its own; all others are the same everywhere.
    """

    state: Callable[[], Any]
    load: Callable[[Any], object]
    own: bool = False


def part_of(name: str, value: Any) -> Part:
    """A value as a part, by its kind.

    Raises:
        CheckpointError: of a kind that can't be saved and put back.
    """
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return Part(value.state_dict, value.load_state_dict)
    if isinstance(value, random.Random):
        return Part(value.getstate, value.setstate, own=True)
    if hasattr(value, "partial_fit") and hasattr(value, "get_params"):
        return estimator_part(name, value)
    part = _collection_part(value) or _numpy_part(name, value)
    if part is not None:
        return part
    raise CheckpointError(
        f"{name} is a {type(value).__module__}.{type(value).__qualname__}, which a checkpoint can't take up again; "
        "give it state_dict() and load_state_dict(state), or hand over its arrays"
    )


def _collection_part(value: Any) -> Part | None:
    if isinstance(value, list):
        return Part(lambda: list(value), lambda state: value.__setitem__(slice(None), state))
    if isinstance(value, dict):
        return Part(lambda: dict(value), lambda state: _refill(value, state))
    return None


def _numpy_part(name: str, value: Any) -> Part | None:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return Part(value.copy, lambda state: _write_array(name, value, state))
    if numpy is not None and isinstance(value, numpy.random.Generator):
        generator = value.bit_generator
        return Part(lambda: generator.state, lambda state: setattr(generator, "state", state), own=True)
    return None


def estimator_part(name: str, estimator: Any) -> Part:
    """A scikit-learn estimator that learns by partial_fit: all that it holds besides its parameters.

    Numbers, text, arrays and lists of them can be saved; an estimator that holds more is refused when it is saved.
    """

    def state() -> dict[str, Any]:
        left_out = {*estimator.get_params(deep=False), *_DERIVED}
        held = {key: value for key, value in vars(estimator).items() if key not in left_out}
        return {"kind": type(estimator).__name__, "held": held}

    def load(saved: dict[str, Any]) -> None:
        if saved["kind"] != type(estimator).__name__:
            raise CheckpointError(f"{name} is a {type(estimator).__name__}, in the checkpoint a {saved['kind']}")
        for key, value in saved["held"].items():
            setattr(estimator, key, value)

    return Part(state, load)


def _refill(target: dict[Any, Any], state: dict[Any, Any]) -> None:
    target.clear()
    target.update(state)


def _write_array(name: str, target: Any, state: Any) -> None:
    if (target.shape, target.dtype) != (state.shape, state.dtype):
        raise CheckpointError(
            f"{name} is an array of {target.dtype} in the shape {target.shape}, in the checkpoint of {state.dtype} in "
            f"{state.shape}; begin with an empty checkpoint folder"
        )
    target[...] = state
