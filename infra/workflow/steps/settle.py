"""Settle: a run that data started waits until nothing more has arrived for the quiet period."""

from __future__ import annotations

from contract import run_table, triggers
from contract.states import SETTLE
from infra.workflow.conditions import any_of, exists
from infra.workflow.expressions import expression, quoted
from infra.workflow.language import choice, read_item, waiting_until, when
from infra.workflow.run_grants import read_run_table
from infra.workflow.step import NOTHING, Step
from infra.workflow.surroundings import RUN_TABLE, Surroundings

# Data that keeps arriving mustn't put off training for ever: after so many quiet periods, and so many seconds, the run
# goes ahead.
LONGEST_PERIODS = 20
LONGEST_SECONDS = 600

_LAST_AT = f"$states.result.Item.{run_table.PENDING}.M.{run_table.LAST_AT}.S"
_STARTED = "$toMillis($states.context.Execution.StartTime)"


def settle(at: Surroundings, *, then: str) -> Step:
    """Looks when data last arrived, and waits for the quiet period's end; no states where data starts no runs."""
    data = at.spec.triggers.data
    if data is None:
        return NOTHING
    quiet = data.quiet * 1000
    arrived = f"{exists(_LAST_AT)} ? {_LAST_AT} : $run.trigger.at"
    look = read_item(
        SETTLE,
        str(RUN_TABLE),
        run_table.key(at.pipeline, run_table.STATE_ITEM),
        then="Settled",
        assign={"quiet_at": expression(f"$toMillis({arrived}) + {quiet}")},
    )
    return Step(
        states={
            **look,
            **choice("Settled", [when(_is_calm(quiet), then)], default="Quiet"),
            **waiting_until("Quiet", "$quiet_at", then=SETTLE),
        },
        grants=read_run_table(at),
    )


def _is_calm(quiet: int) -> str:
    """Whether the quiet period is over, or has been put off for long enough; a run of another trigger needn't wait."""
    longest = max(LONGEST_PERIODS * quiet, LONGEST_SECONDS * 1000)
    return any_of(
        f"$run.trigger.kind != {quoted(triggers.DATA)}",
        "$millis() >= $quiet_at",
        f"$millis() >= {_STARTED} + {longest}",
    )
