"""`rounds` of pipeline.yaml: training in rounds, each from the model of the last, until the models get worse.

Iterative pruning is the case it was made for; any script that reads the channel `previous` can use it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from contract.files import PREVIOUS_CHANNEL
from ratchet.spec.errors import refusal
from ratchet.spec.model import Model

# A round's number ends its job's name, which has room for two digits.
MAX_ROUNDS = 99


class Rounds(Model):
    """How rounds are judged, by metrics of `train.metrics`; a round's value is the last that its job printed.

    They end when a rule stops one, when `metric` is worse than the first round's by more than `tolerance`, or after
    `max`. Of those within the tolerance the one with the least `size` goes to the gate.
    """

    max: Annotated[int, Field(ge=2, le=MAX_ROUNDS, description="Rounds at most, the first among them")]
    metric: Annotated[str, Field(description="One of train.metrics: how good a round's model is")]
    better: Annotated[Literal["greater", "less"], Field(description="Which value of the metric is better")] = "greater"
    tolerance: Annotated[
        float, Field(ge=0, description="How much worse than the first round's a model may be, in the metric's unit")
    ]
    size: Annotated[str, Field(description="One of train.metrics: of two good models the smaller goes to the gate")]


def check_rounds(rounds: Rounds | None, metrics: Collection[str], channels: Collection[str]) -> None:
    """Refuses rounds that no job could be judged by."""
    if rounds is None:
        return
    for field in ("metric", "size"):
        name = getattr(rounds, field)
        if name not in metrics:
            known = f"they are {', '.join(sorted(metrics))}" if metrics else "there are none"
            raise refusal(f"is {name!r}, which isn't one of train.metrics ({known})", "rounds", field)
    if rounds.metric == rounds.size:
        raise refusal(f"is {rounds.size!r}, like metric; name what a smaller model has less of", "rounds", "size")
    if PREVIOUS_CHANNEL in channels:
        message = "is the channel in which a round finds the last one's model; choose another name"
        raise refusal(message, "data", PREVIOUS_CHANNEL)
