"""Rules over activation functions: saturated and dead units.

A unit is a channel (axis 1) of images, a feature (last axis) of anything else; it is judged over the batch and all
positions of a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.layers import RELU_OUTPUT, SIGMOID_INPUT, TANH_INPUT
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import COLLECTION_NAMES, PAGE, TENSOR_REGEX, Rule, Selection, Verdict

if TYPE_CHECKING:
    import numpy as np

_SIGMOIDS = Selection(regexes=("(?i)sigmoid",))

INACTIVITY = Parameter(
    "threshold_inactivity", "number", 1.0, "a unit active less often than this (percent)", minimum=0, maximum=100
)
LAYER = Parameter(
    "threshold_layer", "number", 50.0, "percentage of a layer's units that is too much", minimum=0, maximum=100
)


def units(activations: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Activations as (observations, units)."""
    import numpy as np

    if activations.ndim < 2:
        return activations.reshape(-1, 1)
    channel = 1 if activations.ndim in (4, 5) else -1
    moved = np.moveaxis(activations, channel, -1)
    return moved.reshape(-1, moved.shape[-1])


class DeadRelu(Rule):
    """Too many of a layer's rectified linear units do nothing: a unit is dead when 100 · mean(output > 0) <
    threshold_inactivity; fires when 100 · dead / units > threshold_layer."""

    parameters = (TENSOR_REGEX, INACTIVITY, LAYER)
    default = Selection(regexes=(RELU_OUTPUT,))
    saves = {"relu_output": {"include": [RELU_OUTPUT]}}  # noqa: RUF012 - read only
    source = f"{PAGE}#dead-relu"
    threshold_inactivity: float
    threshold_layer: float

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            outputs = self.array(name, step, mode)
            if outputs is None or not outputs.size:
                continue
            active = 100.0 * (units(outputs) > 0).mean(axis=0)
            dead = 100.0 * float((active < self.threshold_inactivity).mean())
            self.judged(step, dead)
            if dead > self.threshold_layer:
                return Verdict(
                    step, dead, f"{dead:.4g} % of the units of {name} are dead, above {self.threshold_layer:g} %"
                )
        return None


class SaturatedActivation(Rule):
    """Too many of a layer's tanh or sigmoid units lie at their function's ends: a unit is saturated when its inputs are
    within (min, max) in less than threshold_inactivity percent of the cases; fires when 100 · saturated / units >
    threshold_layer. Sigmoid's thresholds hold where the tensor's name or its layer's type says so, else tanh's."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("threshold_tanh_min", "number", -9.4999, "inputs of tanh below are saturated"),
        Parameter("threshold_tanh_max", "number", 9.4999, "inputs of tanh above are saturated"),
        Parameter("threshold_sigmoid_min", "number", -23.0, "inputs of sigmoid below are saturated"),
        Parameter("threshold_sigmoid_max", "number", 16.99999, "inputs of sigmoid above are saturated"),
        INACTIVITY,
        LAYER,
    )
    default = Selection(regexes=(TANH_INPUT, SIGMOID_INPUT))
    saves = {"bounded_input": {"include": [TANH_INPUT, SIGMOID_INPUT]}}  # noqa: RUF012 - read only
    source = f"{PAGE}#saturated-activation"
    threshold_tanh_min: float
    threshold_tanh_max: float
    threshold_sigmoid_min: float
    threshold_sigmoid_max: float
    threshold_inactivity: float
    threshold_layer: float

    def prepare(self) -> None:
        for kind, (low, high) in self._thresholds.items():
            if low >= high:
                greatest = f"threshold_{kind}_max, {high:g}"
                raise RuleError(f"{self.rule_name}: threshold_{kind}_min is {low:g}, not below {greatest}")

    @property
    def _thresholds(self) -> dict[str, tuple[float, float]]:
        return {
            "tanh": (self.threshold_tanh_min, self.threshold_tanh_max),
            "sigmoid": (self.threshold_sigmoid_min, self.threshold_sigmoid_max),
        }

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        sigmoids = self.selected(step, mode, _SIGMOIDS)
        for name in self.selected(step, mode):
            low, high = self._thresholds["sigmoid" if name in sigmoids else "tanh"]
            inputs = self.array(name, step, mode)
            if inputs is None or not inputs.size:
                continue
            observed = units(inputs)
            within = 100.0 * ((observed > low) & (observed < high)).mean(axis=0)
            saturated = 100.0 * float((within < self.threshold_inactivity).mean())
            self.judged(step, saturated)
            if saturated > self.threshold_layer:
                limit = f"above {self.threshold_layer:g} %"
                return Verdict(step, saturated, f"{saturated:.4g} % of the units of {name} are saturated, {limit}")
        return None
