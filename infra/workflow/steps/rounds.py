"""Rounds: training again and again, each time from the last model, until one is too much worse or a rule stops it.

`$round` is the number of the round that trains, from 1; what `$rounds` keeps says contract/rounds.py. A function
judges each round; the smallest model that is good enough goes on.
"""

from __future__ import annotations

from contract import files, rounds
from contract.states import RECORD
from infra.workflow.conditions import all_of, equals
from infra.workflow.expressions import ROUND, expression, lengthened
from infra.workflow.language import choice, when
from infra.workflow.requests import Document, s3_channel
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.step import Step, variables
from infra.workflow.steps.stopped import BY_RULE
from infra.workflow.way import Way
from ratchet.spec import Rounds

_JUDGE = "JudgeRound"
# A round's number has one digit or two.
_ANY_ROUND = ("?", "??")


FUNCTION = RunFunction(
    folder="rounds", purpose="Judges a round of training, and chooses the model that goes on", seconds=30
)


def in_rounds(settings: Rounds, *, again: str, then: str) -> Way:
    """A training job a round; the next one begins at `again`, and the chosen model goes on to `then`."""
    kept = settings.model_dump(mode="json", exclude={"max"})
    return Way(
        completed=_JUDGE,
        # The rounds before it have left models that were good enough to go on from.
        goes_on=[when(all_of(BY_RULE, "$round > 1"), _JUDGE, {"failure": None})],
        round_=ROUND,
        any_round=_ANY_ROUND,
        channels=_with_previous,
        variables={"round": 1, "rounds": {**kept, "rows": []}},
        step=_judge(settings, again=again, then=then),
    )


def _with_previous(channels: list[Document]) -> str:
    """From the second round on the last one's model.tar.gz is an input, too."""
    model = expression("$rounds.rows[$round - 2].model_data")
    return lengthened(channels, s3_channel(files.PREVIOUS_CHANNEL, model), when="$round > 1")


def _judge(settings: Rounds, *, again: str, then: str) -> Step:
    """Another round from this one's model, or on with the smallest model within the tolerance."""
    told = {"settings": settings.model_dump(mode="json"), **variables("round", "rounds", "training")}
    answer = ("next", "round", "rounds", "training", "failure")
    learnt = {name: expression(f"$states.result.Payload.{name}") for name in answer}
    ways = [when(equals("$next", rounds.AGAIN), again), when(equals("$next", rounds.EVALUATE), then)]
    return Step(
        states={
            **invoke(_JUDGE, FUNCTION, told, then="NextRound", assign=learnt),
            **choice("NextRound", ways, default=RECORD),
        },
        function=FUNCTION,
    )
