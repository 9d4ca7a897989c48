"""Tensors of a training job, while it trains: `Probe` saves them, `Trial` reads them.

    probe = Probe.from_environment()
    probe.watch(model, loss=criterion, optimizer=optimizer)

What is saved is said by the pipeline's spec (`probe:`), not by the script. It needs nothing but NumPy beside the
framework, so it works in every framework image, and in a job without a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError, ProbeError
from toolkit.probe.layout import EVAL, TRAIN

if TYPE_CHECKING:
    from toolkit.probe.probe import Probe
    from toolkit.probe.trial import Trial

__all__ = ["EVAL", "TRAIN", "NotSavedError", "Probe", "ProbeError", "Trial"]


def __getattr__(name: str) -> Any:
    # A reader needs no writer, and the other way round.
    if name == "Probe":
        from toolkit.probe.probe import Probe

        return Probe
    if name == "Trial":
        from toolkit.probe.trial import Trial

        return Trial
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
