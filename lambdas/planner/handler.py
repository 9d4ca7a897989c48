"""Planner: fixes the data, code and spec of a run, before anything costs money.

It checks that the run holds the pipeline's lock, clears the pending triggers *before* it lists the data (an event that
came before is covered by the listing, one that comes after starts the next run), writes one SageMaker manifest a
channel and `plan.json`, and says whether there is anything to do: `Run`, `UpToDate`, `WaitsForData`, or
`Rollback`. The endpoint is compared with the run table: every run begins by putting it in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from common import clock, endpoints, rollbacks
from common.artifacts import Artifacts, is_there
from common.clients import client
from common.log import Log
from common.run_table import RunTable
from common.state import State, asked, planning, tunes

from contract import files, functions, outcomes, thresholds, triggers
from contract.approvals import WITHDRAWN
from contract.batches import BATCH
from contract.other_champions import OTHER_CHAMPIONS
from contract.tuning import TUNING
from planner import held_out_look, other_champions, plan, tuning_plan
from planner.data import Channel, channel, check_shards, manifest, versions
from planner.tuning import decide

Document = dict[str, Any]

LOG = Log({"function": "planner"})

# What a model is made from, besides data: of a run what is deployed now, of a rollback what was when it was trained.
MADE_FROM = ("code_hash", "spec_hash", "image_uri")


def handle(event: Document, _context: object) -> Document:
    """The run's plan.

    Args:
        event: {"run": the execution's input, "channels": {name: prefix}, "code_hash", "spec_hash", "image_uri",
            "hosting_image_uri": what models serve in,
            "shards": channel → to how many hosts its objects are shared out, of those that are,
            "held_out": how to read the held-out channel and what its labels must be, null if serve.py reads it,
            "other_champions": channel → the pipeline whose champion it holds, where there are such channels,
            "data_starts_runs": whether data that arrive do, "tune" where pipeline.yaml has it (infra, steps/tune.py),
            "batch": where a batch's rows lie, "threshold": the spec's, or null}.

    Returns:
        {"outcome": "Run" | "UpToDate" | "WaitsForData" | "Rollback", "fingerprint", "forced", "supersede", "data":
        {objects, bytes, manifests} or null, "code_hash", "spec_hash", "image_uri", "champion" or null, "reason" if
        there is nothing to do, "drift" if the endpoint isn't what the run table says, "candidate" and "decision" for a
        rollback, and where nothing is new but the threshold, where pipeline.yaml has `tune:` what contract.tuning says,
        "other_champions" as contract.other_champions says, "batch" what `rows_to_answer` does};
        plan.json holds the same.

    Raises:
        LockLostError: the run wasn't started by the launcher.
        TooFewObjectsError: a host would train on nothing.
        NoChampionError: another pipeline, with whose champion training begins, has none.
        HeldOutDataError: the gate can't judge by the held-out data.
        NotTunableError: the run is to tune, and pipeline.yaml says nothing of it.
        ParentRefusedError: a tuning job that pipeline.yaml names for a parent can't be one.
        RollbackRefusedError: there is no going back to the run that a rollback names.
    """
    run = event["run"]
    log = LOG.bind(pipeline=run["pipeline"], run_id=run["run_id"])
    table = RunTable(client("dynamodb"), os.environ[functions.RUN_TABLE], run["pipeline"])
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run["pipeline"], run["run_id"])
    document = {**{name: event[name] for name in MADE_FROM}, **decided(event, table, artifacts, log)}
    document |= rows_to_answer(client("s3"), event, artifacts)
    artifacts.write(files.PLAN, {"run": run, "planned_at": clock.stamp(), **document})
    log.info("planned", outcome=document["outcome"], fingerprint=document["fingerprint"], data=document["data"])
    return document


def decided(event: Document, table: RunTable, artifacts: Artifacts, log: Log) -> Document:
    """What the run is to do, by what asked for it, and what is wrong with the endpoint."""
    run = event["run"]
    _, state = table.update(partial(planning, run_id=run["run_id"]))
    drift = drift_of_endpoint(state, os.environ.get(functions.ENDPOINT_NAME))
    if run["trigger"]["kind"] == triggers.ROLLBACK:
        document = rollback(table, client("s3"), state, event, drift)
    elif run["trigger"]["kind"] == triggers.REPAIR:
        document = plan.repair(state)
    else:
        document = keeping_its_tuning(table, run["run_id"], on_data(event, table, state, artifacts, log))
    # A rollback puts the endpoint in order itself.
    repairs = {"drift": drift} if drift and document["outcome"] != outcomes.ROLLBACK else {}
    return {**document, **repairs}


def drift_of_endpoint(state: State, name: str | None) -> str | None:
    """What is wrong with the endpoint; nothing where the pipeline has none."""
    return endpoints.drift(state, endpoints.described(client("sagemaker"), name)) if name else None


def rows_to_answer(s3: Any, event: Document, artifacts: Artifacts) -> Document:
    """What a batch is to answer, {manifest, objects, bytes} of the objects that lie there now; null where none do.

    A repair does what it is for, and no more.
    """
    prefix = event.get(BATCH)
    if not prefix:
        return {}
    if event["run"]["trigger"]["kind"] == triggers.REPAIR:
        return {BATCH: None}
    (rows,) = list_channels(s3, os.environ[functions.DATA_BUCKET], {files.BATCH_INPUT: prefix})
    return {BATCH: write_rows(artifacts, rows) if rows.objects else None}


def write_rows(artifacts: Artifacts, rows: Channel) -> Document:
    artifacts.write(files.versions(rows.name), versions(rows))
    told = artifacts.write(files.manifest(rows.name), manifest(rows))
    return {"manifest": told, "objects": len(rows.objects), "bytes": rows.size}


def keeping_its_tuning(table: RunTable, run_id: str, document: Document) -> Document:
    """The plan, whose tuning job is written down for a run that may have to take this one's place."""
    if TUNING in document:
        table.update(partial(tunes, run_id=run_id, tuning=tuning_plan.kept(document)))
    return document


def on_data(event: Document, table: RunTable, state: State, artifacts: Artifacts, log: Log) -> Document:
    """The plan of a run that trains, if all channels have data and anything is new.

    The state is the one that `planning` wrote: whatever arrives from here on waits for the next run.
    """
    s3 = client("s3")
    channels = list_channels(s3, os.environ[functions.DATA_BUCKET], event["channels"])
    document = plan.waiting(state, channels, starts_itself=event["data_starts_runs"]) or work(
        event, state, channels, artifacts, log
    )
    if state.champion and not is_there(s3, state.champion["model_data"]):
        return plan.without_the_champion(document)
    of_this_code = partial(is_of_this_code, table, state, event["code_hash"])
    return plan.with_threshold(state, document, event.get(thresholds.KEPT), is_of_this_code=of_this_code)


def is_of_this_code(table: RunTable, state: State, code_hash: str) -> bool:
    """Whether the champion was made by this code."""
    record = table.read_run(state.champion["run_id"]) if state.champion else None
    return record is not None and bool(record.get("code_hash") == code_hash)


def work(event: Document, state: State, channels: list[Channel], artifacts: Artifacts, log: Log) -> Document:
    """The plan of a run that has data, and their manifests."""
    data = write_manifests(artifacts, channels)
    champions = begun_with(event)
    decision = decide(event.get("tune"), state, clock.now())
    wishes, wished = asked(state.running or {}), decision is not None and decision.wished
    document = plan.work(
        state,
        fingerprint(event, channels, champions),
        data,
        forced=wishes["forced"],
        supersede=wishes["supersede"],
        tunes=wished,
    )
    document |= {OTHER_CHAMPIONS: champions} if champions else {}
    if document["outcome"] != outcomes.WORK:
        return document
    check_shards(channels, event.get("shards", {}))
    if event["held_out"]:
        log.info("looked into the held-out data", **look(client("s3"), channels, event["held_out"]))
    if decision is None:
        return document
    return tuning_plan.with_tuning(document, event, decision, state=state, channels=channels, artifacts=artifacts)


def rollback(table: RunTable, s3: Any, state: State, event: Document, drift: str | None) -> Document:
    """The plan of going back to the run that the trigger's detail names."""
    detail = event["run"]["trigger"]["detail"]
    withdrawn = detail.get(WITHDRAWN)
    if withdrawn and (state.champion or {}).get("model_package_arn") != withdrawn:
        return plan.overtaken(state)
    run_id = rollbacks.target(state, detail)
    record = table.read_run(run_id) or {}
    candidate = rollbacks.candidate(run_id, record or None)
    if not is_there(s3, candidate["model_data"]):
        raise rollbacks.RollbackRefusedError(rollbacks.is_gone(candidate))
    if refusal := rollbacks.needs_another_image(candidate, event["hosting_image_uri"]):
        raise rollbacks.RollbackRefusedError(refusal)
    made_from = {name: record[name] for name in MADE_FROM if name in record}
    return {**plan.rollback(state, candidate, detail.get(triggers.BY), drift), **made_from}


def list_channels(s3: Any, bucket: str, prefixes: Mapping[str, str]) -> list[Channel]:
    """The channels as they are now, by name."""
    paginator = s3.get_paginator("list_object_versions")
    return [
        channel(name, bucket, prefix, paginator.paginate(Bucket=bucket, Prefix=prefix))
        for name, prefix in sorted(prefixes.items())
    ]


def look(s3: Any, channels: Iterable[Channel], asked: Document) -> Document:
    """Describes the held-out data, as far as Plan looks."""
    by_name = {entry.name: entry for entry in channels}
    found = by_name.pop(files.TEST_CHANNEL)

    def read(key: str, start: int, size: int) -> bytes:
        answer = s3.get_object(Bucket=found.bucket, Key=key, Range=f"bytes={start}-{start + size - 1}")
        content: bytes = answer["Body"].read()
        return content

    return held_out_look.look(found, asked, read, by_name.values())


def write_manifests(artifacts: Artifacts, channels: Iterable[Channel]) -> Document:
    """Writes each channel's manifest and, beside it, its objects' versions."""
    channels = list(channels)
    for entry in channels:
        artifacts.write(files.versions(entry.name), versions(entry))
    return {
        "objects": sum(len(entry.objects) for entry in channels),
        "bytes": sum(entry.size for entry in channels),
        "manifests": {entry.name: artifacts.write(files.manifest(entry.name), manifest(entry)) for entry in channels},
    }


def begun_with(event: Document) -> dict[str, Document]:
    """The champions of other pipelines with which training begins, by channel."""
    asked, table = event.get(OTHER_CHAMPIONS, {}), os.environ[functions.RUN_TABLE]
    return other_champions.found(asked, partial(RunTable, client("dynamodb"), table), client("s3"))


def fingerprint(event: Document, channels: list[Channel], champions: Mapping[str, Document]) -> str:
    made_from = {name: event[name] for name in MADE_FROM}
    return plan.fingerprint(channels, **made_from, champions=champions)
