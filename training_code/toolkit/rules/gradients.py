"""Rules over gradients and weights: vanishing, not moving as they should, badly initialized."""

from __future__ import annotations

import math

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layers import RELU_INPUT
from toolkit.rules.parameters import Parameter
from toolkit.rules.rule import PAGE, Rule, Selection, Verdict, not_finite

GRADIENTS = Selection(collections=("gradients",))
WEIGHTS = Selection(collections=("weights",))


class VanishingGradient(Rule):
    """A gradient has become so small that its layer learns nothing: mean(|g|) < threshold, for any gradient g."""

    parameters = (Parameter("threshold", "number", 1e-7, "below this mean magnitude a gradient vanishes", minimum=0),)
    default = GRADIENTS
    saves = {"gradients": {}}  # noqa: RUF012 - read only
    source = f"{PAGE}#vanishing-gradient"
    threshold: float

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            mean = self._magnitude(name, step, mode)
            if mean is None:
                continue
            self.judged(step, mean)
            if mean < self.threshold:
                return Verdict(step, mean, f"mean |{name}| is {mean:.3g}, below {self.threshold:g}")
        return None

    def _magnitude(self, name: str, step: int, mode: str) -> float | None:
        try:
            mean = self.trial.reduction(name, step, "abs_mean", mode)
        except NotSavedError as error:
            return self.skip(name, str(error))
        return mean if math.isfinite(mean) else self.skip(name, not_finite(step))


class WeightUpdateRatio(Rule):
    """Updates are too large or too small for the weights: ratio = ||w_s - w_p|| / (||w_p|| + epsilon), with Euclidean
    norms, where p is the saved step before s, or the earliest that is >= s - num_steps. Fires when ratio >
    large_threshold or ratio < small_threshold. (The page gives the thresholds; it doesn't say which norm.)"""

    parameters = (
        Parameter("num_steps", "integer", None, "compare with the earliest weights of so many steps back", minimum=1),
        Parameter("large_threshold", "number", 10.0, "a ratio above this is too large", minimum=0),
        Parameter("small_threshold", "number", 1e-8, "a ratio below this is too small", minimum=0),
        Parameter("epsilon", "number", 1e-9, "added to the denominator, against division by zero", minimum=0),
    )
    default = WEIGHTS
    saves = {"weights": {}}  # noqa: RUF012 - read only
    source = f"{PAGE}#weight-update-ratio"
    num_steps: int | None
    large_threshold: float
    small_threshold: float
    epsilon: float

    def prepare(self) -> None:
        self._steps: dict[str, list[int]] = {}

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            before = self._before(name, step)
            ratio = self._ratio(name, before, step, mode) if before is not None else None
            if ratio is None:
                continue
            self.judged(step, ratio)
            if not self.small_threshold <= ratio <= self.large_threshold:
                bound = "above" if ratio > self.large_threshold else "below"
                limit = self.large_threshold if bound == "above" else self.small_threshold
                reason = f"{name} moved by {ratio:.3g} of its norm since step {before}, {bound} {limit:g}"
                return Verdict(step, ratio, reason)
        return None

    def _before(self, name: str, step: int) -> int | None:
        steps = self._steps.setdefault(name, [])
        if self.num_steps is not None:
            steps[:] = [earlier for earlier in steps if earlier >= step - self.num_steps]
        before = (steps[0] if self.num_steps is not None else steps[-1]) if steps else None
        if self.num_steps is None:
            steps.clear()
        steps.append(step)
        return before

    def _ratio(self, name: str, before: int, step: int, mode: str) -> float | None:
        import numpy as np

        earlier, weights = self.array(name, before, mode), self.array(name, step, mode)
        if earlier is None or weights is None or earlier.shape != weights.shape:
            return None
        return float(np.linalg.norm(weights - earlier) / (np.linalg.norm(earlier) + self.epsilon))


class PoorWeightInitialization(Rule):
    """In the first steps the network shows that its weights start badly. Fires on any of the three:
    max(v) / min(v) > threshold over the variances v of the layers' activation inputs; p95(g) - p5(g) <
    distribution_range for a gradient g; the loss has had no new minimum for `patience` saved steps."""

    parameters = (
        Parameter("activation_inputs_regex", "regexes", (RELU_INPUT,), "the activation functions' inputs"),
        Parameter("threshold", "number", 10.0, "greatest ratio between the layers' variances", minimum=1),
        Parameter("distribution_range", "number", 0.001, "least width of a gradient's distribution", minimum=0),
        Parameter("patience", "integer", 5, "steps that the loss may go without a new minimum", minimum=1),
        Parameter("steps", "integer", 10, "steps that are judged, from the first", minimum=1),
    )
    default = Selection(collections=("gradients", "losses"))
    saves = {  # noqa: RUF012 - read only
        "gradients": {},
        "relu_input": {"include": [RELU_INPUT], "interval": 1, "end": 10},
    }
    source = f"{PAGE}#poor-weight-initialization"
    activation_inputs_regex: tuple[str, ...]
    threshold: float
    distribution_range: float
    patience: int
    steps: int

    def prepare(self) -> None:
        self._seen: set[int] = set()
        self._least = float("inf")
        self._waited = 0

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        if len(self._seen) >= self.steps:
            return None
        return self._variances(step, mode) or self._gradients(step, mode) or self._loss(step, mode)

    def _variances(self, step: int, mode: str) -> Verdict | None:
        inputs = Selection(regexes=self.activation_inputs_regex)
        arrays = [self.array(name, step, mode) for name in self.selected(step, mode, inputs)]
        variances = [float(array.var()) for array in arrays if array is not None and array.size]
        if len(variances) < 2:
            return None
        self._seen.add(step)
        ratio = max(variances) / max(min(variances), 1e-300)
        self.judged(step, ratio)
        if ratio <= self.threshold:
            return None
        return Verdict(
            step, ratio, f"the activation inputs' variances differ {ratio:.3g} times, above {self.threshold:g}"
        )

    def _gradients(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        for name in self.selected(step, mode, GRADIENTS):
            gradient = self.array(name, step, mode)
            if gradient is None or not gradient.size:
                continue
            self._seen.add(step)
            low, high = np.percentile(gradient, [5, 95])
            self.judged(step, float(high - low))
            if high - low < self.distribution_range:
                reason = (
                    f"{name} lies within {high - low:.3g} (5th to 95th percentile), below {self.distribution_range:g}"
                )
                return Verdict(step, float(high - low), reason)
        return None

    def _loss(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode, Selection(collections=("losses",)))[:1]:
            loss = self.scalar(name, step, mode)
            if loss is None:
                continue
            self._seen.add(step)
            self.judged(step, loss)
            self._waited = 0 if loss < self._least else self._waited + 1
            self._least = min(self._least, loss)
            if self._waited >= self.patience:
                return Verdict(step, loss, f"{name} has had no new minimum for {self._waited} steps")
        return None
