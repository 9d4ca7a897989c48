"""Trials: after a tuning job has ended, writes all of its training jobs down and chooses the one that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from common.artifacts import ArtifactMissingError, Artifacts, is_there
from common.clients import client
from common.job_statuses import COMPLETED, STOPPED
from common.log import Log
from common.refusals import is_missing

from contract import environment, files, functions
from contract.verdicts import FILE_BYTES
from trials import judgement
from trials.judgement import Settings, Trial

Document = dict[str, Any]

LOG = Log({"function": "trials"})


def handle(event: Document, _context: object) -> Document:
    """The judgement (`trials.judgement.judge`), after the run's trials.json.

    Args:
        event: {"run": the execution's input, "tuning": the plan's, "metric", "better", "max_runtime": the tuning job's
            in seconds or null, "failure": the failure of the state machine's own task, or null}.
    """
    run, planned = event["run"], event["tuning"]
    settings = Settings(event["metric"], event["better"], event["max_runtime"])
    log = LOG.bind(pipeline=run["pipeline"], run_id=run["run_id"], tuning_job=planned["job"])
    described = described_job(planned["job"])
    if described is None:
        log.error("no tuning job", failure=event["failure"])
        return judgement.not_begun(planned, settings, event["failure"])
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run["pipeline"], run["run_id"])
    listed = list(summaries(planned["job"]))
    said = replace(artifacts, run_id=planned["folder"])
    found = judgement.trials(listed, stopped_by_rules(described, listed, said))
    tuning = judgement.told(planned, settings, described, found)
    artifacts.write(files.TRIALS, {**tuning, "trials": [trial.document() for trial in found]})
    best = first_with_model(judgement.in_order(settings, found))
    answer = judgement.judge(settings, described, found, told_of=tuning, best=best, failure=event["failure"])
    log.info("judged", next=answer["next"], trials=len(found), best=answer["tuning"].get("best"))
    return answer


def described_job(name: str) -> Document | None:
    """DescribeHyperParameterTuningJob; None if it was never made."""
    try:
        found: Document = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def summaries(job: str) -> Iterator[Document]:
    """All of its training jobs, in the order in which they were made."""
    pages = client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    order = {"SortBy": "CreationTime", "SortOrder": "Ascending"}
    for page in pages.paginate(HyperParameterTuningJobName=job, **order):
        yield from page["TrainingJobSummaries"]


def stopped_by_rules(described: Document, listed: Iterable[Document], artifacts: Artifacts) -> dict[str, str]:
    """Training job → the rule that stopped it, by what the job itself has said; of each that was stopped."""
    definition = described.get("TrainingJobDefinition") or {}
    rules = environment.rules(definition.get("Environment") or {})
    stopping = {rule["name"] for rule in rules if rule["action"] == environment.STOP}
    jobs = [entry["TrainingJobName"] for entry in listed if entry["TrainingJobStatus"] == STOPPED] if stopping else []
    found = {job: judgement.rule_that_stopped(own_word(artifacts, job), stopping) for job in jobs}
    return {job: rule for job, rule in found.items() if rule}


def own_word(artifacts: Artifacts, job: str) -> Any:
    """What the rules beside a job have found; None where it has said nothing readable."""
    try:
        return artifacts.read(files.verdicts(job), most=FILE_BYTES)
    except (ArtifactMissingError, ValueError):
        return None


def first_with_model(ordered: Sequence[Trial]) -> Document | None:
    """The description of the best trial that has left a model; one that was stopped may have saved none."""
    for trial in ordered:
        described: Document = client("sagemaker").describe_training_job(TrainingJobName=trial.job)
        model = (described.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
        if model and (trial.status == COMPLETED or is_there(client("s3"), model)):
            return described
    return None
