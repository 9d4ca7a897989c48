"""A rollback that is asked for, told at once whether there is anything to go back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from common.rollbacks import Document, RollbackRefusedError, candidate, is_champion, is_gone, serves, target
from common.run_table import RunTable
from common.state import State, Trigger

from contract import triggers


def resolved(
    trigger: Trigger,
    table: RunTable,
    is_there: Callable[[str], bool],
    drift: Callable[[State], str | None],
    may_not: Callable[[Document], str | None] | None = None,
) -> Trigger:
    """A rollback with the run that it goes back to in its detail; any other trigger as it is.

    Named now, it means the same whenever it is delivered again, and whatever is promoted before its turn comes.

    Args:
        is_there: whether an object lies at an s3:// URI.
        drift: what is wrong with the endpoint; then the champion itself may be deployed again.
        may_not: why a model may not serve, where a person approves models.

    Raises:
        RollbackRefusedError: that run's model can't come back, or needn't.
    """
    if trigger.kind != triggers.ROLLBACK:
        return trigger
    state = table.read_state()
    run_id = target(state, trigger.detail)
    model = candidate(run_id, table.read_run(run_id))
    if serves(state, model) and not state.running and not drift(state):
        raise RollbackRefusedError(is_champion(model))
    if not is_there(model["model_data"]):
        raise RollbackRefusedError(is_gone(model))
    if may_not and (wrong := may_not(model)):
        raise RollbackRefusedError(wrong)
    return replace(trigger, detail={**trigger.detail, triggers.TO: run_id})
