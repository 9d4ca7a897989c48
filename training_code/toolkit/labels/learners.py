"""What judges labels: a learner of scikit-learn's, by what the examples are, or one of the model's folder.

The folder's is `probabilities(known, labels, asked, classes)` of label_audit.py: it learns from the examples `known`
and their `labels`, and returns of each of the examples `asked` a row of each class's probability, in the order of
`classes`. An example has `place` (file:line), `content_type` and `body` (text, or bytes), never its label. Which are
known and which are asked is the audit's to say: none is asked that was learned from.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import label_audits
from toolkit.errors import ToolkitError
from toolkit.heldout.example import Example
from toolkit.labels.features import features

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    # (known, labels, asked) → (len(asked), K): indices of examples, and integers for labels.
    Predict = Callable[[Array, Array, Array], Array]

TREES = 300
# Examples in a leaf: of a single one a tree repeats the label, be it wrong, to all that are near.
LEAF = 2
# How far a row of a learner's own may be from 1, by rounding.
_TOLERANCE = 1e-3
FILE = f"{label_audits.MODULE}.py"


@dataclass(frozen=True)
class Learner:
    """predict: what it makes of examples by learning from others; told: what it is, in words."""

    predict: Predict
    told: str


def learner(examples: Sequence[Example], classes: Sequence[str], source: Path) -> Learner:
    """The folder's own where it has one, else a built-in one.

    Raises:
        ToolkitError: label_audit.py can't be used; or there is none and no built-in one suits.
    """
    if (source / FILE).is_file():
        return _own(examples, classes, source)
    return _built_in(examples, len(classes))


def _built_in(examples: Sequence[Example], count: int) -> Learner:
    try:
        from sklearn.ensemble import ExtraTreesClassifier
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        message = "the image has no scikit-learn: put scikit-learn into the model's requirements.txt"
        raise ToolkitError(f"{message}, or write probabilities() in {FILE} (docs/labels.md)") from error
    found = features(examples)

    def model() -> Any:
        if found.has_text:
            return LogisticRegression(max_iter=1000)
        return ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, random_state=label_audits.SEED, n_jobs=os.cpu_count())

    def predict(known: Array, labels: Array, asked: Array) -> Array:
        import numpy as np

        fitted = model().fit(found.matrix[known], labels)
        whole = np.zeros((len(asked), count))
        whole[:, fitted.classes_] = fitted.predict_proba(found.matrix[asked])
        return whole

    kind = "logistic regression" if found.has_text else f"a forest of {TREES} extremely randomised trees"
    return Learner(predict, f"{kind}, of {found.told}")


def _own(examples: Sequence[Example], classes: Sequence[str], source: Path) -> Learner:
    function = _function(source / FILE)
    # A label that lies in its own example would be learned by heart.
    bare = [replace(example, label="") for example in examples]

    def predict(known: Array, labels: Array, asked: Array) -> Array:
        given = [bare[index] for index in known], [classes[label] for label in labels], [bare[index] for index in asked]
        try:
            said = function(*given, list(classes))
        except Exception as error:
            traceback.print_exc()
            raise ToolkitError(f"{FILE}: {_where(error)}{type(error).__name__}: {error}") from error
        return _checked(said, len(asked), len(classes))

    return Learner(predict, f"{label_audits.FUNCTION} of {FILE}")


def _function(path: Path) -> Callable[..., Any]:
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(label_audits.MODULE, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except Exception as error:
        traceback.print_exc()
        raise ToolkitError(f"{FILE} can't be imported: {_where(error)}{type(error).__name__}: {error}") from error
    function = getattr(module, label_audits.FUNCTION, None)
    if not callable(function):
        message = f"{FILE} has no function {label_audits.FUNCTION}(known, labels, asked, classes)"
        raise ToolkitError(f"{message}; write one, or leave the file out: then a built-in learner judges")
    return function  # type: ignore[no-any-return]


def _where(error: BaseException) -> str:
    """The line of the file in which an error was raised, if it was in it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == FILE]
    return f"line {lines[-1]}: " if lines else ""


def _checked(said: Any, rows: int, count: int) -> Array:
    """What label_audit.py returned, as probabilities."""
    import numpy as np

    wanted = f"{FILE}: {label_audits.FUNCTION} must return {rows} rows of {count} probabilities each"
    try:
        array = np.array(said, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ToolkitError(f"{wanted}; what it returned are no numbers ({error})") from error
    if array.shape != (rows, count):
        raise ToolkitError(f"{wanted}, in the order of classes; it returned {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ToolkitError(f"{wanted}; some are negative, or not finite")
    sums = array.sum(axis=1)
    if (abs(sums - 1) > _TOLERANCE).any():
        raise ToolkitError(f"{wanted}, which sum to 1; those of one row sum to {sums[abs(sums - 1).argmax()]:g}")
    return array / sums[:, None]
