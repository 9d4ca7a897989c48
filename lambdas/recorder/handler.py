"""Recorder: writes what a run was and did, moves the champion, notifies, and clears away what nobody needs.

The run table's item, `record.json` beside the run's artifacts, one message to the topic. Models and endpoint configs
that neither serve, nor can be rolled back to, nor are among the last promoted ones are deleted, whichever run made
them.

Environment: `RUN_TABLE`, `ARTIFACT_BUCKET`, `TOPIC_ARN`, `RETAINED_CHAMPIONS` (promoted models kept, default 3).

AWS actions:
    dynamodb:GetItem, dynamodb:PutItem              the run table, leading key = the pipeline
    s3:PutObject, s3:GetObject, s3:ListBucket       the artifact bucket, runs/<pipeline>/*
    sns:Publish                                     the notification topic
    states:GetExecutionHistory                      the machine's executions (timings)
    sagemaker:DescribeTrainingJob                   the run's training jobs, where SageMaker Debugger judges
    sagemaker:DescribeEndpoint, sagemaker:DeleteEndpoint          the pipeline's endpoint
    sagemaker:ListModels, sagemaker:ListEndpointConfigs           * (list actions know no resource)
    sagemaker:DescribeEndpointConfig, sagemaker:DeleteEndpointConfig   endpoint-config/<environment>-<pipeline>-*
    sagemaker:DeleteModel                           model/<environment>-<pipeline>-*
    kms:Decrypt, kms:GenerateDataKey                the key of table, bucket and topic
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from common import clock
from common.artifacts import EVALUATION, RULES, RULES_OF_ROUND, ArtifactMissing, Artifacts
from common.clients import client
from common.log import Log
from common.run_table import RunTable
from common.state import State, judged, promoted, require_lock

from recorder import documents
from recorder.housekeeping import Housekeeper
from recorder.timings import seconds_by_state

Document = dict[str, Any]

LOG = Log({"function": "recorder"})

RECORD = "record.json"
VERDICT_SECONDS, VERDICT_PAUSE_SECONDS = 30.0, 2.0


def handle(event: Document, _context: object) -> Document:
    """Writes the run down; doing it again writes the same.

    The champion is moved first: whatever fails after that, the run table says who serves.

    Args:
        event: the machine's variables (`infra.workflow.machine.record`); those that a run didn't come to are null.

    Returns:
        {"run_id", "outcome", "error" or null, "record": s3:// URI, "complete": whether all of it was done}.

    Raises:
        LockLost: the run isn't the pipeline's running one.
    """
    run, at = event["run"], clock.text(clock.now())
    outcome = documents.outcome(event)
    log = LOG.bind(pipeline=run["pipeline"], run_id=run["run_id"])
    table = RunTable(client("dynamodb"), os.environ["RUN_TABLE"], run["pipeline"])
    artifacts = Artifacts(client("s3"), os.environ["ARTIFACT_BUCKET"], run["pipeline"], run["run_id"])
    _, state = table.update(partial(concluded, event=event, outcome=outcome, at=at))
    record = documents.run_record(
        event,
        begun=table.read_run(run["run_id"]) or {},
        state=state,
        evaluation=read_evaluation(artifacts) if event["evaluation"] else None,
        rules=verdicts(artifacts, event) if event["training"] else [],
        timings=read_timings(event["execution_arn"]),
        at=at,
    )
    trouble = afterwards(event, state, record, artifacts.uri(RECORD), log)
    if trouble:
        record = {**record, "error": trouble}
    uri = artifacts.write(RECORD, record)
    table.write_run(run["run_id"], record)
    log.info("recorded", outcome=outcome, error=record.get("error"))
    answer = {"run_id": run["run_id"], "outcome": outcome, "record": uri, "error": record.get("error")}
    return {**answer, "complete": trouble is None}


def afterwards(event: Document, state: State, record: Document, uri: str, log: Log) -> Document | None:
    """Clears away and notifies. What goes wrong here doesn't change what the run came to, but it must be seen: it
    becomes the record's error (after one that is there already), and the execution fails with it."""
    steps: list[Callable[[], object]] = [
        lambda: client("sns").publish(TopicArn=os.environ["TOPIC_ARN"], **documents.notification(record, uri))
    ]
    if event["deployment"]:
        housekeeper = Housekeeper(client("sagemaker"), event["content_prefix"], log)
        steps.append(lambda: housekeeper.tidy(event["endpoint_name"], state))
    causes = [record["error"]["cause"]] if record.get("error") else []
    failed = False
    for step in steps:
        try:
            step()
        except ClientError as error:
            log.error("afterwards", error=str(error))
            causes.append(str(error))
            failed = True
    if not failed:
        return None
    return {"state": "Record", "error": "AfterwardsFailed", "cause": "; and ".join(causes)}


def concluded(state: State, *, event: Document, outcome: str, at: str) -> State:
    """The pipeline's state after the run."""
    run_id = event["run"]["run_id"]
    require_lock(state, run_id)
    if outcome == "Promoted":
        state = promoted(state, run_id, documents.champion(event, at), int(os.environ.get("RETAINED_CHAMPIONS", "3")))
    # What was rolled back or failed is worth another try; what the gate said it would say again. A rollback judges
    # nothing: what it takes back stays judged, so that the same data doesn't bring it up again.
    if outcome in ("Promoted", "NotBetter") and event["decision"]:
        state = judged(state, run_id, event["plan"]["fingerprint"])
    return state


def read_evaluation(artifacts: Artifacts) -> Document | None:
    try:
        evaluation: Document = artifacts.read(EVALUATION)
    except ArtifactMissing:
        return None
    return evaluation


def verdicts(artifacts: Artifacts, event: Document) -> list[Document]:
    """What the rules said at last: SageMaker Debugger's to SageMaker, the open ones beside the tensors."""
    if event["rules_service"] != "sagemaker":
        return list(read_rules(artifacts, event.get("round")))
    return managed_verdicts(event["training"]["description"]["TrainingJobName"])


def managed_verdicts(training_job: str) -> list[Document]:
    """SageMaker evaluates on when training has ended; what isn't decided soon is recorded as it is."""
    deadline = time.monotonic() + VERDICT_SECONDS
    while True:
        job = client("sagemaker").describe_training_job(TrainingJobName=training_job)
        found = documents.of_debugger(job)
        if time.monotonic() >= deadline or not any(verdict.get("goes_on") for verdict in found):
            return found
        time.sleep(VERDICT_PAUSE_SECONDS)


def read_rules(artifacts: Artifacts, last_round: int | None) -> Iterator[Document]:
    """What the rules beside the training, or its last round, said at last.

    What isn't readable is left out, as one that was cut off.
    """
    for name in artifacts.names(RULES_OF_ROUND.format(round=last_round) if last_round else RULES):
        if not name.endswith(".json"):
            continue
        try:
            verdict = artifacts.read(name)
        except (ArtifactMissing, ValueError):
            continue
        if isinstance(verdict, dict):
            yield verdict


def read_timings(execution_arn: str) -> dict[str, float]:
    pages = client("stepfunctions").get_paginator("get_execution_history")
    events = pages.paginate(executionArn=execution_arn, includeExecutionData=False)
    return seconds_by_state(event for page in events for event in page["events"])
