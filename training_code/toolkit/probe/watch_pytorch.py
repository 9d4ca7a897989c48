"""Watches a PyTorch module, through its hooks; nothing of the model is changed.

Names, for a module at path `layer1.0.relu` (the model itself is `model`):

    layer1.0.conv1/weight, …/bias        parameters as the optimizer finds them, before it changes them
    layer1.0.conv1/weight.gradient       theirs, then too: clipped and unscaled, as the optimizer uses them
    layer1.0.conv1/weight.exp_avg        the optimizer's state, after its step
    layer1.0.bn1/running_mean            buffers
    layer1.0.relu/input, …/output        what goes in, what comes out
    layer1.0.relu/output:1               of its second call in one step, whatever module it is
    layer1.0.relu/output.gradient        of the loss with regard to that output; …/output:1.gradient of the second's
    lstm/output[1][0]                    a tensor within tuples, lists or dictionaries
    loss/CrossEntropyLoss                prediction/CrossEntropyLoss and label/CrossEntropyLoss are what it compared
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import optimizer as optimizers

from toolkit.probe import layout
from toolkit.probe.problems import harmless
from toolkit.probe.settings import BUILT_IN
from toolkit.probe.torch_arrays import TORCH

if TYPE_CHECKING:
    from toolkit.probe.core import Probe

_ACTIVATIONS = {layout.INPUT: "input", layout.OUTPUT: "output", layout.OUTPUT_GRADIENT: "output.gradient"}


class PyTorchWatcher:
    """Hooks on a model, its loss and its optimizer."""

    def __init__(self, probe: Probe, model: Any, loss: Any, optimizer: Any) -> None:
        self.problems = probe.problems
        self._probe, self._model = probe, unwrapped(model)
        self._calls: Counter[str] = Counter()
        self._moment: tuple[str, int] | None = None
        self._handles: list[Any] = []
        self._optimizer: Any = optimizer
        self._parameters = dict(_parameters(self._model))
        self._buffers = dict(_buffers(self._model))
        self._watch_parameters()
        self._watch_activations(model)
        self._watch_loss(loss)
        self._watch_optimizer(optimizer)

    def detach(self) -> None:
        """Takes all hooks off."""
        while self._handles:
            self._handles.pop().remove()

    # Parameters, gradients, the optimizer's state

    def _watch_parameters(self) -> None:
        kinds = {name: layout.BIAS if name.endswith("bias") else layout.WEIGHT for name in self._parameters}
        self._kinds = {**kinds, **dict.fromkeys(self._buffers, layout.BUFFER)}
        gradients = {f"{name}.gradient": layout.GRADIENT for name in self._parameters}
        self._stepping = self._probe.declare({**self._kinds, **gradients})
        # The state's names are the optimizer's own, known after its first step.
        self._state = frozenset(c.name for c in self._probe.settings.collections if _may_hold(c, {layout.OPTIMIZER}))

    def _watch_optimizer(self, optimizer: Any) -> None:
        if optimizer is None:
            self._handles += [
                optimizers.register_optimizer_step_pre_hook(self._before_update),
                optimizers.register_optimizer_step_post_hook(self._after_update),
            ]
        elif hasattr(optimizer, "register_step_pre_hook"):
            self._handles += [
                optimizer.register_step_pre_hook(self._before_update),
                optimizer.register_step_post_hook(self._after_update),
            ]
        else:
            sentence = "the optimizer has no step hooks (torch.optim's have): call probe.step() after each step"
            self.problems.warn("optimizer", sentence)

    def _counts(self, optimizer: Any) -> bool:
        """Whether its steps are the training's: the one given, else the first that updates the model."""
        if self._optimizer is None:
            ours = {id(parameter) for parameter in self._parameters.values()}
            if any(id(p) in ours for group in optimizer.param_groups for p in group["params"]):
                self._optimizer = optimizer
        return optimizer is self._optimizer

    @harmless("saving parameters and gradients")
    def _before_update(self, optimizer: Any, *_: Any) -> None:
        if self._counts(optimizer):
            self.before_step_ends()

    def before_step_ends(self) -> None:
        """Saves parameters, gradients and buffers as they are now."""
        if not self._probe.is_due(self._stepping):
            return
        for name, tensor in {**self._parameters, **self._buffers}.items():
            self._probe.offer(name, self._kinds[name], tensor, TORCH)
            if tensor.grad is not None:  # a frozen parameter has none
                self._probe.offer(f"{name}.gradient", layout.GRADIENT, tensor.grad, TORCH)

    @harmless("saving the optimizer's state")
    def _after_update(self, optimizer: Any, *_: Any) -> None:
        if not self._counts(optimizer):
            return
        try:
            if self._probe.is_due(self._state):
                self._save_state(optimizer)
        finally:
            self._probe.end_step()

    def _save_state(self, optimizer: Any) -> None:
        for name, parameter in self._parameters.items():
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor) and value.dim():
                    self._probe.offer(f"{name}.{key}", layout.OPTIMIZER, value, TORCH)
        for number, group in enumerate(optimizer.param_groups):
            self._probe.offer_number(f"optimizer/lr[{number}]", layout.OPTIMIZER, group["lr"])

    # Inputs, outputs and their gradients

    def _watch_activations(self, called: Any) -> None:
        self._handles.append(called.register_forward_pre_hook(self._model_called))
        modules = {path or "model": module for path, module in self._model.named_modules() if _has_own(path, module)}
        names = {f"{path}/{word}": kind for path in modules for kind, word in _ACTIVATIONS.items()}
        self._probe.declare(names)
        # Calls and places within tuples add to names, so which collections hold them isn't all known beforehand.
        collections = self._probe.settings.collections
        self._wanted = {kind: frozenset(c.name for c in collections if _may_hold(c, {kind})) for kind in _ACTIVATIONS}
        if not any(self._wanted.values()):
            return
        for path, module in modules.items():
            into, out = partial(self._into, path), partial(self._out_of, path)
            self._handles.append(module.register_forward_pre_hook(into, with_kwargs=True))
            self._handles.append(module.register_forward_hook(out))

    @harmless("following the model's calls")
    def _model_called(self, model: Any, _inputs: Any) -> None:
        self._probe.begin_forward(training=model.training)

    @harmless("saving a module's inputs")
    def _into(self, path: str, _module: Any, inputs: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        # Here, not after the call: an in-place module has changed its input by then.
        if self._probe.is_due(self._wanted[layout.INPUT]):
            given = inputs[0] if len(inputs) == 1 and not more else {**dict(enumerate(inputs)), **more}
            call = self._call(f"{path}/input")
            for place, tensor in tensors_in(given):
                self._probe.offer(f"{path}/input{place}{call}", layout.INPUT, tensor, TORCH)

    @harmless("saving a module's outputs")
    def _out_of(self, path: str, _module: Any, _inputs: Any, outputs: Any) -> None:
        whole = self._probe.is_due(self._wanted[layout.OUTPUT])
        gradients = self._probe.is_due(self._wanted[layout.OUTPUT_GRADIENT])
        if not (whole or gradients):
            return
        call = self._call(f"{path}/output")
        for place, tensor in tensors_in(outputs):
            name = f"{path}/output{place}{call}"
            self._probe.offer(name, layout.OUTPUT, tensor, TORCH)
            if gradients and tensor.requires_grad:
                tensor.register_hook(partial(self._gradient, f"{name}.gradient", self._probe.current))

    @harmless("saving an output's gradient")
    def _gradient(self, name: str, moment: tuple[str, int], gradient: Any) -> None:
        if self._probe.current == moment:
            self._probe.offer(name, layout.OUTPUT_GRADIENT, gradient, TORCH)

    def _call(self, what: str) -> str:
        """Which call of this step it is, as names say it: nothing for the first, then :1, :2, …"""
        if self._moment != self._probe.current:
            self._moment = self._probe.current
            self._calls.clear()
        self._calls[what] += 1
        return f":{self._calls[what] - 1}" if self._calls[what] > 1 else ""

    # The loss

    def _watch_loss(self, loss: Any) -> None:
        if loss is None:
            return
        if not isinstance(loss, torch.nn.Module):
            sentence = f"the loss {loss!r} is no module, so it can't be watched: call probe.loss(name, value) each step"
            self.problems.warn("loss", sentence)
            return
        name = type(loss).__name__
        self._compared = {f"prediction/{name}": layout.PREDICTION, f"label/{name}": layout.LABEL}
        self._of_loss = self._probe.declare({f"loss/{name}": layout.LOSS, **self._compared})
        self._handles.append(loss.register_forward_hook(partial(self._loss_known, name)))

    @harmless("saving the loss")
    def _loss_known(self, name: str, _module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if not self._probe.is_due(self._of_loss):
            return
        call = self._call(f"loss/{name}")
        if output.numel() == 1:
            self._probe.offer_number(f"loss/{name}{call}", layout.LOSS, output)
        else:
            self._probe.offer(f"loss/{name}{call}", layout.LOSS, output, TORCH)
        for (compared, kind), tensor in zip(self._compared.items(), inputs, strict=False):
            if isinstance(tensor, torch.Tensor):
                self._probe.offer(f"{compared}{call}", kind, tensor, TORCH)


def unwrapped(model: Any) -> Any:
    """The model within DistributedDataParallel, DataParallel and torch.compile, so that names don't depend on them."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, torch.nn.parallel.DistributedDataParallel | torch.nn.DataParallel):
            inner = model.module
        if inner is None:
            return model
        model = inner


def tensors_in(found: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Tensors of numbers, each with its place: "" for one by itself, [0], [1][logits], … within others."""
    if isinstance(found, torch.Tensor):
        yield place, found
    elif isinstance(found, Mapping):
        for key, part in found.items():
            yield from tensors_in(part, f"{place}[{key}]")
    elif isinstance(found, tuple | list):
        for number, part in enumerate(found):
            yield from tensors_in(part, f"{place}[{number}]")


def _parameters(model: Any) -> Iterator[tuple[str, Any]]:
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{path or 'model'}/{name}", parameter


def _buffers(model: Any) -> Iterator[tuple[str, Any]]:
    for path, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            yield f"{path or 'model'}/{name}", buffer


def _has_own(path: str, module: Any) -> bool:
    """Whether its output isn't only its last child's."""
    return not path or not isinstance(module, torch.nn.Sequential | torch.nn.ModuleList | torch.nn.ModuleDict)


def _may_hold(collection: Any, kinds: set[str]) -> bool:
    """Whether tensors of these kinds could be in it."""
    return not kinds.isdisjoint(BUILT_IN.get(collection.name, kinds))
