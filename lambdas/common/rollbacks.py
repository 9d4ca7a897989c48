"""Rollbacks: whose model may come back, and why one may not; pure functions over the state and the runs' records.

The launcher asks before it takes a rollback in, so that who asked hears of it; Plan asks again, since the champion may
have changed until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.json_values import told
from common.state import State
from contract import outcomes, triggers

Document = dict[str, Any]

# The run table can't be asked for much longer ones.
LONGEST_ID = 200
_HOW = "`ratchet runs` lists those that were promoted"


class RollbackRefusedError(ValueError):
    """There is no going back to that run; the message says why."""


def target(state: State, detail: Mapping[str, Any]) -> str:
    """The id of the run to go back to: the one that is named, else the one whose model was champion before.

    Raises:
        RollbackRefusedError: none is named, and there was none before; or it is no run id.
    """
    named = detail.get(triggers.TO)
    if named is None and state.previous_champion:
        return str(state.previous_champion["run_id"])
    if named is None:
        serving = f"run {state.champion['run_id']} made the only one" if state.champion else "there is no champion"
        raise RollbackRefusedError(f"no earlier champion to roll back to: {serving}")
    if not isinstance(named, str) or not 0 < len(named) <= LONGEST_ID:
        raise RollbackRefusedError(f"a rollback's {triggers.TO!r} is a run's id, not {told(named)}")
    return named


def candidate(run_id: str, record: Mapping[str, Any] | None) -> Document:
    """The model that a run made champion, as its record has it; of a rollback the model that it brought back.

    Raises:
        RollbackRefusedError: there is no such run, or none of its models ever was champion.
    """
    if record is None:
        raise RollbackRefusedError(f"there is no run {run_id!r} of this pipeline to go back to; {_HOW}")
    outcome = record["outcome"]
    if outcome == outcomes.RUNNING:
        raise RollbackRefusedError(f"run {run_id} is still on its way: it has made no champion to go back to")
    found = record.get("candidate")
    if outcome != outcomes.PROMOTED or not found:
        raise RollbackRefusedError(f"run {run_id} ended {outcome}: its model never was champion; {_HOW}")
    return dict(found)


def serves(state: State, model: Mapping[str, Any]) -> bool:
    """Whether the model is the champion already."""
    return state.champion is not None and state.champion["run_id"] == model["run_id"]


def is_champion(model: Mapping[str, Any]) -> str:
    """The sentence of a rollback to the champion itself."""
    return f"the model of run {model['run_id']} is the champion already"


def is_gone(model: Mapping[str, Any]) -> str:
    """The sentence of a model whose archive isn't in S3 any more."""
    return (
        f"the model of run {model['run_id']} is gone: there is nothing at {model['model_data']}. Nothing of Ratchet "
        "deletes it; the artifact bucket keeps what was deleted for 90 days, as a version to be restored"
    )


def needs_another_image(model: Mapping[str, Any], image_uri: str) -> str | None:
    """The sentence of a model whose image lies in another repository than the one that models serve in now; None of any
    other. The roles may pull from that one alone, and what its containers are told may mean nothing to the model's.
    """
    was, now = _repository(str(model["image_uri"])), _repository(image_uri)
    if was == now:
        return None
    return (
        f"the model of run {model['run_id']} serves in an image of {was}, and the pipeline's roles may pull from {now} "
        "alone: deploy the pipeline.yaml of that run, then roll back"
    )


def _repository(image_uri: str) -> str:
    """An image's registry and repository, without tag and digest."""
    named = image_uri.partition("@")[0]
    head, slash, tail = named.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"
