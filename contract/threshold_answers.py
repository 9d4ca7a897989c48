"""What a threshold of confidence makes of an answer (contract.thresholds), and answers to text/csv that tell it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.held_out_tables import csv_fields, csv_text
from contract.thresholds import THRESHOLD, UNSURE


@dataclass(frozen=True)
class Threshold:
    """The least confidence with which a class is answered: one for all, or each its own."""

    of_all: float = 0.0
    of_class: Mapping[str, float] = field(default_factory=dict)

    def least(self, prediction: str) -> float:
        return self.of_class.get(one_name(prediction), 0.0) if self.of_class else self.of_all

    def answer(self, prediction: str, confidence: float) -> str:
        """The prediction, or that the model isn't sure."""
        return prediction if confidence >= self.least(prediction) else UNSURE


@dataclass(frozen=True)
class Answer:
    """One line of an answer with its confidence."""

    prediction: str
    confidence: float
    answer: str


def one_name(label: str) -> str:
    """A class by one name: 7 and 7.0 are one, as they are to the gate."""
    try:
        number = float(label)
    except ValueError:
        return label
    return repr(number) if math.isfinite(number) else label


def read(text: str) -> Threshold:
    """The threshold that the variable says.

    Raises:
        ValueError: it says none.
    """
    found = json.loads(text)
    if isinstance(found, dict):
        return Threshold(of_class={one_name(name): _share(value, text) for name, value in found.items()})
    return Threshold(of_all=_share(found, text))


def parsed(line: str) -> Answer | None:
    """What a line of text/csv says; None where it isn't of the three fields."""
    try:
        prediction, confidence, answer = (part.strip() for part in csv_fields(line))
        sure = float(confidence)
    except (ValueError, csv.Error):
        return None
    return Answer(prediction, sure, answer) if 0 <= sure <= 1 and answer in (prediction, UNSURE) else None


def text(answer: Answer) -> str:
    """The line of text/csv."""
    return csv_text([answer.prediction, repr(answer.confidence), answer.answer])


def _share(value: object, text: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{THRESHOLD} is {text!r}; it is a number from 0 to 1, or a JSON object of classes and those")
    return float(value)
