"""Rules over any tensors: not finite, zero, unchanged, of odd variance, unlike another run's."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import COLLECTION_NAMES, PAGE, TENSOR_REGEX, Rule, Verdict, not_finite

if TYPE_CHECKING:
    import numpy as np


class ExplodingTensor(Rule):
    """A tensor holds NaN or infinity (only NaN with only_nan); every tensor that is saved is inspected by default."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("only_nan", "boolean", False, "true: infinity is fine, only NaN is not"),
    )
    modes = (TRAIN, EVAL)
    source = f"{PAGE}#exploding-tensor"
    only_nan: bool

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        for saved in self.trial.at(step, mode):
            if not self.selection.takes(saved):
                continue
            values = self._values(saved.name, step, mode)
            if values is None:
                continue
            self.judged(step, None)
            bad = np.isnan(values) if self.only_nan else ~np.isfinite(values)
            if count := int(bad.sum()):
                what = "NaN" if np.isnan(values).any() else "infinity"
                return Verdict(step, float(count), f"{saved.name} holds {what} ({count} of {values.size} values)")
        return None

    def _values(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any] | None:
        import numpy as np

        try:
            found = np.asarray(self.trial.value(name, step, mode))
        except NotSavedError as error:
            return self._reduced(name, step, mode, error)
        return found if found.dtype.kind in "fc" else None

    def _reduced(self, name: str, step: int, mode: str, error: NotSavedError) -> np.ndarray[Any, Any] | None:
        """A mean, a sum or a norm isn't finite when the tensor isn't."""
        import numpy as np

        for reduction in ("abs_mean", "mean", "norm", "sum", "abs_max", "max"):
            try:
                return np.asarray([self.trial.reduction(name, step, reduction, mode)])
            except NotSavedError:
                continue
        self.skip(name, str(error))
        return None


class AllZero(Rule):
    """A tensor is zero: 100 · (values that are 0) / (values) >= threshold."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("threshold", "number", 100.0, "percentage of zeros that is too much", minimum=0, maximum=100),
    )
    one_of = ("collection_names", "tensor_regex")
    modes = (TRAIN, EVAL)
    source = f"{PAGE}#all-zero"
    threshold: float

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            values = self.array(name, step, mode)
            if values is None or not values.size:
                continue
            percent = 100.0 * float((values == 0).mean())
            self.judged(step, percent)
            if percent >= self.threshold:
                return Verdict(step, percent, f"{percent:.4g} % of {name} is zero, at least {self.threshold:g} %")
        return None


class UnchangedTensor(Rule):
    """A tensor doesn't change any more: numpy.allclose(it, earlier, rtol, atol, equal_nan) for each of the last
    num_steps saved values."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("num_steps", "integer", 3, "saved steps over which it must have changed", minimum=2),
        Parameter("rtol", "number", 1e-5, "relative tolerance of numpy.allclose", minimum=0),
        Parameter("atol", "number", 1e-8, "absolute tolerance of numpy.allclose", minimum=0),
        Parameter("equal_nan", "boolean", False, "whether NaN equals NaN"),
    )
    one_of = ("collection_names", "tensor_regex")
    source = f"{PAGE}#unchanged-tensor"
    num_steps: int
    rtol: float
    atol: float
    equal_nan: bool

    def prepare(self) -> None:
        self._steps: dict[str, deque[int]] = {}

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            steps = self._steps.setdefault(name, deque(maxlen=self.num_steps))
            steps.append(step)
            if len(steps) < self.num_steps:
                continue
            arrays = [self._values(name, earlier, mode) for earlier in steps]
            if any(array is None for array in arrays):
                continue
            self.judged(step, None)
            if self._unchanged(arrays):
                return Verdict(step, None, f"{name} has not changed since step {steps[0]} ({len(steps)} saved steps)")
        return None

    def _values(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any] | None:
        import numpy as np

        try:
            return np.asarray(self.trial.value(name, step, mode))
        except NotSavedError as error:
            return self.skip(name, str(error))

    def _unchanged(self, arrays: list[Any]) -> bool:
        import numpy as np

        last = arrays[-1]
        return all(
            earlier.shape == last.shape and np.allclose(last, earlier, self.rtol, self.atol, self.equal_nan)
            for earlier in arrays[:-1]
        )


class TensorVariance(Rule):
    """A tensor's variance is out of bounds: var(t) > max_threshold or var(t) < min_threshold."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("max_threshold", "number", None, "greatest variance that is fine", minimum=0),
        Parameter("min_threshold", "number", None, "least variance that is fine", minimum=0),
    )
    one_of = ("collection_names", "tensor_regex")
    modes = (TRAIN, EVAL)
    source = f"{PAGE}#tensor-variance"
    max_threshold: float | None
    min_threshold: float | None

    def prepare(self) -> None:
        if self.max_threshold is None and self.min_threshold is None:
            raise RuleError(
                "TensorVariance needs max_threshold or min_threshold; without them nothing is out of bounds"
            )

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        for name in self.selected(step, mode):
            variance = self._variance(name, step, mode)
            if variance is None:
                continue
            self.judged(step, variance)
            if self.max_threshold is not None and variance > self.max_threshold:
                return Verdict(step, variance, f"var({name}) is {variance:.4g}, above {self.max_threshold:g}")
            if self.min_threshold is not None and variance < self.min_threshold:
                return Verdict(step, variance, f"var({name}) is {variance:.4g}, below {self.min_threshold:g}")
        return None

    def _variance(self, name: str, step: int, mode: str) -> float | None:
        try:
            variance = self.trial.reduction(name, step, "variance", mode)
        except NotSavedError as error:
            return self.skip(name, str(error))
        return variance if math.isfinite(variance) else self.skip(name, not_finite(step))


class SimilarAcrossRuns(Rule):
    """A tensor differs from another run's at the same step: not numpy.allclose(this, other), with NumPy's tolerances,
    for steps and names that both runs have. (The page says that runs are compared; this rule says when they part.)"""

    parameters = (
        Parameter("other_trial", "string", None, "the other run's tensors: a folder or an s3:// prefix", required=True),
        COLLECTION_NAMES,
        TENSOR_REGEX,
    )
    source = f"{PAGE}#similar-across-runs"
    other_trial: str

    def prepare(self) -> None:
        self._other: Any = None

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        for name in self.selected(step, mode):
            ours, theirs = self.array(name, step, mode), self._theirs(name, step, mode)
            if ours is None or theirs is None:
                continue
            same = ours.shape == theirs.shape and bool(np.allclose(ours, theirs))
            apart = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape and ours.size else None
            self.judged(step, apart)
            if not same:
                how = f"by up to {apart:.3g}" if apart is not None else f"in shape: {ours.shape} and {theirs.shape}"
                return Verdict(step, apart, f"{name} differs from the other run's {how}")
        return None

    def _theirs(self, name: str, step: int, mode: str) -> np.ndarray[Any, Any] | None:
        import numpy as np

        if self._other is None:
            self._other = self.opened(self.other_trial)
        try:
            return np.asarray(self._other.value(name, step, mode=mode), dtype=float)
        except NotSavedError as error:
            return self.skip(name, f"the other run: {error}")

    @staticmethod
    def opened(place: str) -> Any:
        """The other run. Raises what Trial raises when there is none."""
        from toolkit.probe import Trial

        return Trial(place)
