"""Thresholds of confidence, below which an answer is "unsure": as spec, container, evaluation and Verify agree on them.

The container of a model with a threshold has it in the variable THRESHOLD: a number, or a JSON object of classes and
numbers, in which a class that isn't named is always answered. An answer to text/csv is then three fields a line,
`prediction,confidence,answer`, as `7,0.41,unsure`; to JSON an object of these names for each example
(contract.threshold_answers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

THRESHOLD = "RATCHET_THRESHOLD"
UNSURE = "unsure"
FIELDS = ("prediction", "confidence", "answer")
# API reference, ProcessingEnvironmentValue: the evaluation is told it, too.
VALUE_LENGTH = 256
# Of a candidate and of a champion: the variable's text. Of an evaluation and of a decision: what it makes of the
# answers.
KEPT = "threshold"
# Of evaluation.json's answers in detail: what each of many thresholds would make of them.
CURVE = "curve"
# The gate's floors of the answers that are given at the threshold.
FLOORS = "at_threshold"
COVERAGE, PRECISION = "coverage", "precision"


def text_of(threshold: float | Mapping[str, float]) -> str:
    """The variable's text."""
    return json.dumps(threshold, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
