"""Training in rounds: each from the last one's model, until one is too much worse; the smallest good one goes on.

Variables: `$round`, the number of the round that trains, from 1; `$rounds`, what the record keeps:

    {"metric", "better", "tolerance", "size": as the spec says,
     "rows": [{"round", "job", "status", "model_data", "metrics": {name: value}, "seconds", "stopped_by_rule"}, ...],
     "ended": "rule" | "tolerance" | "last", "reason": a sentence, "chosen": the round that goes to the gate}
"""

from __future__ import annotations

import json
from typing import Any

from contract.files import PREVIOUS_CHANNEL
from infra.workflow.states import RECORD, States, choice, expression, failure, rule
from ratchet.spec import PipelineSpec, Rounds

# The first state after a round's job: one part before names it as the next.
ENDED = "RoundEnded"

_ROW = (
    "{'round': $round, 'job': $training.description.TrainingJobName, 'status': $training.status,"
    " 'model_data': $training.model_data, 'metrics': $training.metrics, 'seconds': $training.seconds,"
    " 'stopped_by_rule': $training.status = 'Stopped', 'spot': $training.spot}"
)
_LAST = "$rounds.rows[$round - 1]"


def variables(spec: PipelineSpec) -> dict[str, Any]:
    """What the rounds start with."""
    if spec.rounds is None:
        return {}
    return {"round": 1, "rounds": {**spec.rounds.model_dump(mode="json", exclude={"max"}), "rows": []}}


def previous_channel() -> dict[str, Any]:
    """The last round's model.tar.gz, as an input of this round's job. There is one from the second round on."""
    return {
        "ChannelName": PREVIOUS_CHANNEL,
        "InputMode": "File",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": expression("$rounds.rows[$round - 2].model_data"),
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def judge(spec: PipelineSpec, *, again: str, then: str) -> States:
    """A round has ended: another one, from its model, or on with the smallest model within the tolerance."""
    rounds = spec.rounds
    if rounds is None:
        return {}
    unmeasured = failure(
        "Train",
        "RoundNotMeasured",
        f"'round ' & $string($round) & ' (' & {_LAST}.job & ') printed no figure that matches train.metrics '"
        f" & {_text(rounds.metric)} & ' or ' & {_text(rounds.size)} & ', by which rounds are judged'",
    )
    return {
        ENDED: {
            "Type": "Pass",
            "Assign": {"rounds": expression(f"$merge([$rounds, {{'rows': $append($rounds.rows, [{_ROW}])}}])")},
            "Next": "NextRound",
        },
        **choice(
            "NextRound",
            [
                rule(f"{_LAST}.stopped_by_rule", "SmallestRound", _ended("rule", _by_rule())),
                rule(f"$not({_measured(rounds)})", RECORD, {"failure": unmeasured}),
                rule(f"$not({_within(rounds, _LAST)})", "SmallestRound", _ended("tolerance", _too_bad(rounds))),
                rule(f"$round >= {rounds.max}", "SmallestRound", _ended("last", f"'round {rounds.max} was the last'")),
            ],
            default=again,
            assign={"round": expression("$round + 1")},
        ),
        "SmallestRound": {"Type": "Pass", "Assign": _smallest(rounds), "Next": then},
    }


def _smallest(rounds: Rounds) -> dict[str, Any]:
    """The chosen round's model is what the training comes to."""
    good = f"$filter($rounds.rows, function($row) {{ $row.status = 'Completed' and {_within(rounds, '$row')} }})"
    size = _text(rounds.size)
    smaller = f"function($a, $b) {{ $lookup($a.metrics, {size}) > $lookup($b.metrics, {size}) }}"
    chosen = f"$sort([{good}], {smaller})[0]"
    return {
        "training": expression(f"$merge([$training, {{'status': 'Completed', 'model_data': {chosen}.model_data}}])"),
        "rounds": expression(f"$merge([$rounds, {{'chosen': {chosen}.round}}])"),
    }


def _measured(rounds: Rounds) -> str:
    found = [f"$exists($lookup({_LAST}.metrics, {_text(name)}))" for name in (rounds.metric, rounds.size)]
    return f"$exists({_LAST}.metrics) and {' and '.join(found)}"


def _within(rounds: Rounds, row: str) -> str:
    """Whether a row's metric is no worse than the first round's by more than the tolerance.

    A billionth is forgiven: 0.93 - 0.92 is a little more than 0.01 to a computer.
    """
    metric = _text(rounds.metric)
    first, value = f"$lookup($rounds.rows[0].metrics, {metric})", f"$lookup({row}.metrics, {metric})"
    lost = f"{first} - {value}" if rounds.better == "greater" else f"{value} - {first}"
    return f"({lost} <= {rounds.tolerance!r} + 1e-9)"


def _ended(why: str, sentence: str) -> dict[str, Any]:
    return {"rounds": expression(f"$merge([$rounds, {{'ended': '{why}', 'reason': {sentence}}}])")}


def _by_rule() -> str:
    return "'a rule stopped round ' & $string($round)"


def _too_bad(rounds: Rounds) -> str:
    metric = _text(rounds.metric)
    return (
        f"'round ' & $string($round) & ': ' & {metric} & ' is ' & $string($lookup({_LAST}.metrics, {metric}))"
        f" & ', more than {rounds.tolerance:g} worse than the first round, '"
        f" & $string($lookup($rounds.rows[0].metrics, {metric}))"
    )


def _text(name: str) -> str:
    """A string of JSONata."""
    return json.dumps(name)
