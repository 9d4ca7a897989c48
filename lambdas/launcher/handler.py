"""Launcher: every trigger reaches it, and it turns them into runs of one pipeline: one at a time, and none is lost.

Invoked with
    an SQS batch (event source mapping with ReportBatchItemFailures), each body one of the documents below;
    an EventBridge event: S3 "Object Created", "Step Functions Execution Status Change";
    a trigger: {"kind": "manual" | "drift" | "code" | "schedule" | "rollback", "detail": {...}?, "forced": bool?,
        "supersede": bool?, "tune": bool?}; a rollback's detail names the run whose model comes back, {"to": run id}; it
        is answered with {"status": "started" | "pending", "run_id": ..., "execution_arn": ...}
        ("pending": a run is on its way, whose run_id it is; one further run follows when it ends);
    where a person approves models: {"kind": "ask", …}, by which the machine of a run asks; EventBridge's "SageMaker
        Model Package State Change";
    where there is an endpoint: {"kind": "await", …}, by which the machine of a run waits for it; EventBridge's
        "SageMaker Endpoint State Change" and "SageMaker Endpoint Deployment State Change";
    {"kind": "reconcile"}: repairs what a crash between two steps left; a schedule of 5 minutes sends it.

A message that can't be read is no other's fault: it goes to the dead-letter queue at once, with the reason as its
attribute; the alarm on that queue tells the topic.
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
from common.json_values import parsed
from common.log import Log
from common.run_table import RunTable
from common.state import State, Trigger

from contract import functions, names
from launcher.approvals import Approvals
from launcher.awaiting import Awaiting, EndpointUnknownError
from launcher.dead_letters import DeadLetters
from launcher.launcher import Document, ExecutionMissingError, Launcher
from launcher.rollbacks import resolved
from launcher.triggers import (
    Asked,
    Awaits,
    BadEventError,
    Ended,
    EndpointAtRest,
    Ignored,
    Meaning,
    Ours,
    PackageChanged,
    Reconcile,
    read,
)

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

    def answer(self, token: str, output: Document) -> bool:
        """Lets the task of that token succeed; False if it waits no more."""
        gone = [getattr(self._client.exceptions, name) for name in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")]
        try:
            self._client.send_task_success(taskToken=token, output=json.dumps(output))
        except tuple(gone):
            return False
        return True


def new_run_id() -> str:
    """An id of its own: two runs in the same second differ."""
    return names.run_id(clock.now(), secrets.token_hex(2))


def endpoint_drift(name: str | None, state: State) -> str | None:
    """What is wrong with the endpoint of that name; nothing where the pipeline has none.

    Raises:
        EndpointUnknownError: AWS doesn't say.
    """
    return None if name is None else endpoints.drift(state, described(name))


def described(name: str) -> Document | None:
    """DescribeEndpoint's answer; None where there is no such endpoint.

    Raises:
        EndpointUnknownError: AWS doesn't say.
    """
    try:
        return endpoints.described(client("sagemaker"), name)
    except ClientError as error:
        raise EndpointUnknownError(str(error)) from error


def launcher_from(environment: Mapping[str, str]) -> Launcher:
    pipeline = environment[functions.PIPELINE]
    table = RunTable(client("dynamodb"), environment[functions.RUN_TABLE], pipeline)
    machine = StateMachine(client("stepfunctions"), environment[functions.STATE_MACHINE_ARN])
    return Launcher(
        pipeline=pipeline,
        table=table,
        executions=machine,
        drift=partial(endpoint_drift, environment.get(functions.ENDPOINT_NAME)),
        new_run_id=new_run_id,
        now=clock.stamp,
        log=LOG.bind(pipeline=pipeline),
        approvals=approvals_from(environment, table, machine) if functions.ENVIRONMENT in environment else None,
        awaiting=awaiting_from(environment, table, machine) if functions.ENDPOINT_NAME in environment else None,
    )


def awaiting_from(environment: Mapping[str, str], table: RunTable, machine: StateMachine) -> Awaiting:
    """What a launcher has besides where there is an endpoint."""
    log = LOG.bind(pipeline=environment[functions.PIPELINE])
    return Awaiting(table, partial(described, environment[functions.ENDPOINT_NAME]), machine.answer, log)


def approvals_from(environment: Mapping[str, str], table: RunTable, machine: StateMachine) -> Approvals:
    """What a launcher has besides where a person approves models."""
    topic, pipeline = environment[functions.TOPIC_ARN], environment[functions.PIPELINE]
    return Approvals(
        pipeline=pipeline,
        environment=environment[functions.ENVIRONMENT],
        table=table,
        sagemaker=client("sagemaker"),
        answer=machine.answer,
        publish=lambda message: client("sns").publish(TopicArn=topic, **message),
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
    elif isinstance(meaning, Asked):
        launcher.asked(meaning)
    elif isinstance(meaning, PackageChanged):
        launcher.heard(meaning.arn)
    elif isinstance(meaning, Awaits):
        launcher.awaits(meaning)
    elif isinstance(meaning, EndpointAtRest):
        launcher.endpoint_at_rest()
    else:
        LOG.info("ignored", reason=meaning.reason)
    return {"status": "done"}


def take_batch(launcher: Launcher, records: list[Document], environment: Mapping[str, str]) -> Document:
    """All triggers of the batch are taken in with one write, and count as done or failed together.

    A message that comes again says that an earlier attempt broke off somewhere: what that one left is finished first.

    Raises:
        BadEventError: these are no records of SQS's.
    """
    _check(records)
    failed: list[str] = []
    triggers: dict[str, Trigger] = {}
    if any(_came_before(record) for record in records):
        _attempt(launcher, Reconcile(), [])
    for record in records:
        message = record["messageId"]
        meaning = _meaning(launcher, record, environment)
        if isinstance(meaning, Trigger):
            triggers[message] = meaning
        elif meaning is None or not _attempt(launcher, meaning, [message]):
            failed.append(message)
    if triggers and not _attempt(launcher, list(triggers.values()), list(triggers)):
        failed.extend(triggers)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _check(records: Any) -> None:
    """Lambda's own documents are whole; who invokes by hand is told."""
    if not isinstance(records, list) or not all(_is_message(record) for record in records):
        raise BadEventError("Records is a list of SQS's messages, each with the texts messageId and body")


def _is_message(record: Any) -> bool:
    return isinstance(record, dict) and all(isinstance(record.get(name), str) for name in ("messageId", "body"))


def _came_before(record: Document) -> bool:
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, dict) else None
    return count not in (None, "1", 1)


def _meaning(launcher: Launcher, record: Document, environment: Mapping[str, str]) -> Meaning | None:
    """The message's meaning; one that has none is set aside. None where neither can be done now."""
    message = record["messageId"]
    try:
        return _read(launcher, parsed(record["body"]), environment)
    except ValueError as error:
        LOG.error("unreadable", message_id=message, reason=str(error))
        dead_letters = DeadLetters(client("sqs"), environment[functions.DEAD_LETTERS_URL], LOG)
        return Ignored("set aside") if dead_letters.put(record["body"], str(error)) else None
    except Exception as error:  # noqa: BLE001 - the queue brings this message again, the others are none the worse
        LOG.error("failed", messages=[message], error=f"{type(error).__name__}: {error}")
        return None


def _attempt(launcher: Launcher, work: Meaning | list[Trigger], messages: list[str]) -> bool:
    """Whether it was done."""
    try:
        if isinstance(work, list):
            launcher.trigger(work)
        else:
            take_one(launcher, work)
    except Exception as error:  # noqa: BLE001 - the queue brings these messages again, the others are done
        LOG.error("failed", messages=messages, error=f"{type(error).__name__}: {error}")
        return False
    return True


def _read(launcher: Launcher, event: Any, environment: Mapping[str, str]) -> Meaning:
    ours = Ours(
        bucket=environment[functions.DATA_BUCKET],
        prefixes=tuple(json.loads(environment[functions.CHANNEL_PREFIXES])),
        state_machine_arn=environment[functions.STATE_MACHINE_ARN],
        endpoint=environment.get(functions.ENDPOINT_NAME, ""),
    )
    meaning = read(event, clock.stamp(), ours)
    if isinstance(meaning, Trigger):
        may_not = launcher.approvals.refusal if launcher.approvals else None
        return resolved(meaning, launcher.table, partial(artifacts.is_there, client("s3")), launcher.drift, may_not)
    return meaning
