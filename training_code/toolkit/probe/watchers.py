"""Which watcher a model gets. A framework is imported only when a model of it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import ProbeError
from toolkit.probe.numpy_arrays import NUMPY

if TYPE_CHECKING:
    from toolkit.probe.core import Arrays, Probe


def watch(probe: Probe, model: Any, loss: Any, optimizer: Any) -> Any:
    """A watcher of the model, attached. Raises ProbeError for what none knows."""
    families = _families(model)
    # Keras's models on PyTorch are modules of that too.
    if "keras" in families:
        from toolkit.probe.watch_keras import KerasWatcher

        return KerasWatcher(probe, model)
    if "torch" in families:
        from toolkit.probe.watch_pytorch import PyTorchWatcher

        return PyTorchWatcher(probe, model, loss, optimizer)
    if "xgboost" in families:
        from toolkit.probe.watch_xgboost import XGBoostWatcher

        return XGBoostWatcher(probe, model)
    if "sklearn" in families:
        from toolkit.probe.watch_sklearn import ScikitLearnWatcher

        return ScikitLearnWatcher(probe, model)
    kinds = "PyTorch modules, Keras 3 models, XGBoost's boosters and estimators, scikit-learn's estimators"
    raise ProbeError(f"{type(model).__module__}.{type(model).__name__} is none of what the probe watches: {kinds}")


def arrays_of(tensor: Any) -> Arrays:
    """Of a tensor saved by hand."""
    if "torch" in _families(tensor):
        from toolkit.probe.torch_arrays import TORCH

        return TORCH
    return NUMPY


def _families(thing: Any) -> set[str]:
    """The packages of its class and of those that it is made from; of a module (xgboost), its own."""
    if hasattr(thing, "__path__"):
        return {thing.__name__.partition(".")[0]}
    return {base.__module__.partition(".")[0] for base in type(thing).__mro__}
