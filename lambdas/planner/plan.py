"""Plans: pure functions from the pipeline's state and the data to what a run is to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.rollbacks import is_champion, is_gone, serves
from common.state import State

from contract import outcomes, thresholds
from contract.evaluations import CANNOT_ANSWER
from planner.data import Channel, content_hash
from planner.other_champions import identity

Document = dict[str, Any]

# Of a champion, what isn't the model's own.
_OF_ITS_DEPLOYMENT = ("model_name", "endpoint_config_name", "promoted_at", "promoted_by", thresholds.KEPT)


def fingerprint(
    channels: Sequence[Channel],
    *,
    code_hash: str,
    spec_hash: str,
    image_uri: str,
    champions: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Names what a run works on: the same code, spec, image, data and models to begin with have the same fingerprint.

    Args:
        champions: of other pipelines, by channel (contract.other_champions).
    """
    parts = {
        "code": code_hash,
        "spec": spec_hash,
        "image": image_uri,
        "data": {channel.name: content_hash(channel) for channel in channels},
        **identity(champions or {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def work(  # noqa: PLR0913 - all that a person may ask for
    state: State,
    fingerprint: str,
    data: Mapping[str, Any],
    *,
    forced: bool,
    supersede: bool = False,
    tunes: bool = False,
) -> Document:
    """`Run`, or `UpToDate` with its reason where the same work would bring nothing new.

    Args:
        tunes: somebody wants the same work with other hyperparameters, which is new.
    """
    reason = None if forced or tunes else _nothing_new(state, fingerprint)
    return {
        "outcome": outcomes.UP_TO_DATE if reason else outcomes.WORK,
        **({"reason": reason} if reason else {}),
        "fingerprint": fingerprint,
        "forced": forced,
        "supersede": supersede,
        "data": dict(data),
        "champion": state.champion,
    }


def with_threshold(
    state: State, document: Mapping[str, Any], threshold: str | None, *, is_of_this_code: Callable[[], bool]
) -> Document:
    """The plan of a run without work: where the champion is served with another threshold than the spec's, it is
    deployed again with this one, which takes no training.

    One of other code (of this the gate hasn't let a model through) may not say how sure it is: to deploy it again would
    end with its answers refused, run after run.
    """
    champion = state.champion
    if document["outcome"] != outcomes.UP_TO_DATE or champion is None or champion.get(thresholds.KEPT) == threshold:
        return dict(document)
    if champion.get(thresholds.KEPT) is None and not is_of_this_code():
        served = f"the champion of run {champion['run_id']}, of other code, is served without the threshold {threshold}"
        return {**document, "reason": f"{document['reason']}; {served} until another model takes its place"}
    made = {name: value for name, value in champion.items() if name not in _OF_ITS_DEPLOYMENT}
    now = "without a threshold" if threshold is None else f"with the threshold {threshold}"
    before = champion.get(thresholds.KEPT)
    was = f", which was {before}" if before else ""
    reason = f"nothing is new but the threshold{was}: the champion of run {champion['run_id']} is served {now}"
    return {
        **{name: value for name, value in document.items() if name != "reason"},
        "outcome": outcomes.ROLLBACK,
        "candidate": {**made, **({thresholds.KEPT: threshold} if threshold else {})},
        "decision": {"promote": True, "reason": reason},
    }


def waiting(state: State, channels: Sequence[Channel], *, starts_itself: bool) -> Document | None:
    """`WaitsForData`, naming the channels that have none; None where all have.

    Args:
        starts_itself: whether data that arrives start a run.
    """
    empty = [channel for channel in channels if not channel.objects]
    if not empty:
        return None
    named = " and ".join(f"{channel.name!r} (s3://{channel.bucket}/{channel.prefix})" for channel in empty)
    many = "channels" if len(empty) > 1 else "channel"
    then = "a run starts by itself once they have arrived" if starts_itself else "then start a run"
    return {
        "outcome": outcomes.WAITS_FOR_DATA,
        "reason": f"there is no object in the {many} {named}; put data there, {then}",
        "fingerprint": None,
        "forced": False,
        "supersede": False,
        "data": None,
        "champion": state.champion,
    }


def without_the_champion(document: Mapping[str, Any]) -> Document:
    """The plan where the champion's archive isn't in S3 any more: it goes on serving, but can't be asked."""
    kept = {name: value for name, value in document["champion"].items() if name != "model_data"}
    silent = f"the champion can't be asked: {is_gone(document['champion'])}"
    return {**document, "champion": {**kept, CANNOT_ANSWER: silent}}


def _nothing_new(state: State, fingerprint: str) -> str | None:
    """The reason why this work needn't be done: a champion, or whatever the gate judged last, was made from the same.

    What a person went back from stays known, however much else has been judged since: it would come up again.
    """
    champion = state.champion or {}
    if fingerprint == champion.get("fingerprint"):
        return f"nothing is new since run {champion['run_id']}, whose model is the champion"
    for entry in state.withdrawn:
        if fingerprint == entry["fingerprint"]:
            return (
                f"it would train what run {entry['run_id']} has, whose model was champion until a person went back "
                "from it; --force trains it all the same"
            )
    return (
        "nothing is new since the last model that was judged" if fingerprint == state.last_judged_fingerprint else None
    )


def repair(state: State) -> Document:
    """`UpToDate`: all that such a run may do is to put the endpoint in order."""
    serves = f"the endpoint serves the model of run {state.champion['run_id']}" if state.champion else "none serves"
    return {
        "outcome": outcomes.UP_TO_DATE,
        "reason": f"{serves}, as the run table says",
        "fingerprint": None,
        "forced": False,
        "supersede": False,
        "data": None,
        "champion": state.champion,
    }


def overtaken(state: State) -> Document:
    """`UpToDate`: a rollback away from a champion that was rejected, which another has replaced meanwhile."""
    return {**repair(state), "reason": "the champion that was rejected in the model registry serves no more"}


def rollback(state: State, candidate: Mapping[str, Any], by: str | None, drift: str | None = None) -> Document:
    """`Rollback` to an earlier champion, the run's candidate; `UpToDate` where it is the champion again already.

    Args:
        by: who asked for it, where that is known.
        drift: what is wrong with the endpoint; then the champion itself is deployed again.
    """
    document: Document = {
        "outcome": outcomes.ROLLBACK,
        "fingerprint": candidate["fingerprint"],
        "forced": False,
        "supersede": False,
        "data": None,
        "champion": state.champion,
    }
    if serves(state, candidate) and not drift:
        return {**document, "outcome": outcomes.UP_TO_DATE, "reason": is_champion(candidate)}
    away = f", away from run {state.champion['run_id']}'s" if state.champion else ""
    reason = f"chosen by {by or 'a person'}: back to the model of run {candidate['run_id']}{away}"
    return {**document, "candidate": dict(candidate), "decision": {"promote": True, "reason": reason}}
