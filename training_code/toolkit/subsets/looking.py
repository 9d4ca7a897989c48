"""What a model of PyTorch makes of examples: what goes into its last layer, and the scores that come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from toolkit.subsets.errors import SubsetError
from toolkit.subsets.glister import LastLayer

# Of examples that are looked at together.
BATCH = 256


def check_loss(loss: Any) -> None:
    """Raises SubsetError unless it is a cross-entropy whose gradients glister.py knows."""
    if not isinstance(loss, nn.CrossEntropyLoss):
        raise SubsetError(
            f"the loss is a {type(loss).__name__}; a selection by the last layer's gradients or losses knows those of "
            "CrossEntropyLoss"
        )
    if loss.weight is not None:
        raise SubsetError("the loss weighs its classes, which a selection by the last layer doesn't know of")


def last_layer(model: nn.Module, path: str | None) -> nn.Module:
    """The layer of this path, or the last Linear. Raises SubsetError where there is none."""
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if path is not None and path not in linear:
        raise SubsetError(f"last_layer is {path!r}; the model's Linear layers are {', '.join(linear) or 'none'}")
    if not linear:
        raise SubsetError("the model has no Linear layer, whose gradients a selection would be made by")
    return linear[path] if path is not None else list(linear.values())[-1]


def look(model: nn.Module, layer: nn.Module, dataset: Any, loading: Mapping[str, Any], smoothing: float) -> LastLayer:
    """The last layer's inputs and scores of all examples, and their classes; the model is left as it was.

    Raises:
        SubsetError: the layer's output isn't the model's, or the targets are no classes.
    """
    device = next(model.parameters()).device
    seen: list[tuple[Any, Any]] = []
    hook = layer.register_forward_hook(lambda _layer, given, out: seen.append((given[0], out)))
    inputs, scores, targets = [], [], []
    # A generator of its own: torch's is the training's.
    batches = DataLoader(dataset, BATCH, generator=torch.Generator(), **loading)
    try:
        with _evaluating(model):
            for x, y in batches:
                seen.clear()
                found = model(x.to(device))
                if not seen or seen[-1][1] is not found:
                    raise SubsetError(
                        "what the model answers isn't what its last Linear layer says; name that by last_layer='…'"
                    )
                inputs.append(seen[-1][0].float().cpu().numpy())
                scores.append(found.float().cpu().numpy())
                targets.append(y.cpu().numpy())
    finally:
        hook.remove()
    return LastLayer(np.concatenate(inputs), np.concatenate(scores), _classes(np.concatenate(targets)), smoothing)


def _classes(targets: Any) -> Any:
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise SubsetError(
            f"targets are {targets.dtype} of the shape {targets.shape}; a selection by the last layer needs the number "
            "of a class for each example"
        )
    return targets


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation, without gradients; afterwards each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
