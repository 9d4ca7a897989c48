"""The frameworks that the probe knows. Nothing of one is imported before something of it is handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from toolkit.probe.arrays import Arrays
from toolkit.probe.errors import ProbeError
from toolkit.probe.numpy_arrays import NUMPY
from toolkit.probe.recorder import Recorder
from toolkit.probe.watcher import Watcher


def watch(recorder: Recorder, model: Any, loss: Any, optimizer: Any) -> Watcher:
    """A watcher of the model, attached. Raises ProbeError for a model of another framework."""
    packages = _packages_of(model)
    for package, attached in _WATCHERS.items():
        if package in packages:
            return attached(recorder, model, loss, optimizer)
    kinds = "PyTorch modules, Keras 3 models, XGBoost's boosters and estimators, scikit-learn's estimators"
    raise ProbeError(f"{type(model).__module__}.{type(model).__name__} is none of what the probe watches: {kinds}")


def arrays_of(tensor: Any) -> Arrays:
    """How a tensor is read that the script hands over."""
    if "torch" in _packages_of(tensor):
        from toolkit.probe.torch_arrays import TORCH

        return TORCH
    return NUMPY


def _packages_of(thing: Any) -> set[str]:
    """The packages of its class and of those that it is made from; of a module (xgboost), its own."""
    if hasattr(thing, "__path__"):
        return {thing.__name__.partition(".")[0]}
    return {base.__module__.partition(".")[0] for base in type(thing).__mro__}


def _keras(recorder: Recorder, model: Any, _loss: Any, _optimizer: Any) -> Watcher:
    from toolkit.probe.watch_keras import KerasWatcher

    return KerasWatcher(recorder, model)


def _pytorch(recorder: Recorder, model: Any, loss: Any, optimizer: Any) -> Watcher:
    from toolkit.probe.watch_pytorch import PyTorchWatcher

    return PyTorchWatcher(recorder, model, loss, optimizer)


def _xgboost(recorder: Recorder, _model: Any, _loss: Any, _optimizer: Any) -> Watcher:
    from toolkit.probe.watch_xgboost import XGBoostWatcher

    return XGBoostWatcher(recorder)


def _sklearn(recorder: Recorder, model: Any, _loss: Any, _optimizer: Any) -> Watcher:
    from toolkit.probe.watch_sklearn import ScikitLearnWatcher

    return ScikitLearnWatcher(recorder, model)


# Keras first: its models on PyTorch are modules of that too.
_WATCHERS: Mapping[str, Callable[[Recorder, Any, Any, Any], Watcher]] = {
    "keras": _keras,
    "torch": _pytorch,
    "xgboost": _xgboost,
    "sklearn": _sklearn,
}
