"""Plans: pure functions from the pipeline's state and the data to what a run is to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from common.state import State

from contract import outcomes
from planner.data import Channel, content_hash

Document = dict[str, Any]


class NothingToRollBackToError(Exception):
    """There was no champion before this one."""


def fingerprint(channels: Sequence[Channel], *, code_hash: str, spec_hash: str, image_uri: str) -> str:
    """Names what a run works on: the same code, spec, image and data have the same fingerprint."""
    parts = {
        "code": code_hash,
        "spec": spec_hash,
        "image": image_uri,
        "data": {channel.name: content_hash(channel) for channel in channels},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def work(state: State, fingerprint: str, data: Mapping[str, Any], *, forced: bool, supersede: bool = False) -> Document:
    """`Run`, or `UpToDate` where the champion, or whatever the gate judged last, was made from the same."""
    known = {state.last_judged_fingerprint, (state.champion or {}).get("fingerprint")}
    outcome = outcomes.UP_TO_DATE if fingerprint in known and not forced else outcomes.WORK
    return {
        "outcome": outcome,
        "fingerprint": fingerprint,
        "forced": forced,
        "supersede": supersede,
        "data": dict(data),
        "champion": state.champion,
    }


def rollback(state: State) -> Document:
    """`Rollback` to the champion before this one, the run's candidate.

    Raises:
        NothingToRollBackToError: there is none.
    """
    if state.previous_champion is None:
        serving = f"run {state.champion['run_id']} made the only one" if state.champion else "there is no champion"
        raise NothingToRollBackToError(f"no earlier champion to roll back to: {serving}")
    candidate = state.previous_champion
    return {
        "outcome": outcomes.ROLLBACK,
        "fingerprint": candidate["fingerprint"],
        "forced": False,
        "supersede": False,
        "data": None,
        "champion": state.champion,
        "candidate": candidate,
    }
