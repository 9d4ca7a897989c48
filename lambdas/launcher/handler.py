"""Launcher: every trigger reaches it, and it turns them into runs of one pipeline: one at a time, and none is lost.

Invoked with
    an SQS batch (event source mapping with ReportBatchItemFailures), each body one of the documents below;
    an EventBridge event: S3 "Object Created", "Step Functions Execution Status Change";
    a trigger: {"kind": "manual" | "code" | "schedule" | "rollback", "detail": {...}?, "forced": bool?,
        "supersede": bool?}; a rollback's detail names the run whose model comes back, {"to": run id}; it is answered
        with {"status": "started" | "pending", "run_id": ..., "execution_arn": ...}
        ("pending": a run is on its way, whose run_id it is; one further run follows when it ends);
    {"kind": "reconcile"}: repairs what a crash between two steps left; a schedule of 5 minutes sends it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from common import artifacts, clock, endpoints
from common.clients import client
from common.log import Log
from common.run_table import RunTable
from common.state import State, Trigger

from contract import functions, names
from launcher.launcher import Document, EndpointUnknownError, ExecutionMissingError, Launcher
from launcher.rollbacks import resolved
from launcher.triggers import Ended, Meaning, Reconcile, read

LOG = Log({"function": "launcher"})


class StateMachine:
    """The executions of one state machine. `client` is a boto3 Step Functions client."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def arn(self, run_id: str) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{run_id}"

    def start(self, run_id: str, request: Document) -> None:
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=run_id, input=json.dumps(request))
        except self._client.exceptions.ExecutionAlreadyExists:
            # The same name once ran and has ended: the start that we repeat had succeeded.
            LOG.info("already started", run_id=run_id)

    def describe(self, execution_arn: str) -> Ended | None:
        try:
            execution = self._client.describe_execution(executionArn=execution_arn)
        except self._client.exceptions.ExecutionDoesNotExist as error:
            raise ExecutionMissingError(execution_arn) from error
        if execution["status"] in ("RUNNING", "PENDING_REDRIVE"):
            return None
        return Ended(execution_arn, execution["status"], execution.get("error", ""), execution.get("cause", ""))


def new_run_id() -> str:
    """An id of its own: two runs in the same second differ."""
    return names.run_id(clock.now(), secrets.token_hex(2))


def endpoint_drift(name: str, state: State) -> str | None:
    """What is wrong with the endpoint of that name.

    Raises:
        EndpointUnknownError: AWS doesn't say.
    """
    try:
        return endpoints.drift(state, endpoints.described(client("sagemaker"), name))
    except ClientError as error:
        raise EndpointUnknownError(str(error)) from error


def launcher_from(environment: Mapping[str, str]) -> Launcher:
    pipeline = environment[functions.PIPELINE]
    return Launcher(
        pipeline=pipeline,
        table=RunTable(client("dynamodb"), environment[functions.RUN_TABLE], pipeline),
        executions=StateMachine(client("stepfunctions"), environment[functions.STATE_MACHINE_ARN]),
        drift=partial(endpoint_drift, environment[functions.ENDPOINT_NAME]),
        new_run_id=new_run_id,
        now=clock.stamp,
        log=LOG.bind(pipeline=pipeline),
    )


def handle(event: Document, _context: object) -> Document:
    """An SQS batch is answered with the messages that failed, anything else with what it led to."""
    launcher = launcher_from(os.environ)
    if "Records" in event:
        return take_batch(launcher, event["Records"], os.environ)
    meaning = _read(launcher, event, os.environ)
    return take_one(launcher, meaning)


def take_one(launcher: Launcher, meaning: Meaning) -> Document:
    """Acts on one event.

    Raises:
        Exception: AWS's own; Lambda invokes again, or the caller reads it.
    """
    if isinstance(meaning, Trigger):
        return asdict(launcher.trigger([meaning]))
    if isinstance(meaning, Ended):
        launcher.end(meaning)
    elif isinstance(meaning, Reconcile):
        launcher.reconcile()
    else:
        LOG.info("ignored", reason=meaning.reason)
    return {"status": "done"}


def take_batch(launcher: Launcher, records: list[Document], environment: Mapping[str, str]) -> Document:
    """All triggers of the batch are taken in with one write, and count as done or failed together.

    A message that comes again says that an earlier attempt broke off somewhere: what that one left is finished first.
    """
    failed: list[str] = []
    triggers: dict[str, Trigger] = {}
    if any(int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)) > 1 for record in records):
        _attempt(launcher, Reconcile(), [], failed)
    for record in records:
        message = record["messageId"]
        try:
            meaning = _read(launcher, json.loads(record["body"]), environment)
        except ValueError as error:
            LOG.error("unreadable", message_id=message, reason=str(error))
            failed.append(message)
            continue
        if isinstance(meaning, Trigger):
            triggers[message] = meaning
        else:
            _attempt(launcher, meaning, [message], failed)
    if triggers:
        _attempt(launcher, list(triggers.values()), list(triggers), failed)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _attempt(launcher: Launcher, work: Meaning | list[Trigger], messages: list[str], failed: list[str]) -> None:
    try:
        if isinstance(work, list):
            launcher.trigger(work)
        else:
            take_one(launcher, work)
    except Exception as error:  # noqa: BLE001 - the queue brings these messages again, the others are done
        LOG.error("failed", messages=messages, error=f"{type(error).__name__}: {error}")
        failed.extend(messages)


def _read(launcher: Launcher, event: Any, environment: Mapping[str, str]) -> Meaning:
    meaning = read(
        event,
        clock.stamp(),
        prefixes=json.loads(environment[functions.CHANNEL_PREFIXES]),
        state_machine_arn=environment[functions.STATE_MACHINE_ARN],
    )
    if isinstance(meaning, Trigger):
        return resolved(meaning, launcher.table, lambda uri: artifacts.is_there(client("s3"), uri), launcher.drift)
    return meaning
