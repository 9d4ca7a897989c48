"""The plan of a run whose pipeline tunes: its tuning job, with its parents and ranges, or the values it trains with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from common.artifacts import Artifacts
from common.clients import client
from common.state import State

from contract import files, names
from contract.other_champions import OTHER_CHAMPIONS
from contract.tuning import ADOPTED, TUNED, TUNING, UNTUNED
from planner import parents
from planner.data import Channel, content_hash
from planner.other_champions import identity
from planner.refined import refined
from planner.tuning import Decision

Document = dict[str, Any]


def with_tuning(  # noqa: PLR0913 - all that a tuning job depends on
    document: Mapping[str, Any],
    event: Mapping[str, Any],
    decision: Decision,
    *,
    state: State,
    channels: Sequence[Channel],
    artifacts: Artifacts,
) -> Document:
    """The run's plan with what it tunes, or with the values that it trains with (contract.tuning)."""
    if not decision.tunes:
        return {**document, TUNED: dict(decision.values), UNTUNED: decision.because}
    settings, run = event["tune"], event["run"]
    before = begun(document, state)
    if before:
        return {**document, TUNING: {**before, "ranges": settings["ranges"], ADOPTED: True}}
    origin = made_from(document, event, channels)
    known = (state.tuning or {}).get("jobs", ())
    warm = settings["warm_start"]
    found = parents.chosen(settings, known, origin, client("sagemaker")) if warm else parents.Parents()
    tuning = {
        "job": names.tuning_job(settings["environment"], run["pipeline"], run["run_id"]),
        "because": decision.because,
        "made_from": origin,
        "folder": run["run_id"],
        "manifests": found.manifests or run["run_id"],
        **_ranges(settings, found),
        **_learning(settings, found),
    }
    data = {**document["data"], "manifests": _manifests(document["data"]["manifests"], found, artifacts)}
    return {**document, "data": data, TUNING: tuning}


def kept(document: Mapping[str, Any]) -> Document:
    """A plan's tuning job, as the pipeline's state keeps it for a run that may take this one's place."""
    left_out = ("ranges", "warm_start", ADOPTED)
    told = {name: value for name, value in document[TUNING].items() if name not in left_out}
    return {**told, "fingerprint": document["fingerprint"]}


def begun(document: Mapping[str, Any], state: State) -> Document | None:
    """The tuning job of a run that was cut off, if it was about the same work and SageMaker has it: it goes on."""
    before = (state.running or {}).get("tunes") or {}
    if before.get("fingerprint") != document["fingerprint"] or not parents.described_job(
        client("sagemaker"), before["job"]
    ):
        return None
    return {name: value for name, value in before.items() if name != "fingerprint"}


def made_from(document: Mapping[str, Any], event: Mapping[str, Any], channels: Sequence[Channel]) -> str:
    """Names the data, code and image of a tuning job, and what it begins with: the same are identical to SageMaker."""
    parts = {
        "code": event["code_hash"],
        "image": event["image_uri"],
        "data": {channel.name: content_hash(channel) for channel in channels if channel.name != files.TEST_CHANNEL},
        **identity(document.get(OTHER_CHAMPIONS, {})),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _ranges(settings: Mapping[str, Any], found: parents.Parents) -> Document:
    if not (settings["refine"] and found.jobs):
        return {"ranges": settings["ranges"]}
    trials = parents.trials_of(client("sagemaker"), found.jobs, settings["better"])
    ranges, narrower = refined(settings["ranges"], trials)
    return {"ranges": ranges, "refined": narrower}


def _learning(settings: Mapping[str, Any], found: parents.Parents) -> Document:
    config = parents.warm_start(settings, found)
    told: Document = {"warm_start": config, "parents": list(found.jobs)} if config else {}
    return {**told, **({"left_out": dict(found.left_out)} if found.left_out else {})}


def _manifests(own: Mapping[str, str], found: parents.Parents, artifacts: Artifacts) -> Document:
    """The manifests to train on: of identical data the parents', word for word, or SageMaker takes them for others."""
    if found.manifests is None:
        return dict(own)
    folder = files.run_folder(artifacts.pipeline, found.manifests)
    return {name: f"s3://{artifacts.bucket}/{folder}{files.manifest(name)}" for name in own}
