"""A pipeline's state, and the only ways in which it changes: pure functions, so every interleaving can be tested.

The run table keeps it under (pipeline, `state`). Whoever changes it reads it, applies one of these functions, and
writes the result on condition that nobody wrote in between (`common.run_table`).

    running             the one run that has the lock: {run_id, execution_arn, started_at, trigger, what was asked
                        (contract.triggers.ASKED), attempt, closed, tunes}; it holds all that StartExecution needs, so
                        that a crash before that call can be repaired; closed: its execution has ended; tunes: the
                        tuning job that it has planned, which a run that takes its place goes on with
    pending             triggers that no run has taken yet: {count, first_at, last_at, kinds, what was asked, details,
                        attempt, tunes}; `held` where they wait for another trigger to start a run
    champion            the model that serves, previous_champion the one before it, where a rollback goes by itself
    last_judged_fingerprint   what the gate judged last, whatever it said
    withdrawn           {run_id, fingerprint} of champions that a person went back from, newest first: the same work
                        again would bring them up again
    doubt               {run_id, repairs, last_at}: a run has ended and may have left the endpoint otherwise than
                        `champion` says; so many repairs have been asked for since
    tuning              {run_id, at, best: the tuned hyperparameters' values, runs: how many trained since, last_run:
                        the last that was counted, jobs: [{job, run_id, made_from, manifests}], newest first}
    retained            (model, endpoint config) names of the last promoted champions, newest first; of a pipeline for
                        batches the model's alone
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from contract.run_table import HELD, LAST_AT
from contract.triggers import AFTER, ASKED, KINDS, REPAIR, WITHOUT_DATA

# How many champions that a person went back from are remembered.
WITHDRAWN = 20
# A run that its machine could not finish recording (a cut-off execution) is tried again, but not for ever: each try may
# train for hours. Then what asked for it is held until the next trigger.
ATTEMPTS = 3
# One whose tuning job goes on meanwhile trains nothing twice.
ATTEMPTS_TUNING = 10
# How many tuning jobs are remembered: as many as one may learn from, and those that may not fit any more.
TUNING_JOBS = 10
# As much of a time as names its hour: 2026-11-20T10.
HOUR = 13

Document = dict[str, Any]


class LockLostError(Exception):
    """A run tried to act that isn't the pipeline's running one (started past the launcher, or redriven later)."""


@dataclass(frozen=True)
class State:
    """The item `state`; `version` counts the writes."""

    version: int = 0
    running: Document | None = None
    pending: Document | None = None
    champion: Document | None = None
    previous_champion: Document | None = None
    last_judged_fingerprint: str | None = None
    retained: tuple[Document, ...] = ()
    withdrawn: tuple[Document, ...] = ()
    doubt: Document | None = None
    tuning: Document | None = None


@dataclass(frozen=True)
class Trigger:
    """A reason to run. `at` is when the launcher saw it."""

    kind: str
    at: str
    detail: Document
    forced: bool = False
    supersede: bool = False
    tune: bool = False
    drift: bool = False
    attempt: int = 1
    tunes: Document | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no trigger is of kind {self.kind!r}; the kinds are {', '.join(KINDS)}")


def asked(of: Document) -> dict[str, bool]:
    """The options of a run that waits or is on its way; nothing where an older version wrote nothing of it."""
    return {name: bool(of.get(name)) for name in ASKED}


def triggered(state: State, triggers: list[Trigger]) -> State:
    """The triggers wait in `pending`, together with what waits there already."""
    for trigger in triggers:
        state = replace(state, pending=_added(state.pending, trigger))
    return state


def _added(pending: Document | None, trigger: Trigger) -> Document:
    before = pending or {"count": 0, "first_at": trigger.at, LAST_AT: trigger.at, "kinds": [], "details": {}}
    was_held = before.get(HELD, False)
    # A repair is nobody's wish for a run that trains.
    held = {HELD: True} if was_held and trigger.kind == REPAIR else {}
    tunes = trigger.tunes or before.get("tunes")
    return {
        "count": before["count"] + 1,
        "first_at": min(before["first_at"], trigger.at),
        LAST_AT: max(before[LAST_AT], trigger.at),
        "kinds": _in_order({*before["kinds"], trigger.kind}),
        **{name: asked(before)[name] or getattr(trigger, name) for name in ASKED},
        "details": {**before["details"], trigger.kind: trigger.detail},
        # What was held starts anew, with the trigger that lets it go.
        "attempt": trigger.attempt if was_held else max(before.get("attempt", 1), trigger.attempt),
        **held,
        **({"tunes": tunes} if tunes else {}),
    }


def _in_order(kinds: set[str]) -> list[str]:
    return [kind for kind in KINDS if kind in kinds]


def started(state: State, run_id: str, execution_arn: str, at: str) -> State:
    """Pending triggers become the running run, in one write; unchanged when a run is on its way or nothing waits.

    A rollback and a repair don't train, so the other kinds go on waiting for a run that does. What is held goes on
    waiting, too, but for a repair.
    """
    if state.running or not state.pending:
        return state
    pending = state.pending
    kind = pending["kinds"][0]
    if pending.get(HELD) and kind != REPAIR:
        return state
    running = {
        "run_id": run_id,
        "execution_arn": execution_arn,
        "started_at": at,
        "trigger": {"kind": kind, "at": pending[LAST_AT], "detail": pending["details"].get(kind, {})},
        **(asked(pending) if kind not in WITHOUT_DATA else dict.fromkeys(ASKED, False)),
        "attempt": pending.get("attempt", 1),
        **({"tunes": pending["tunes"]} if pending.get("tunes") and kind not in WITHOUT_DATA else {}),
    }
    return replace(state, running=running, pending=_without(kind, pending) if kind in WITHOUT_DATA else None)


def _without(taken: str, pending: Document) -> Document | None:
    kinds = [kind for kind in pending["kinds"] if kind != taken]
    if not kinds:
        return None
    details = {kind: detail for kind, detail in pending["details"].items() if kind in kinds}
    return {**pending, "kinds": kinds, "details": details, "count": max(len(kinds), pending["count"] - 1)}


def planning(state: State, run_id: str) -> State:
    """The run takes over what arrived since it started, and is about to list the data: `pending` is cleared.

    A rollback and a repair list no data and take over nothing; those that wait go on waiting.

    Raises:
        LockLostError: another run, or none, has the lock.
    """
    running = require_lock(state, run_id)
    if running["trigger"]["kind"] in WITHOUT_DATA or not state.pending:
        return state
    pending = state.pending
    both = {name: asked(running)[name] or asked(pending)[name] for name in ASKED}
    return replace(state, running={**running, **both}, pending=_without_data(pending))


def _without_data(pending: Document) -> Document | None:
    kinds = [kind for kind in pending["kinds"] if kind in WITHOUT_DATA]
    if not kinds:
        return None
    details = {kind: detail for kind, detail in pending["details"].items() if kind in kinds}
    return {**pending, "kinds": kinds, "details": details, "count": len(kinds), **dict.fromkeys(ASKED, False)}


def tunes(state: State, run_id: str, tuning: Document) -> State:
    """The run is about to make this tuning job, or to go on with it: a run that takes its place finds it here.

    Raises:
        LockLostError: another run, or none, has the lock.
    """
    return replace(state, running={**require_lock(state, run_id), "tunes": tuning})


def require_lock(state: State, run_id: str) -> Document:
    """The running run's document.

    Raises:
        LockLostError: it isn't `run_id`'s, or that run has ended.
    """
    if not state.running or state.running["run_id"] != run_id:
        holder = f"run {state.running['run_id']} does" if state.running else "no run does"
        raise LockLostError(
            f"run {run_id} doesn't hold the pipeline's lock ({holder}); "
            "runs are started by the launcher function (ratchet run), not by StartExecution"
        )
    if state.running.get("closed"):
        raise LockLostError(f"run {run_id} has ended: its execution was stopped, or lost")
    return state.running


def closed(state: State, run_id: str) -> State:
    """The run's execution has ended: none of its functions that is still at work changes anything from now on."""
    if not state.running or state.running["run_id"] != run_id:
        return state
    return replace(state, running={**state.running, "closed": True})


def has_promoted(state: State, run_id: str) -> bool:
    """Whether the champion is this run's doing: then the run is finished, however its execution ended."""
    return state.champion is not None and state.champion.get("promoted_by") == run_id


def ended(state: State, run_id: str, *, again: bool, doubt: bool = False, repair_at: str | None = None) -> State:
    """The lock is free; `again` puts the run's trigger back, after ATTEMPTS times held. Unchanged if another has it.

    A run that hasn't got it any more, as one that was redriven, may have left the endpoint in disorder all the same.

    doubt: the run may have left the endpoint otherwise than the run table says; `repair_at` (now) it has.
    """
    running = state.running
    if running and running["run_id"] != run_id:
        return state
    state = replace(state, running=None)
    if repair_at or (doubt and running):
        state = replace(state, doubt={"repairs": 0, **(state.doubt or {}), "run_id": run_id})
    if repair_at:
        state = repairing(state, repair_at)
    if not running or not again:
        return state
    attempt, trigger = running.get("attempt", 1), running["trigger"]
    tunes = running.get("tunes")
    retry = Trigger(
        trigger["kind"], trigger["at"], trigger["detail"], **asked(running), attempt=attempt + 1, tunes=tunes
    )
    most = ATTEMPTS_TUNING if tunes else ATTEMPTS
    return triggered(state, [retry]) if attempt < most else _held(state, retry)


def _held(state: State, trigger: Trigger) -> State:
    """The trigger joins those that came meanwhile, or waits for the next: nothing is lost, and nothing goes round.

    Not a rollback: who asked for it has seen it fail, and mustn't see it done a week later. A repair is counted
    by itself.
    """
    if trigger.kind in WITHOUT_DATA:
        return state
    if state.pending and state.pending["kinds"] != [REPAIR]:
        return triggered(state, [replace(trigger, attempt=state.pending.get("attempt", 1))])
    held = triggered(state, [replace(trigger, attempt=1)])
    return replace(held, pending={**(held.pending or {}), HELD: True})


def repairing(state: State, at: str) -> State:
    """A repair waits to be started: up to ATTEMPTS of them after one doubt, and then one in each hour.

    One that waits already, since whoever asked for it was cut off before it could start, isn't asked for again.
    """
    if state.running or not state.doubt or REPAIR in (state.pending or {}).get("kinds", ()):
        return state
    doubt = {**state.doubt, "repairs": state.doubt["repairs"] + 1, LAST_AT: at}
    if doubt["repairs"] > ATTEMPTS and at[:HOUR] == state.doubt[LAST_AT][:HOUR]:
        return state
    return triggered(replace(state, doubt=doubt), [Trigger(REPAIR, at, {AFTER: doubt["run_id"]})])


def settled(state: State) -> State:
    """The endpoint is what the run table says."""
    return replace(state, doubt=None)


def judged(state: State, run_id: str, fingerprint: str) -> State:
    """The gate has judged this work: the same again would be nothing new."""
    require_lock(state, run_id)
    return replace(state, last_judged_fingerprint=fingerprint)


def promoted(state: State, run_id: str, champion: Document, retain: int) -> State:
    """`champion` serves from now on, and the one before it can be brought back. Twice is as once."""
    require_lock(state, run_id)
    if has_promoted(state, run_id):
        return state
    before = state.champion
    # The champion itself, deployed anew, leaves the one before it where it was.
    is_same = before is not None and before["run_id"] == champion.get("run_id")
    names: Document = {name: champion[name] for name in ("model_name", "endpoint_config_name") if name in champion}
    others = tuple(entry for entry in state.retained if entry != names)
    return replace(
        state,
        champion={**champion, "promoted_by": run_id},
        previous_champion=state.previous_champion if is_same else before,
        retained=(names, *others)[:retain],
        withdrawn=_except(state.withdrawn, champion),
    )


def went_back(state: State, run_id: str, champion: Document, retain: int) -> State:
    """`champion`, of an earlier run, serves again, and the one before it isn't brought up by the same work again."""
    after = promoted(state, run_id, champion, retain)
    left = state.champion
    if after == state or not left or left["run_id"] == champion.get("run_id"):
        return after
    withdrawn = {name: left[name] for name in ("run_id", "fingerprint")}
    return replace(after, withdrawn=_except((withdrawn, *_except(state.withdrawn, left)), champion)[:WITHDRAWN])


def tuned(state: State, run_id: str, tuning: Document) -> State:
    """A tuning job has found the best values: {at, best, jobs: [its own entry]}. Twice is as once."""
    before = state.tuning or {}
    if before.get("last_run") == run_id:
        return state
    jobs = [*tuning["jobs"], *before.get("jobs", ())][:TUNING_JOBS]
    return replace(state, tuning={**tuning, "run_id": run_id, "runs": 0, "last_run": run_id, "jobs": jobs})


def trained(state: State, run_id: str) -> State:
    """A run has trained with what was tuned before it. Twice is as once."""
    if not state.tuning or state.tuning["last_run"] == run_id:
        return state
    return replace(state, tuning={**state.tuning, "runs": state.tuning["runs"] + 1, "last_run": run_id})


def _except(withdrawn: tuple[Document, ...], champion: Document) -> tuple[Document, ...]:
    return tuple(entry for entry in withdrawn if entry["fingerprint"] != champion.get("fingerprint"))
