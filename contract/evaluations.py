"""Judging, as spec, evaluation and gate agree on it: metrics, floors of parts, champions that can't answer.

Data that gain or lose a column, or labels of another type, are no error of the run that meets them: evaluation.json has
{"champion": {CANNOT_ANSWER: a sentence with the model's own error}} in the place of the champion's score.
"""

from __future__ import annotations

CANNOT_ANSWER = "cannot_answer"
# `gate.when_champion_cannot_answer`: the challenger is judged by the floor alone. Anything else: the champion stays.
FLOOR = "floor"

# Metrics for which a model answers with probabilities; all others judge labels or numbers. The first two are of two
# classes only.
ROC_AUC, AVERAGE_PRECISION = "roc_auc", "average_precision"
ROC_AUC_OVR = "roc_auc_ovr"
LOG_LOSS, BRIER_SCORE, CALIBRATION_ERROR = "neg_log_loss", "neg_brier_score", "neg_expected_calibration_error"
OF_TWO_CLASSES = (ROC_AUC, AVERAGE_PRECISION)
OF_PROBABILITIES = (*OF_TWO_CLASSES, ROC_AUC_OVR, LOG_LOSS, BRIER_SCORE, CALIBRATION_ERROR)

# Parts of evaluation.json, and of the gate: a floor for each value of a column, and for each class.
SEGMENTS, CLASSES = "segments", "classes"
# Of evaluation.json: classes that a model answers a probability for, though no held-out example is of them.
NOT_HELD_OUT = "not_held_out"
# A model's own error may be a page long; the run's record and the model package keep its beginning.
CANNOT_ANSWER_LENGTH = 500


def short(message: str) -> str:
    """Why a model can't answer, on one line, and no longer than a sentence may be."""
    text = " ".join(message.split()).rstrip(".")
    return text if len(text) <= CANNOT_ANSWER_LENGTH else text[: CANNOT_ANSWER_LENGTH - 1] + "…"


def is_own(metric: str) -> bool:
    """Whether a metric is the user's own, a function of the model's folder: `<module>.<function>`."""
    return "." in metric
