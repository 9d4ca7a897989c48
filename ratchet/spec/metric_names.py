"""The metrics that a gate can judge by: scikit-learn's scorer names, or the user's own; greater is better.

Evaluation predicts through `serve.py`, whose answers are labels or numbers, one a row, or for a metric of probabilities
the probability of each class. Names: scikit-learn's user guide, "The scoring parameter".
"""

from __future__ import annotations

import math

from contract.evaluations import (
    AVERAGE_PRECISION,
    CALIBRATION_ERROR,
    LOG_LOSS,
    OF_PROBABILITIES,
    ROC_AUC,
    ROC_AUC_OVR,
    is_own,
)
from contract.held_out_labels import ANY, CLASSES, NUMBERS, TWO_CLASSES
from ratchet.spec.errors import nearest
from ratchet.spec.own_code import is_dotted

# An argument of a processing job has at most 256 characters (API reference, AppSpecification).
OWN_LENGTH = 200

_SCORES = ("f1", "precision", "recall", "jaccard")
_AVERAGES = ("", "_macro", "_micro", "_weighted")

CLASSIFICATION = (
    "accuracy",
    "balanced_accuracy",
    "matthews_corrcoef",
    *(f"{score}{average}" for score in _SCORES for average in _AVERAGES),
)
REGRESSION = (
    "r2",
    "explained_variance",
    "d2_absolute_error_score",
    "neg_max_error",
    "neg_mean_absolute_error",
    "neg_mean_absolute_percentage_error",
    "neg_mean_gamma_deviance",
    "neg_mean_poisson_deviance",
    "neg_mean_squared_error",
    "neg_mean_squared_log_error",
    "neg_median_absolute_error",
    "neg_root_mean_squared_error",
    "neg_root_mean_squared_log_error",
)
# All others average over the outputs (scikit-learn user guide, "Regression metrics": multioutput, uniform_average).
OF_ONE_OUTPUT = ("neg_max_error", "neg_mean_gamma_deviance", "neg_mean_poisson_deviance")
METRICS = (*CLASSIFICATION, *REGRESSION, *OF_PROBABILITIES)

_OTHERS_OF_PROBABILITIES = (
    "d2_brier_score",
    "d2_log_loss_score",
    "roc_auc_ovo",
    "roc_auc_ovo_weighted",
    "roc_auc_ovr_weighted",
    "top_k_accuracy",
)
# What is said for some of them, elsewhere.
_ALSO_CALLED = {
    "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error",
    "mse": "neg_mean_squared_error",
    "rmse": "neg_root_mean_squared_error",
    "rmsle": "neg_root_mean_squared_log_error",
    "r2_score": "r2",
    "f1_score": "f1, or f1_macro for more than two classes",
    "macro_f1": "f1_macro",
    "accuracy_score": "accuracy",
    "mcc": "matthews_corrcoef",
    "auc": f"{ROC_AUC}, or {ROC_AUC_OVR} for more than two classes",
    "auroc": f"{ROC_AUC}, or {ROC_AUC_OVR} for more than two classes",
    "pr_auc": AVERAGE_PRECISION,
    "logloss": LOG_LOSS,
    "cross_entropy": LOG_LOSS,
    "ece": CALIBRATION_ERROR,
}
# Values that are shares of 1.
_SHARES = (ROC_AUC, ROC_AUC_OVR, AVERAGE_PRECISION, CALIBRATION_ERROR)


def check(name: str) -> str:
    """The name itself when a gate can judge by it.

    Raises:
        ValueError: it can't; the message says why and what to use.
    """
    if name in METRICS:
        return name
    if is_own(name):
        return _own(name)
    if name in _OTHERS_OF_PROBABILITIES:
        raise ValueError(f"is {name!r}, which is no metric of the gate; of probabilities there are {_known()}")
    if f"neg_{name}" in METRICS:
        raise ValueError(f"is {name!r}, which is smaller for better models; write neg_{name} (greater is better)")
    usual = _ALSO_CALLED.get(name.lower().replace("-", "_"))
    hint = f"; write {usual}" if usual else nearest(name, METRICS)
    raise ValueError(f"is {name!r}, which is no metric of the gate{hint}")


def _own(name: str) -> str:
    """Nothing is known of its values: what it can reach, by how much two may differ, which labels it takes."""
    if not is_dotted(name):
        raise ValueError(f"is {name!r}; write a function of the model's folder as my_metrics.map50")
    if len(name) > OWN_LENGTH:
        raise ValueError(f"is {name[:40]!r}…, of {len(name)} letters; at most {OWN_LENGTH}")
    return name


def labels_needed_are_numbers(name: str) -> bool:
    """Whether the metric is of numbers, which have no classes."""
    return labels_needed(name) == NUMBERS


def labels_needed(name: str) -> str:
    """The labels that the metric is of: numbers, classes, two classes (where it names no average), or any."""
    if name in REGRESSION:
        return NUMBERS
    if name in _SCORES:
        return TWO_CLASSES
    return CLASSES if name in (*CLASSIFICATION, *OF_PROBABILITIES) else ANY


def _known() -> str:
    return ", ".join(OF_PROBABILITIES)


def widest_difference(name: str) -> float:
    """The most by which two models' values can differ; infinite for errors without a limit."""
    if name not in (*CLASSIFICATION, *_SHARES):  # an own metric's, too
        return math.inf
    return 2.0 if name == "matthews_corrcoef" else 1.0


def greatest(name: str) -> float:
    """The best value that the metric can have."""
    if is_own(name):
        return math.inf
    return 0.0 if name.startswith("neg_") else 1.0
