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

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch.optim import optimizer as optimizers

from toolkit.probe import layout
from toolkit.probe.problems import harmless
from toolkit.probe.recorder import Recorder
from toolkit.probe.torch_arrays import TORCH
from toolkit.probe.watcher import Calls, Watcher, tensors_in

_ACTIVATIONS = {layout.INPUT: "input", layout.OUTPUT: "output", layout.OUTPUT_GRADIENT: "output.gradient"}


class PyTorchWatcher(Watcher):
    """Hooks on a model, its loss and its optimizer."""

    def __init__(self, recorder: Recorder, model: Any, loss: Any, optimizer: Any) -> None:
        inner, calls = unwrapped(model), Calls(recorder.steps)
        self._updates = _Updates(recorder, inner, optimizer)
        activations, compared = _Activations(recorder, inner, calls), _Loss(recorder, loss, calls)
        self._handles = [*activations.hooks(model), *compared.hooks(), *self._updates.hooks()]

    def before_step_ends(self) -> None:
        """Saves parameters, gradients and buffers as they are now."""
        self._updates.save()

    def detach(self) -> None:
        """Takes all hooks off."""
        while self._handles:
            self._handles.pop().remove()


class _Updates:
    """Parameters, gradients and buffers before each of the optimizer's steps; its state afterwards."""

    def __init__(self, recorder: Recorder, model: Any, optimizer: Any) -> None:
        self.problems, self._recorder, self._optimizer = recorder.problems, recorder, optimizer
        self._parameters, self._buffers = dict(_parameters(model)), dict(_buffers(model))
        kinds = {name: layout.BIAS if name.endswith("bias") else layout.WEIGHT for name in self._parameters}
        self._kinds = {**kinds, **dict.fromkeys(self._buffers, layout.BUFFER)}
        gradients = {f"{name}.gradient": layout.GRADIENT for name in self._parameters}
        self._collections = recorder.declare({**self._kinds, **gradients})
        # The state's names are the optimizer's own, known after its first step.
        self._of_state = recorder.catalogue.that_may_hold(layout.OPTIMIZER)

    def hooks(self) -> list[Any]:
        """Hooks the optimizer, or every optimizer if none was given; returns the handles."""
        optimizer = self._optimizer
        if optimizer is None:
            return [
                optimizers.register_optimizer_step_pre_hook(self._before),
                optimizers.register_optimizer_step_post_hook(self._after),
            ]
        if hasattr(optimizer, "register_step_pre_hook"):
            return [optimizer.register_step_pre_hook(self._before), optimizer.register_step_post_hook(self._after)]
        sentence = "the optimizer has no step hooks (torch.optim's have): call probe.step() after each step"
        self.problems.warn("optimizer", sentence)
        return []

    def save(self) -> None:
        """Saves parameters, gradients and buffers, if any of them is due."""
        if not self._recorder.is_due(self._collections):
            return
        for name, tensor in {**self._parameters, **self._buffers}.items():
            self._recorder.offer(name, self._kinds[name], tensor, TORCH)
            if tensor.grad is not None:  # a frozen parameter has none
                self._recorder.offer(f"{name}.gradient", layout.GRADIENT, tensor.grad, TORCH)

    @harmless("saving parameters and gradients")
    def _before(self, optimizer: Any, *_: Any) -> None:
        if self._counts(optimizer):
            self.save()

    @harmless("saving the optimizer's state")
    def _after(self, optimizer: Any, *_: Any) -> None:
        if not self._counts(optimizer):
            return
        try:
            if self._recorder.is_due(self._of_state):
                self._save_state(optimizer)
        finally:
            self._recorder.steps.end()

    def _counts(self, optimizer: Any) -> bool:
        """Whether its steps are the training's: the one given, else the first that updates the model."""
        if self._optimizer is None:
            ours = {id(parameter) for parameter in self._parameters.values()}
            if any(id(p) in ours for group in optimizer.param_groups for p in group["params"]):
                self._optimizer = optimizer
        return optimizer is self._optimizer

    def _save_state(self, optimizer: Any) -> None:
        for name, parameter in self._parameters.items():
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor) and value.dim():
                    self._recorder.offer(f"{name}.{key}", layout.OPTIMIZER, value, TORCH)
        for number, group in enumerate(optimizer.param_groups):
            self._recorder.offer_number(f"optimizer/lr[{number}]", layout.OPTIMIZER, group["lr"])


class _Activations:
    """Inputs and outputs of a model's modules, and the loss's gradients with regard to the outputs."""

    def __init__(self, recorder: Recorder, model: Any, calls: Calls) -> None:
        self.problems, self._recorder, self._calls = recorder.problems, recorder, calls
        self._modules = {path or "model": module for path, module in model.named_modules() if _has_own(path, module)}
        names = {f"{path}/{word}": kind for path in self._modules for kind, word in _ACTIVATIONS.items()}
        types = {path: type(module).__name__ for path, module in self._modules.items()}
        recorder.declare(names, {f"{path}/{word}": types[path] for path in types for word in ("input", "output")})
        # Calls and places within tuples add to names, so which collections hold them isn't all known beforehand.
        self._wanted = {kind: recorder.catalogue.that_may_hold(kind) for kind in _ACTIVATIONS}

    def hooks(self, called: Any) -> list[Any]:
        """Hooks the called model, and its modules if any collection may hold activations; returns the handles."""
        handles = [called.register_forward_pre_hook(self._model_called)]
        for path, module in self._modules.items() if any(self._wanted.values()) else ():
            into, out = partial(self._into, path), partial(self._out_of, path)
            handles.append(module.register_forward_pre_hook(into, with_kwargs=True))
            handles.append(module.register_forward_hook(out))
        return handles

    @harmless("following the model's calls")
    def _model_called(self, model: Any, _inputs: Any) -> None:
        self._recorder.steps.begin_forward(training=model.training)

    @harmless("saving a module's inputs")
    def _into(self, path: str, _module: Any, inputs: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        # Here, not after the call: an in-place module has changed its input by then.
        if self._recorder.is_due(self._wanted[layout.INPUT]):
            given = inputs[0] if len(inputs) == 1 and not more else {**dict(enumerate(inputs)), **more}
            call = self._calls.next(f"{path}/input")
            for place, tensor in tensors_in(given, _is_tensor):
                self._recorder.offer(f"{path}/input{place}{call}", layout.INPUT, tensor, TORCH)

    @harmless("saving a module's outputs")
    def _out_of(self, path: str, _module: Any, _inputs: Any, outputs: Any) -> None:
        whole = self._recorder.is_due(self._wanted[layout.OUTPUT])
        gradients = self._recorder.is_due(self._wanted[layout.OUTPUT_GRADIENT])
        if not (whole or gradients):
            return
        call = self._calls.next(f"{path}/output")
        for place, tensor in tensors_in(outputs, _is_tensor):
            name = f"{path}/output{place}{call}"
            self._recorder.offer(name, layout.OUTPUT, tensor, TORCH)
            if gradients and tensor.requires_grad:
                tensor.register_hook(partial(self._gradient, f"{name}.gradient", self._recorder.steps.current))

    @harmless("saving an output's gradient")
    def _gradient(self, name: str, moment: tuple[str, int], gradient: Any) -> None:
        if self._recorder.steps.current == moment:
            self._recorder.offer(name, layout.OUTPUT_GRADIENT, gradient, TORCH)


class _Loss:
    """A loss module's value, and the predictions and labels that it compares."""

    def __init__(self, recorder: Recorder, loss: Any, calls: Calls) -> None:
        self.problems, self._recorder, self._loss, self._calls = recorder.problems, recorder, loss, calls
        self._name = f"loss/{type(loss).__name__}"
        self._compared = {
            f"prediction/{type(loss).__name__}": layout.PREDICTION,
            f"label/{type(loss).__name__}": layout.LABEL,
        }

    def hooks(self) -> list[Any]:
        """Hooks the loss, if one was given; returns the handles."""
        if self._loss is None:
            return []
        if not isinstance(self._loss, torch.nn.Module):
            advice = "can't be watched: call probe.loss(name, value) each step"
            self.problems.warn("loss", f"the loss {self._loss!r} is no module, so it {advice}")
            return []
        self._collections = self._recorder.declare({self._name: layout.LOSS, **self._compared})
        return [self._loss.register_forward_hook(self._known)]

    @harmless("saving the loss")
    def _known(self, _module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if not self._recorder.is_due(self._collections):
            return
        call = self._calls.next(self._name)
        if output.numel() == 1:
            self._recorder.offer_number(f"{self._name}{call}", layout.LOSS, output)
        else:
            self._recorder.offer(f"{self._name}{call}", layout.LOSS, output, TORCH)
        for (compared, kind), tensor in zip(self._compared.items(), inputs):
            if _is_tensor(tensor):
                self._recorder.offer(f"{compared}{call}", kind, tensor, TORCH)


def unwrapped(model: Any) -> Any:
    """The model within DistributedDataParallel, DataParallel and torch.compile, so that names don't depend on them."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)):
            inner = model.module
        if inner is None:
            return model
        model = inner


def _is_tensor(found: Any) -> bool:
    return isinstance(found, torch.Tensor)


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
    return not path or not isinstance(module, (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict))
