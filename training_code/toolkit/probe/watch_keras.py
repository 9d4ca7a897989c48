"""Watches a Keras 3 model through a callback, and through the calls of its layers and its optimizer.

    model.fit(..., callbacks=[probe.watch(model)])

Names, for a layer `conv`: `conv/kernel`, `conv/bias` (parameters, before the optimizer's step on PyTorch, after it
elsewhere), `conv/kernel.gradient`, `conv/input`, `conv/output`, `conv/output:1` of its second call in one step;
`loss/loss`, `metric/<metric>`; `optimizer/<variable>`. Layers within layers have paths: `encoder/dense/kernel`.

Keras compiles a step on TensorFlow and JAX, where no single layer or gradient can be seen: there parameters, the
optimizer's state, losses and metrics are watched, and the rest is said to be missing. On PyTorch all of it is. A
step's loss and metrics are what Keras reports: means since the epoch began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from toolkit.probe import layout
from toolkit.probe.arrays import Arrays
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.probe.numpy_arrays import NUMPY
from toolkit.probe.problems import harmless
from toolkit.probe.recorder import Recorder
from toolkit.probe.watcher import Calls, Watcher, tensors_in

_ON_PYTORCH = keras.backend.backend() == "torch"
_ACTIVATIONS = {layout.INPUT: "input", layout.OUTPUT: "output"}


class KerasWatcher(Watcher):
    """Watches by its callback, and on PyTorch by wrapping layers and optimizer."""

    def __init__(self, recorder: Recorder, model: Any) -> None:
        self.problems, self._recorder, self._model = recorder.problems, recorder, model
        self._calls = Calls(recorder.steps)
        self._restore: list[Callable[[], None]] = []
        self._arrays = _arrays()
        self.callback = StepCallback(self)
        if model.built:
            self.declare()

    def detach(self) -> None:
        """Gives layers and optimizer their own methods back."""
        while self._restore:
            self._restore.pop()()

    @harmless("watching the model")
    def begin(self) -> None:
        """Begins a training or evaluation: only now is every model built."""
        self.detach()
        self.declare()
        if _ON_PYTORCH:
            for path, layer in _layers(self._model):
                self._wrap(layer, "call", lambda call, path=path: self._called(path, call))
            if (optimizer := getattr(self._model, "optimizer", None)) is not None:
                self._wrap(optimizer, "apply", self._applied)

    def declare(self) -> None:
        """Makes the model's names known."""
        activations = {f"{p}/{word}": kind for p, _ in _layers(self._model) for kind, word in _ACTIVATIONS.items()}
        gradients = {f"{name}.gradient": layout.GRADIENT for name, _, variable in _parameters(self._model)}
        kinds = {name: kind for name, kind, _ in _parameters(self._model)}
        seen = self._recorder.declare({**kinds, "loss/loss": layout.LOSS})
        types = {f"{p}/{word}": _type(layer, word) for p, layer in _layers(self._model) for word in ("input", "output")}
        unseen = self._recorder.declare({**activations, **gradients}, types)
        if not _ON_PYTORCH and (missing := unseen - seen):
            backend = keras.backend.backend()
            names = ", ".join(sorted(missing))
            sentence = f"on {backend}, Keras compiles its steps: layers and gradients can't be seen ({names})"
            self.problems.warn("Keras", sentence)

    def _wrap(self, owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        object.__setattr__(owner, name, wrapped(original))
        self._restore.append(lambda: object.__delattr__(owner, name))

    def _called(self, path: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*inputs: Any, **more: Any) -> Any:
            index = self._calls.next(path)
            self._save(f"{path}/input", index, layout.INPUT, inputs[0] if len(inputs) == 1 else inputs)
            outputs = call(*inputs, **more)
            self._save(f"{path}/output", index, layout.OUTPUT, outputs)
            return outputs

        return watched

    def _applied(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def watched(gradients: Any, variables: Any = None) -> Any:
            self._before_update(gradients, self._model.trainable_variables if variables is None else variables)
            return apply(gradients, variables) if variables is not None else apply(gradients)

        return watched

    @harmless("saving parameters and gradients")
    def _before_update(self, gradients: Any, variables: Any) -> None:
        names = {id(variable): (name, kind) for name, kind, variable in _parameters(self._model)}
        self._save_parameters()
        for gradient, variable in zip(gradients, variables):
            if gradient is not None and id(variable) in names:
                self._recorder.offer(f"{names[id(variable)][0]}.gradient", layout.GRADIENT, gradient, self._arrays)

    def _save_parameters(self) -> None:
        for name, kind, variable in _parameters(self._model):
            self._recorder.offer(name, kind, variable.value, self._arrays)

    @harmless("saving a layer")
    def _save(self, name: str, index: str, kind: str, tensors: Any) -> None:
        for place, tensor in tensors_in(tensors, keras.ops.is_tensor):
            self._recorder.offer(f"{name}{place}{index}", kind, tensor, self._arrays)

    @harmless("ending a step")
    def end(self, logs: Any) -> None:
        """Saves a batch's loss and metrics, and what Keras compiled; ends the step."""
        for name, value in (logs or {}).items():
            is_loss = name.endswith("loss")
            kind, group = (layout.LOSS, "loss") if is_loss else (layout.METRIC, "metric")
            self._recorder.offer_number(f"{group}/{name}", kind, value)
        if self._recorder.steps.current[0] == TRAIN:
            if not _ON_PYTORCH:
                self._save_compiled()
            self._save_optimizer()
        self._recorder.steps.end()

    def _save_compiled(self) -> None:
        if hasattr(self._model, "jax_state_sync"):
            self._model.jax_state_sync()
        self._save_parameters()

    def _save_optimizer(self) -> None:
        if (optimizer := getattr(self._model, "optimizer", None)) is not None:
            for variable in optimizer.variables:
                if variable.shape:
                    self._recorder.offer(f"optimizer/{variable.path}", layout.OPTIMIZER, variable.value, self._arrays)

    def enter(self, mode: str) -> None:
        """Changes to training or evaluation."""
        self._recorder.steps.enter(mode)


class StepCallback(keras.callbacks.Callback):
    """Ends a step with each batch. The methods' names and arguments are Keras's."""

    def __init__(self, watcher: KerasWatcher) -> None:
        super().__init__()
        self._watcher = watcher

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signatures
        self._watcher.enter(TRAIN)
        self._watcher.begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._watcher.end(logs)

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        # Also of the evaluation at the end of an epoch.
        self._watcher.enter(EVAL)
        self._watcher.begin()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._watcher.end(logs)

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._watcher.enter(TRAIN)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._watcher.detach()


class KerasArrays:
    """Reads tensors through NumPy, which every backend has; see arrays.Arrays."""

    def stored(self, tensor: Any) -> Any:
        """A copy."""
        return NUMPY.stored(keras.ops.convert_to_numpy(tensor))

    def reduced(self, tensor: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Numbers, by NumPy's formulas."""
        return NUMPY.reduced(keras.ops.convert_to_numpy(tensor), wanted)

    def described(self, tensor: Any) -> tuple[tuple[int, ...], str]:
        """The shape and type."""
        return NUMPY.described(keras.ops.convert_to_numpy(tensor))


def _arrays() -> Arrays:
    if _ON_PYTORCH:
        from toolkit.probe.torch_arrays import TORCH

        return TORCH
    return KerasArrays()


def _layers(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for layer in model._flatten_layers(include_self=False, recursive=False):
        here = f"{path}{layer.name}"
        yield here, layer
        yield from _layers(layer, f"{here}/")


def _type(layer: Any, word: str) -> str:
    """What a layer is; its output, and an Activation altogether, is its activation function's."""
    function = getattr(getattr(layer, "activation", None), "__name__", None)
    wanted = word == "output" or isinstance(layer, keras.layers.Activation)
    return function if function and wanted else type(layer).__name__


def _parameters(model: Any) -> Iterator[tuple[str, str, Any]]:
    for path, layer in _layers(model):
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]:
            if not np.issubdtype(np.dtype(keras.backend.standardize_dtype(variable.dtype)), np.floating):
                continue  # seeds
            trained = any(variable is found for found in layer._trainable_variables)
            usual = layout.BIAS if variable.name.endswith("bias") else layout.WEIGHT
            yield f"{path}/{variable.name}", usual if trained else layout.BUFFER, variable
