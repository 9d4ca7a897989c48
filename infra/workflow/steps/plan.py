"""Plan: fixes what the run works on. A run without work ends. A rollback deploys an earlier champion."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from contract import files, functions, held_out_labels, outcomes, thresholds
from contract.approvals import AUTOMATIC
from contract.batches import BATCH
from contract.candidates import CANDIDATES
from contract.manifests import MANIFESTS
from contract.other_champions import OTHER_CHAMPIONS
from contract.states import PLAN, RECORD
from infra.grants import Grant, list_prefixes, use_key
from infra.workflow.conditions import all_of, equals, exists
from infra.workflow.expressions import expression
from infra.workflow.language import choice, when
from infra.workflow.other_champions import find_other_champions
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import change_run_table, find_models, look_at_endpoint, write_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import HOSTING_IMAGE_URI, IMAGE_URI, Surroundings
from infra.workflow.training import Training
from ratchet.spec import PipelineSpec
from ratchet.spec.data import SHARDED
from ratchet.spec.metric_names import labels_needed

# Where a run goes on once the endpoint is what the run table says.
PLANNED = "Planned"
_MAKES_NO_MODEL: Any = {
    "triggers": True,
    "serving": True,
    "labels": True,
    "tune": {"every", "on"},
    "train": {"keep_warm", "wait_for_instance"},
    "evaluate": {"wait_for_instance"},
    "deploy": {
        "autoscale", "batch", "shift", "rollback_on", "keep_old", "max_time", "keep_champions", "input", "queue",
        "serverless",
    },
}  # fmt: skip


def plan(at: Surroundings, training: Training, *, anew: str, again: str, drifted: str, idle: str = RECORD) -> Step:
    """A run with work goes on to `anew`, a rollback to `again`, one without work to `idle`; before that, if the
    endpoint isn't what the run table says, to `drifted`, which comes back to PLANNED.
    """
    planner = _planner(at, training)
    payload = {
        "run": expression("$run"),
        "channels": dict(at.spec.data),
        "held_out": _held_out(at),
        "data_starts_runs": at.spec.triggers.data is not None,
        "code_hash": at.code_hash,
        "spec_hash": spec_hash(at.spec),
        "image_uri": str(IMAGE_URI),
        "hosting_image_uri": str(HOSTING_IMAGE_URI),
        thresholds.KEPT: at.spec.serving.told,
        **({BATCH: at.spec.deploy.input} if at.spec.deploy.input else {}),
        **_shards(at.spec),
        **_manifests(at.spec),
        **({OTHER_CHAMPIONS: dict(at.spec.data.champions)} if at.spec.data.champions else {}),
        **training.way.plan,
    }
    chosen = {name: expression(f"$plan.{name}") for name in ("candidate", "decision")}
    drift = all_of(exists("$plan.drift"), "$repaired = null")
    ways = [
        *([when(drift, drifted)] if at.has_endpoint else []),
        *(when(equals("$plan.outcome", nothing), idle, {"outcome": nothing}) for nothing in outcomes.IDLE),
        when(equals("$plan.outcome", outcomes.ROLLBACK), again, chosen),
    ]
    look = invoke(PLAN, planner, payload, then=PLANNED, result="plan")
    return Step(states={**look, **choice(PLANNED, ways, default=anew)}, function=planner)


def spec_hash(spec: PipelineSpec) -> str:
    """A spec's hash, without what makes no other model: triggers, when it tunes, warm instances, how long one is waited
    for, whose labels may be audited, how it is served and deployed.
    """
    document = spec.model_dump(mode="json", exclude=_MAKES_NO_MODEL)
    # Who approves it makes no other model: what is hashed is what was hashed before there was a choice. So with kinds.
    document["approval"] = AUTOMATIC
    if not spec.deploy.is_batch:
        del document["deploy"]["kind"]
    for field in ("chain", "compile"):
        if not getattr(spec.deploy, field):
            del document["deploy"][field]
    if spec.train.distribution is None:
        del document["train"]["distribution"]
    if spec.gate.at_threshold is None:
        del document["gate"][thresholds.FLOORS]
    if spec.tune is None:
        del document["tune"]
    if not spec.candidates:
        del document[CANDIDATES]
    if not spec.views:
        del document["views"]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _shards(spec: PipelineSpec) -> dict[str, Any]:
    """To how many hosts the objects of a channel are shared out, where they are."""
    hosts = spec.train.instance_count
    shards = {name: hosts for name, channel in spec.training_channels.items() if channel.distribution == SHARDED}
    return {"shards": shards} if shards else {}


def _manifests(spec: PipelineSpec) -> dict[str, Any]:
    """What Plan has to know of the channels' augmented manifests, where there are any."""
    found = {
        name: {
            "key": manifest.key,
            "objects": manifest.objects,
            "attributes": list(manifest.attributes),
            "piped": manifest.is_piped,
        }
        for name, manifest in spec.manifests.items()
    }
    return {MANIFESTS: found} if found else {}


def _held_out(at: Surroundings) -> dict[str, Any] | None:
    """How the held-out files are to be read, and what of their labels the gate needs; None: serve.py reads them."""
    spec = at.spec
    if spec.reads_held_out_data:
        return None
    metric = spec.gate.metric
    asked = {"over_http": True} if at.judging_image else {}
    return {**asdict(spec.reading), "metric": metric, "needs": labels_needed(metric), **asked}


def _planner(at: Surroundings, training: Training) -> RunFunction:
    return RunFunction(
        folder="planner",
        purpose="Fixes what a run works on",
        seconds=900,
        variables={
            functions.RUN_TABLE: at.shared.run_table,
            functions.DATA_BUCKET: at.shared.data_bucket,
            functions.ARTIFACT_BUCKET: at.shared.artifact_bucket,
            **({functions.ENDPOINT_NAME: at.endpoint} if at.has_endpoint else {}),
        },
        grants=[
            change_run_table(at),
            list_prefixes(at.shared.data_bucket_arn, at.prefixes, "s3:ListBucketVersions"),
            _look_into_held_out_data(at),
            *_read_manifests(at),
            find_models(at),
            write_runs(at, files.PLAN, files.manifest("*"), files.versions("*")),
            *find_other_champions(at),
            *look_at_endpoint(at),
            *training.way.plan_grants,
            use_key(at.account, at.shared.key_arn, "dynamodb", "s3"),
        ],
    )


def _read_manifests(at: Surroundings) -> list[Grant]:
    """Reading the channels' augmented manifests, each by its key."""
    keys = dict.fromkeys(manifest.key for manifest in at.spec.manifests.values())
    resources = [f"{at.shared.data_bucket_arn}/{key}" for key in keys]
    return [Grant(actions=["s3:GetObject"], resources=resources)] if resources else []


def _look_into_held_out_data(at: Surroundings) -> Grant:
    """Reading the held-out channel; those that training sees only where the gate is about the classes in them."""
    of_classes = labels_needed(at.spec.gate.metric) in held_out_labels.OF_CLASSES
    # Nothing is known here of the classes in a manifest's channel, whatever it points to.
    channels = [channel for channel in at.spec.data.values() if not channel.manifest]
    prefixes = channels if of_classes else [at.spec.data[files.TEST_CHANNEL]]
    return Grant(
        actions=["s3:GetObject"],
        resources=[f"{at.shared.data_bucket_arn}/{prefix}*" for prefix in prefixes],
        because="What lies under the channels' prefixes is the data's own names.",
    )
