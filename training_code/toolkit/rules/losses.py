"""Rules over losses: not decreasing, parted from the validation loss, no longer better."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import replace

from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.parameters import Parameter
from toolkit.rules.rule import COLLECTION_NAMES, PAGE, TENSOR_REGEX, Rule, Selection, Verdict

LOSSES = Selection(collections=("losses",))
# Boosted trees say both losses at one step, by name: validation-rmse beside train-rmse.
_VALIDATION = re.compile(r"(?i)(^|[^a-z])(val|valid|validation|eval|test)([^a-z]|$)")


class LossNotDecreasing(Rule):
    """The loss isn't going down: every num_steps steps, with p the last saved step <= s - num_steps and d =
    100 · (loss_p - loss_s) / |loss_p|, fires when 0 <= d < diff_percent, or -d > increase_threshold_percent: a rise
    within that is noise. A loss of NaN or infinity fires at once. A batch's loss is noisy: with `smoothing`, loss_p and
    loss_s are means of so many saved losses, and with `learned_percent` a loss that is so far below its start (the
    first saved loss, or the mean of the first smoothing / 10 if that is less) isn't judged while it stays there: it has
    converged, or its learning rate was raised again. Only numbers are losses: whatever else the expressions find is
    left out. The mode is TRAIN by default, as in the rule
    configuration that Debugger's SDK sends (the page has GLOBAL, by which a single evaluation pass of many batches
    would be judged as if it trained)."""

    parameters = (
        COLLECTION_NAMES,
        TENSOR_REGEX,
        Parameter("use_losses_collection", "boolean", True, "inspect the collection `losses` too"),
        Parameter("num_steps", "integer", 10, "steps after which the loss must have decreased", minimum=1),
        Parameter("diff_percent", "number", 0.1, "by how much it must have decreased", minimum=0, maximum=100),
        Parameter(
            "increase_threshold_percent", "number", 5.0, "by how much it may have increased", minimum=0, maximum=100
        ),
        Parameter("mode", "string", TRAIN, "whose losses; GLOBAL is both", choices=(TRAIN, EVAL, "GLOBAL")),
        Parameter("smoothing", "integer", 1, "saved losses averaged at either end (Ratchet's own)", minimum=1),
        Parameter(
            "learned_percent",
            "number",
            None,
            "so far below its start a loss is fine, falling or not (Ratchet's own)",
            minimum=0,
            maximum=100,
        ),
    )
    default = LOSSES
    modes = (TRAIN, EVAL)
    source = f"{PAGE}#loss-not-decreasing"
    use_losses_collection: bool
    num_steps: int
    diff_percent: float
    increase_threshold_percent: float
    mode: str
    smoothing: int
    learned_percent: float | None

    def prepare(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}

    @property
    def selection(self) -> Selection:
        given = Selection(self.collection_names, self.tensor_regex)  # type: ignore[attr-defined]
        losses = LOSSES.collections if self.use_losses_collection else ()
        return Selection((*given.collections, *losses), given.regexes)

    def _asked(self) -> bool:
        return bool(self.tensor_regex or self.collection_names)  # type: ignore[attr-defined]

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        if self.mode not in (mode, "GLOBAL"):
            return None
        for name in self.selected(step, mode):
            loss = self.scalar(name, step, mode)
            if loss is None:
                continue
            if math.isnan(loss):
                return Verdict(step, None, f"{name} is NaN")
            series = self._series.setdefault((name, mode), _Series(self.num_steps, self.smoothing))
            before = series.add(step, loss)
            if before is None:
                continue
            at, earlier, now = before
            self.judged(step, now)
            if self._learned(series.first, now):
                continue
            if found := self._stuck(name, step, at, earlier, now):
                return found
        return None

    def _learned(self, first: float, now: float) -> bool:
        if self.learned_percent is None or not math.isfinite(now):
            return False
        return first - now >= abs(first) * self.learned_percent / 100

    def _stuck(self, name: str, step: int, at: int, earlier: float, now: float) -> Verdict | None:
        if math.isinf(earlier) or math.isinf(now):
            return Verdict(step, None, f"{name} is infinite at step {step if math.isinf(now) else at}")
        decrease = earlier - now
        if decrease < 0:
            percent = self.increase_threshold_percent
            stuck, wanted = -decrease > abs(earlier) * percent / 100, f"it may increase by {percent:g} % at most"
        else:
            percent = self.diff_percent
            stuck, wanted = decrease < abs(earlier) * percent / 100, f"it must decrease by {percent:g} %"
        if not stuck:
            return None
        return Verdict(step, now, f"{name} is {now:.4g}, after {earlier:.4g} at step {at}; {wanted}")


class _Series:
    """One loss over steps, compared every num_steps steps with a value at least so far back."""

    def __init__(self, num_steps: int, smoothing: int) -> None:
        self._num_steps, self._next = num_steps, -1
        self._few = max(1, smoothing // 10)
        self._firsts: list[float] = []
        self._recent: deque[float] = deque(maxlen=smoothing)
        self._past: deque[tuple[int, float]] = deque()

    @property
    def first(self) -> float:
        """Where it started: the first loss, or the mean of the first few, of which one alone may be much too high."""
        return min(self._firsts[0], sum(self._firsts) / len(self._firsts))

    def add(self, step: int, loss: float) -> tuple[int, float, float] | None:
        """(earlier step, earlier loss, this loss) when it is time to compare."""
        if len(self._firsts) < self._few:
            self._firsts.append(loss)
        self._recent.append(loss)
        now = sum(self._recent) / len(self._recent)
        full = len(self._recent) == self._recent.maxlen
        if full:
            self._past.append((step, now))
        while len(self._past) > 1 and self._past[1][0] <= step - self._num_steps:
            self._past.popleft()
        if self._next < 0 and full:
            self._next = step + self._num_steps
        if not full or step < self._next:
            return None
        self._next = step + self._num_steps
        return (*self._past[0], now)


class _Passes:
    """Pairs of losses: the mean of a whole evaluation pass, and of the training steps since the pass before."""

    def __init__(self) -> None:
        self._train: list[float] = []
        self._validation: list[float] = []
        self._last_train = math.nan
        self._step = 0

    def add(self, step: int, train: list[float], validation: list[float]) -> tuple[int, float, float] | None:
        """(step, training loss, validation loss) when a pass has ended."""
        ended = self.close() if train and not validation else None
        self._train += train
        self._validation += validation
        if validation:
            self._step = step
        return self.close() if train and validation else ended

    def close(self) -> tuple[int, float, float] | None:
        """Ends the pass that is open."""
        if not self._validation:
            return None
        if self._train:
            self._last_train = sum(self._train) / len(self._train)
        validation = sum(self._validation) / len(self._validation)
        self._train, self._validation = [], []
        return self._step, self._last_train, validation


class _TwoLosses(Rule):
    """A rule that compares the losses of training and of validation."""

    modes = (TRAIN, EVAL)
    default = LOSSES

    def prepare(self) -> None:
        self._passes = _Passes()
        self._kinds: set[str] = set()
        self._mode = EVAL  # in which the last validation losses were saved

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        train: list[float] = []
        validation: list[float] = []
        for name in self.selected(step, mode):
            loss = self.scalar(name, step, mode)
            if loss is None:
                continue
            if math.isnan(loss):
                self.skip(name, f"it is NaN at step {step} (ExplodingTensor judges that)")
                continue
            (validation if mode == EVAL or _VALIDATION.search(name) else train).append(loss)
        self._kinds |= ({"training"} if train else set()) | ({"validation"} if validation else set())
        self._mode = mode if validation else self._mode
        self.trained(train)
        return self._judge(self._passes.add(step, train, validation))

    def finish(self) -> Verdict | None:
        return self._judge(self._passes.close())

    def trained(self, losses: list[float]) -> None:
        """Takes a step's training losses, before the pass that they end is judged."""

    def compared(self, step: int, train: float, validation: float) -> Verdict | None:
        """The verdict on a whole evaluation pass."""
        raise NotImplementedError

    def nothing(self, seen: object) -> str:
        absent = {"training", "validation"} - self._kinds
        if absent and self._kinds:
            how = "save it in mode EVAL (with probe.mode('eval')), or name it validation"
            return f"it compares two losses, but a {absent.pop()} loss was never saved; {how}"
        return super().nothing(seen)  # type: ignore[arg-type]

    def _judge(self, ended: tuple[int, float, float] | None) -> Verdict | None:
        if ended is None or math.isnan(ended[1]):
            return None
        verdict = self.compared(*ended)
        return verdict and replace(verdict, mode=self._mode)


class Overfit(_TwoLosses):
    """The validation loss has parted from the training loss: (v - t) / t > ratio_threshold in `patience` consecutive
    evaluation passes, with v the mean over a whole pass, t over the training steps since the pass before. Only numbers
    are losses: whatever else the expressions find is left out."""

    parameters = (
        TENSOR_REGEX,
        Parameter("start_step", "integer", 0, "the step from which the losses are compared", minimum=0),
        Parameter("patience", "integer", 1, "evaluation passes in a row that must exceed the ratio", minimum=1),
        Parameter("ratio_threshold", "number", 0.1, "greatest (validation - training) / training", minimum=0),
    )
    source = f"{PAGE}#overfit"
    start_step: int
    patience: int
    ratio_threshold: float

    def prepare(self) -> None:
        super().prepare()
        self._exceeded = 0

    def compared(self, step: int, train: float, validation: float) -> Verdict | None:
        if step < self.start_step:
            return None
        ratio = (validation - train) / abs(train) if train else math.inf * (validation > train)
        ratio = 0.0 if math.isnan(ratio) else ratio
        self.judged(step, ratio)
        self._exceeded = self._exceeded + 1 if ratio > self.ratio_threshold else 0
        if self._exceeded < self.patience:
            return None
        limit = f"{100 * ratio:.4g} % above the training loss {train:.4g}, more than {100 * self.ratio_threshold:g} %"
        return Verdict(step, ratio, f"the validation loss {validation:.4g} is {limit}")


class Overtraining(_TwoLosses):
    """Training goes on though nothing gets better: the training loss has had no new minimum (better by more than delta)
    for patience_train saved steps, and the validation loss none for patience_validation evaluation passes."""

    parameters = (
        Parameter("patience_train", "integer", 5, "saved steps without a better training loss", minimum=1),
        Parameter("patience_validation", "integer", 10, "passes without a better validation loss", minimum=1),
        Parameter("delta", "number", 0.01, "by how much a loss must be better to count", minimum=0),
    )
    source = f"{PAGE}#overtraining"
    patience_train: int
    patience_validation: int
    delta: float

    def prepare(self) -> None:
        super().prepare()
        self._best_train = self._best_validation = math.inf
        self._train_waits = self._validation_waits = 0

    def trained(self, losses: list[float]) -> None:
        for loss in losses:
            better = loss < self._best_train - self.delta
            self._train_waits = 0 if better else self._train_waits + 1
            self._best_train = loss if better else self._best_train

    def compared(self, step: int, _train: float, validation: float) -> Verdict | None:
        better = validation < self._best_validation - self.delta
        self._validation_waits = 0 if better else self._validation_waits + 1
        self._best_validation = validation if better else self._best_validation
        self.judged(step, validation)
        if self._validation_waits < self.patience_validation or self._train_waits < self.patience_train:
            return None
        waited = f"{self._validation_waits} passes, the training loss for {self._train_waits} steps"
        return Verdict(step, validation, f"the validation loss {validation:.4g} has not improved for {waited}")
