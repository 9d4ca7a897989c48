"""Rules over labels and predictions: unbalanced classes, a bad confusion matrix, an accuracy that falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import PAGE, Rule, Saved, Selection, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

LABELS_REGEX = Parameter("labels_regex", "regex", r"^label/|(^|[/_.])labels?$", "names the tensor of the labels")
PREDICTIONS_REGEX = Parameter(
    "predictions_regex", "regex", r"^prediction/|(^|[/_.])predictions?$", "names the predictions' tensor"
)
# What rules over pairs need is every example of the steps that they judge.
PAIRS: dict[str, dict[str, Any]] = {"labels": {"interval": 1}, "predictions": {"interval": 1}}


class _Pairs(Rule):
    """A rule over a step's labels and predictions, as two vectors of classes."""

    modes = (TRAIN, EVAL)

    def prepare(self) -> None:
        self._found: set[str] = set()

    def chosen(self) -> tuple[Selection, Selection]:
        """Which tensors hold the labels, and which the predictions."""
        labels = Selection(regexes=(self.labels_regex,))  # type: ignore[attr-defined]
        return labels, Selection(regexes=(self.predictions_regex,))  # type: ignore[attr-defined]

    @property
    def selection(self) -> Selection:
        labels, predictions = self.chosen()
        regexes = labels.regexes + predictions.regexes
        return Selection(labels.collections + predictions.collections, regexes)

    def pairs(self, step: int, mode: str, argmax: bool | None) -> tuple[Any, Any] | None:
        """(labels, predictions), of one length. argmax None: where predictions have an axis more than labels."""
        import numpy as np

        both = [self._one(what, step, mode, taken) for what, taken in zip(_BOTH, self.chosen())]
        labels, predictions = both
        if labels is None or predictions is None:
            return None
        if argmax if argmax is not None else predictions.ndim > labels.ndim:
            predictions = np.argmax(predictions, axis=1 if predictions.ndim > 1 else 0)
        labels, predictions = labels.reshape(-1), predictions.reshape(-1)
        if len(labels) != len(predictions):
            why = f"there are {len(labels)} labels and {len(predictions)} predictions at step {step}"
            hint = "" if argmax else "; probabilities need argmax: true"
            return self.skip("labels and predictions", why + hint)
        return labels, np.rint(predictions)

    def nothing(self, seen: Sequence[Saved]) -> str:
        if absent := [what for what in _BOTH if what not in self._found]:
            how = "save it by hand (probe.labels, probe.predictions)"
            taken = dict(zip(_BOTH, self.chosen()))[absent[0]]
            return f"it compares labels with predictions, but no {absent[0]} were saved ({taken}); {how}"
        return super().nothing(seen)

    def _one(self, what: str, step: int, mode: str, taken: Selection) -> np.ndarray[Any, Any] | None:
        names = self.selected(step, mode, taken)
        if not names:
            return None
        self._found.add(what)
        return self.array(names[0], step, mode)


_BOTH = ("labels", "predictions")


class ClassImbalance(_Pairs):
    """Classes are unequal. Over every `samples` labels: fires when the labels of the largest class are more than
    threshold_imbalance times those of the smallest; or when for a class wrong predictions / labels is above
    threshold_misprediction."""

    parameters = (
        Parameter("threshold_imbalance", "number", 10.0, "largest class / smallest class", minimum=1),
        Parameter(
            "threshold_misprediction", "number", 0.7, "fraction of a class predicted wrong", minimum=0, maximum=1
        ),
        Parameter("samples", "integer", 500, "labels that are seen before it judges", minimum=1),
        Parameter("argmax", "boolean", False, "predictions are a vector for each example; take the greatest"),
        LABELS_REGEX,
        PREDICTIONS_REGEX,
    )
    saves = PAIRS
    source = f"{PAGE}#class-imbalance"
    threshold_imbalance: float
    threshold_misprediction: float
    samples: int
    argmax: bool

    def prepare(self) -> None:
        super().prepare()
        self._labels: dict[str, list[Any]] = {}
        self._wrong: dict[str, list[Any]] = {}

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        pair = self.pairs(step, mode, self.argmax)
        if pair is None:
            return None
        self._labels.setdefault(mode, []).append(pair[0])
        self._wrong.setdefault(mode, []).append(pair[0] != pair[1])
        if sum(map(len, self._labels[mode])) < self.samples:
            return None
        labels, wrong = np.concatenate(self._labels.pop(mode)), np.concatenate(self._wrong.pop(mode))
        return self._judge(step, labels, wrong)

    def _judge(self, step: int, labels: Any, wrong: Any) -> Verdict | None:
        import numpy as np

        classes, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
        ratio = float(counts.max() / counts.min())
        self.judged(step, ratio)
        if ratio > self.threshold_imbalance:
            most, least = classes[counts.argmax()], classes[counts.argmin()]
            sizes = f"class {most:g} has {counts.max()} labels, class {least:g} {counts.min()}"
            return Verdict(step, ratio, f"{sizes}: {ratio:.3g} times, above {self.threshold_imbalance:g}")
        missed = np.bincount(which.reshape(-1), weights=wrong) / counts
        worst = int(missed.argmax())
        if missed[worst] > self.threshold_misprediction:
            share = f"{100 * missed[worst]:.3g} % of class {classes[worst]:g} is predicted wrong"
            return Verdict(step, float(missed[worst]), f"{share}, above {100 * self.threshold_misprediction:g} %")
        return None


class Confusion(_Pairs):
    """A step's confusion matrix c (c[label][prediction] counts) is bad: for a class i, c[i][i] / sum_j c[j][i] <
    min_diag, or for a label j != i, c[j][i] / sum_j c[j][i] > max_off_diag. Both are shares of what is predicted as i;
    a class that is there and never predicted has no share, 0. (For the diagonal the page divides by the sum of the
    diagonal, at which no model of two classes or more could have 0.9.)"""

    parameters = (
        Parameter("category_no", "integer", None, "how many classes; the most seen unless told", minimum=2),
        Parameter("labels", "string", "labels", "the tensor of the labels"),
        Parameter("predictions", "string", "predictions", "the tensor of the predicted classes"),
        Parameter("labels_collection", "string", "labels", "the collection in which the labels are"),
        Parameter("predictions_collection", "string", "predictions", "the collection in which the predictions are"),
        Parameter("min_diag", "number", 0.9, "least share on the diagonal", minimum=0, maximum=1),
        Parameter("max_off_diag", "number", 0.1, "greatest share off the diagonal", minimum=0, maximum=1),
    )
    saves = PAIRS
    source = f"{PAGE}#confusion"
    category_no: int | None
    labels: str
    predictions: str
    labels_collection: str
    predictions_collection: str
    min_diag: float
    max_off_diag: float

    def chosen(self) -> tuple[Selection, Selection]:
        import re

        labels = Selection((self.labels_collection,), (f"(^|/){re.escape(self.labels)}$",))
        return labels, Selection((self.predictions_collection,), (f"(^|/){re.escape(self.predictions)}$",))

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        pair = self.pairs(step, mode, None)
        matrix = self._matrix(step, *pair) if pair is not None else None
        if matrix is None:
            return None
        predicted = matrix.sum(axis=0)
        shares = matrix / predicted.clip(min=1)
        there = (predicted > 0) | (matrix.sum(axis=1) > 0)
        diagonal = shares.diagonal()
        worst = min((i for i in range(len(matrix)) if there[i]), key=lambda i: diagonal[i])
        self.judged(step, float(diagonal[worst]))
        if diagonal[worst] < self.min_diag:
            share = f"{diagonal[worst]:.3g} of what is predicted as class {worst} is right"
            return Verdict(step, float(diagonal[worst]), f"{share}, below {self.min_diag:g}")
        return self._off_diagonal(step, shares)

    def _off_diagonal(self, step: int, shares: Any) -> Verdict | None:
        import numpy as np

        off = shares - np.diag(shares.diagonal())
        label, prediction = np.unravel_index(int(off.argmax()), off.shape)
        share = float(off[label, prediction])
        if share <= self.max_off_diag:
            return None
        said = f"{share:.3g} of what is predicted as class {prediction} is class {label}"
        return Verdict(step, share, f"{said}, above {self.max_off_diag:g}")

    def _matrix(self, step: int, labels: Any, predictions: Any) -> Any:
        import numpy as np

        labels, predictions = labels.astype(int), predictions.astype(int)
        most = int(max(labels.max(initial=-1), predictions.max(initial=-1))) + 1
        classes = self.category_no or most
        if not len(labels) or most > classes or min(labels.min(), predictions.min()) < 0:
            return self.skip("labels", f"classes at step {step} aren't within 0 and {classes - 1}")
        return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


class AccuracyDrop(_Pairs):
    """Accuracy over a whole evaluation pass is lower than the baseline: baseline - right / examples > threshold, from
    the pass after grace_epochs on. A pass is the saved EVAL steps between two training steps; its accuracy comes from
    labels and predictions, else from a scalar. The baseline is a number, or read from a JSON document ({"accuracy": …}
    or an evaluation.json) in a file or in S3; without one it is the best whole pass of this job so far."""

    parameters = (
        Parameter("baseline", "number", None, "the accuracy to compare with, 0 to 1", minimum=0, maximum=1),
        Parameter("baseline_uri", "string", None, "a file or s3:// object that holds the baseline, as JSON"),
        Parameter("threshold", "number", 0.05, "how far accuracy may fall below the baseline", minimum=0, maximum=1),
        Parameter("grace_epochs", "integer", 1, "evaluation passes that are not judged, from the first", minimum=0),
        Parameter(
            "argmax", "boolean", None, "predictions are a vector for each example; found from shapes unless told"
        ),
        LABELS_REGEX,
        PREDICTIONS_REGEX,
        Parameter("accuracy_regex", "regex", "(?i)(^|.*/)accuracy$", "names a scalar, where there are no labels"),
    )
    saves = {name: {**how, "modes": ["eval"]} for name, how in PAIRS.items()}  # noqa: RUF012 - read only
    source = "Ratchet's own"
    modes = (TRAIN, EVAL)
    baseline: float | None
    baseline_uri: str | None
    threshold: float
    grace_epochs: int
    argmax: bool | None
    accuracy_regex: str

    def prepare(self) -> None:
        super().prepare()
        if self.baseline is not None and self.baseline_uri is not None:
            raise RuleError("AccuracyDrop takes baseline or baseline_uri, not both")
        if self.baseline_uri is not None:
            self.baseline = stored_baseline(self.baseline_uri)
        self._best: float | None = None
        self._passes = 0
        self._right = self._examples = 0.0
        self._step = 0

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        if mode == TRAIN:
            return self._close()
        right, examples = self._counted(step, mode)
        if examples:
            self._right, self._examples, self._step = self._right + right, self._examples + examples, step
        return None

    def finish(self) -> Verdict | None:
        return self._close()

    def _counted(self, step: int, mode: str) -> tuple[float, float]:
        pair = self.pairs(step, mode, self.argmax)
        if pair is not None:
            return float((pair[0] == pair[1]).sum()), float(len(pair[0]))
        names = self.selected(step, mode, Selection(regexes=(self.accuracy_regex,)))
        try:
            accuracy = self.scalar(names[0], step, mode) if names else None
        except NotSavedError as error:
            accuracy = self.skip(names[0], str(error))
        return (0.0, 0.0) if accuracy is None else (accuracy, 1.0)

    def _close(self) -> Verdict | None:
        if not self._examples:
            return None
        accuracy = self._right / self._examples
        self._right = self._examples = 0.0
        self._passes += 1
        self.judged(self._step, accuracy)
        best, self._best = self._best, max(accuracy, self._best or 0.0)
        baseline = self.baseline if self.baseline is not None else best
        if self._passes <= self.grace_epochs or baseline is None:
            return None
        # 0.90 - 0.85 is a hair above 0.05 in binary; that isn't meant.
        if baseline - accuracy <= self.threshold + 1e-9:
            return None
        reason = (
            f"accuracy over pass {self._passes} is {accuracy:.4g}, more than {self.threshold:g} below {baseline:.4g}"
        )
        return Verdict(self._step, accuracy, reason, EVAL)

    def nothing(self, seen: Sequence[Saved]) -> str:
        if self._found:
            return super().nothing(seen)
        what = "labels and predictions, or a scalar `accuracy`"
        return f"it needs {what}, saved in mode EVAL (with probe.mode('eval')), and there were none"


def stored_baseline(place: str) -> float:
    """The accuracy that a JSON document holds. Raises RuleError when there is none."""
    import json

    try:
        document = json.loads(_text(place))
    except Exception as error:
        raise RuleError(f"AccuracyDrop: the baseline {place} can't be read: {error}") from error
    scores = document.get("challenger") if isinstance(document, dict) else None
    found = scores.get("score") if isinstance(scores, dict) else document.get("accuracy") if scores is None else None
    if not isinstance(found, (int, float)) or not 0 <= found <= 1:
        raise RuleError(f'AccuracyDrop: {place} holds no accuracy between 0 and 1; it should be {{"accuracy": 0.93}}')
    return float(found)


def _text(place: str) -> str:
    from pathlib import Path

    if not place.startswith("s3://"):
        return Path(place).read_text(encoding="utf-8")
    import boto3

    bucket, _, key = place[len("s3://") :].partition("/")
    body: bytes = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode()
