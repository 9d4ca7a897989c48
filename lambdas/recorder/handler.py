"""Recorder: writes what a run was and did, moves the champion, notifies, and clears away what nobody needs.

The run table's item, `record.json` beside the run's artifacts, one message to the topic. Models and endpoint configs
that neither serve, nor can be rolled back to, nor are among the last promoted ones are deleted, whichever run made
them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from common import clock
from common.artifacts import ArtifactMissingError, Artifacts
from common.clients import client
from common.log import Log
from common.refusals import is_missing
from common.run_table import RunTable
from common.state import State, judged, promoted, require_lock, settled, trained, tuned, went_back

from contract import environment, files, functions, histories, names, outcomes, triggers
from contract.batches import BATCH
from contract.candidates import CANDIDATE, CANDIDATES
from contract.run_table import UNFINISHED
from contract.states import ASK_CHALLENGER
from contract.tuning import TUNING
from contract.verdicts import FILE_BYTES
from recorder import approvals, batch_figures, documents
from recorder.housekeeping import Housekeeper
from recorder.rule_verdicts import of_debugger, said

Document = dict[str, Any]

LOG = Log({"function": "recorder"})

VERDICT_SECONDS, VERDICT_PAUSE_SECONDS = 30.0, 2.0
# Of what a training script may have written beside the tensors, so much is read: five times the rules that a job has.
MOST_VERDICTS = 100


def handle(event: Document, _context: object) -> Document:
    """Writes the run down; doing it again writes the same.

    What the run is to end as is written down first, then the champion is moved, and then the end is told: cut off
    anywhere, the launcher knows what the run came to. Whatever else fails is part of the record.

    Args:
        event: the machine's variables (`contract.states.VARIABLES`), those that a run didn't come to null; besides,
            "execution_arn", "endpoint_name", "content_prefix", "jobs": {state: the job's name}, where training goes on
            in rounds, "round" and "rounds", of several candidates "candidates", and where deployments have alarms
            of their own, "alarms": true.

    Returns:
        {"run_id", "outcome", "error" or null, "record": s3:// URI, "complete": whether all of it was done}.

    Raises:
        LockLostError: the run isn't the pipeline's running one.
    """
    run = event["run"]
    log = LOG.bind(pipeline=run["pipeline"], run_id=run["run_id"])
    table = RunTable(client("dynamodb"), os.environ[functions.RUN_TABLE], run["pipeline"])
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run["pipeline"], run["run_id"])
    record, state, trouble = conclude(event, table, artifacts)
    if run["trigger"]["kind"] == triggers.REPAIR:
        trouble += finish(run["trigger"]["detail"].get(triggers.AFTER), event, state, table, log)
    trouble += afterwards(event, state, documents.with_trouble(record, trouble), artifacts.uri(files.RECORD), log)
    told = documents.with_trouble(record, trouble)
    trouble += troubles([lambda: artifacts.write(files.RECORD, told)], log)
    record = documents.with_trouble(record, trouble)
    table.write_run(run["run_id"], record)
    answer = {"run_id": run["run_id"], "outcome": record["outcome"], "error": record.get("error")}
    log.info("recorded", **answer)
    return {**answer, "record": artifacts.uri(files.RECORD), "complete": not trouble}


def conclude(event: Document, table: RunTable, artifacts: Artifacts) -> tuple[Document, State, list[str]]:
    """Writes down what the run is to end as, then moves the champion; returns both, and what couldn't be read."""
    run_id, at, trouble = event["run"]["run_id"], clock.stamp(), documents.unscaled(event)
    move = partial(concluded, event=event, at=at, retain=int(os.environ[functions.RETAINED_CHAMPIONS]))
    record = documents.run_record(
        event,
        begun=table.read_run(run_id) or {},
        state=move(table.read_state()),
        **found(event, artifacts, trouble),
        at=at,
    )
    table.write_ending_run(run_id, record)
    _, state = table.update(move)
    return record, state, trouble


def found(event: Document, artifacts: Artifacts, trouble: list[str]) -> Document:
    """What the run has left: its evaluation, its rules' verdicts, its times. What can't be read is `trouble`, no more:
    a model that serves is champion, whatever of its story is missing.
    """

    def read(look: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return look()
        except (ClientError, ValueError) as error:
            trouble.append(str(error))
            return otherwise

    return {
        "evaluation": read(lambda: read_evaluation(artifacts), None) if event["evaluation"] else None,
        "rules": read(lambda: verdicts(artifacts, event), []) if event["training"] else [],
        "timings": read(lambda: read_timings(event["execution_arn"]), {}),
        "trials": read(lambda: read_trials(artifacts), []) if event.get(TUNING) else [],
        "batch": read(lambda: batch_figures.answered(event, artifacts), event.get(BATCH)),
    }


def concluded(state: State, *, event: Document, at: str, retain: int) -> State:
    """The pipeline's state after the run; the last `retain` promoted models are kept."""
    run_id, outcome = event["run"]["run_id"], documents.outcome(event)
    require_lock(state, run_id)
    goes_back = event["run"]["trigger"]["kind"] == triggers.ROLLBACK
    if outcome == outcomes.PROMOTED:
        move = went_back if goes_back else promoted
        state = move(state, run_id, documents.champion(event, at), retain)
    state = with_tuning(state, event, at)
    # What was rolled back or failed is worth another try; what the gate said it would say again, and so
    # would a person. A rollback judges nothing.
    if outcome in (outcomes.PROMOTED, outcomes.NOT_BETTER, outcomes.REJECTED) and not goes_back:
        state = judged(state, run_id, event["plan"]["fingerprint"])
    # Of a failed run it isn't known whether its Plan has compared the endpoint with the champion, and put it in order.
    return state if outcome == outcomes.FAILED else settled(state)


def with_tuning(state: State, event: Document, at: str) -> State:
    """The state with what the run's tuning job has found, or with one run more that trained by what is known."""
    run_id, tuning = event["run"]["run_id"], event.get(TUNING) or {}
    if tuning.get("best"):
        job = {name: tuning.get(name) for name in ("job", "made_from", "manifests")}
        return tuned(state, run_id, {"at": at, "best": tuning["best"]["values"], "jobs": [{**job, "run_id": run_id}]})
    return trained(state, run_id) if event["training"] else state


def finish(run_id: str | None, event: Document, state: State, table: RunTable, log: Log) -> list[str]:
    """Does what follows the end of an earlier run, which was cut off before that; returns what AWS refused."""
    record = table.read_run(run_id) if run_id else None
    if record is None or UNFINISHED not in record:
        return []
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], record["pipeline"], record["run_id"])
    record = documents.finished(record)
    trouble = afterwards({**event, **documents.told(record)}, state, record, artifacts.uri(files.RECORD), log)
    trouble += troubles([lambda: artifacts.write(files.RECORD, record)], log)
    table.write_run(record["run_id"], documents.with_trouble(record, trouble))
    return trouble


def afterwards(event: Document, state: State, record: Document, uri: str, log: Log) -> list[str]:
    """Notifies and clears away; returns the failures of these.

    They don't change what the run came to, but must be seen: they become the record's error (after one that is there
    already), and the execution fails with it.
    """
    steps: list[Callable[[], object]] = [
        lambda: client("sns").publish(TopicArn=os.environ[functions.TOPIC_ARN], **documents.notification(record, uri)),
        *(partial(approve, request) for request in approvals.updates(event, record["outcome"])),
    ]
    # Of a run before that was stopped while its models were asked over HTTP, they are still there.
    asks = ASK_CHALLENGER in event["jobs"]
    if event["deployment"] or event.get("repaired") or asks or event["run"]["trigger"]["kind"] == triggers.REPAIR:
        cloudwatch = client("cloudwatch") if event.get("alarms") else None
        housekeeper = Housekeeper(client("sagemaker"), event["content_prefix"], log, cloudwatch)
        # A machine for batches says so, also of a run that has answered none.
        has_endpoint = BATCH not in event
        steps.append(lambda: housekeeper.tidy(event["endpoint_name"], state, has_endpoint=has_endpoint))
    return troubles(steps, log)


def troubles(steps: Iterable[Callable[[], object]], log: Log) -> list[str]:
    """Does each of the steps; returns what AWS refused."""
    return [cause for cause in (_trouble(step, log) for step in steps) if cause]


def approve(request: Document) -> None:
    """Changes a model package's approval; of one that somebody has deleted there is nothing to say."""
    try:
        client("sagemaker").update_model_package(**request)
    except ClientError as error:
        if not is_missing(error):
            raise


def _trouble(step: Callable[[], object], log: Log) -> str | None:
    """Does a step; returns what AWS refused it for."""
    try:
        step()
    except ClientError as error:
        log.error("afterwards", error=str(error))
        return str(error)
    return None


def read_evaluation(artifacts: Artifacts) -> Document | None:
    """The run's evaluation; None if it wrote none, or something else: Gate has failed by it, which must be recorded."""
    try:
        evaluation = artifacts.read(files.EVALUATION, most=files.EVALUATION_BYTES)
    except (ArtifactMissingError, ValueError):
        return None
    return evaluation if isinstance(evaluation, dict) else None


def read_trials(artifacts: Artifacts) -> list[Document]:
    """All trials of the run's tuning job; none where it has left no list of them."""
    try:
        document = artifacts.read(files.TRIALS)
    except ArtifactMissingError:
        return []
    return list(document["trials"])


def verdicts(artifacts: Artifacts, event: Document) -> list[Document]:
    """The rules' last verdicts: SageMaker Debugger's are told by SageMaker, the open ones' lie beside the tensors."""
    training = event["training"]
    if environment.judged_by_debugger(training["environment"]):
        return managed_verdicts(training["description"]["TrainingJobName"])
    best = (event.get(TUNING) or {}).get("best") or {}
    # A trial may be of an earlier run, whose place this one has taken.
    of_run = names.run_of_trial(best.get("job", "")) or artifacts.run_id
    return list(read_rules(replace(artifacts, run_id=of_run), tensors_of(event)))


def managed_verdicts(training_job: str) -> list[Document]:
    """SageMaker evaluates on when training has ended; what isn't decided soon is recorded as it is."""
    deadline = time.monotonic() + VERDICT_SECONDS
    while True:
        found = of_debugger(client("sagemaker").describe_training_job(TrainingJobName=training_job))
        if time.monotonic() >= deadline or not any(verdict.get("goes_on") for verdict in found):
            return found
        time.sleep(VERDICT_PAUSE_SECONDS)


def tensors_of(event: Document) -> str:
    """The folder of the tensors that the rules have judged: of the last round, of the best trial or of the chosen
    candidate."""
    best = (event.get(TUNING) or {}).get("best")
    if event.get(CANDIDATES):
        return files.of_candidate(files.TENSORS, event["decision"][CANDIDATE])
    return files.of_trial(files.TENSORS, best["job"]) if best else files.of_round(files.TENSORS, event.get("round"))


def read_rules(artifacts: Artifacts, tensors: str) -> Iterator[Document]:
    """The last verdicts of the rules beside the training, its last round or its best trial.

    One that isn't readable is left out, as one that was cut off. Of each no more is kept than a verdict may say: a
    user's script writes them, and a hundred as long as they may be are more than a function's memory.
    """
    names = [name for name in artifacts.names(files.rules_folder(tensors)) if name.endswith(".json")]
    for name in names[:MOST_VERDICTS]:
        try:
            verdict = artifacts.read(name, most=FILE_BYTES)
        except (ArtifactMissingError, ValueError):
            continue
        if isinstance(verdict, dict):
            yield said(verdict)


def read_timings(execution_arn: str) -> dict[str, float]:
    """How long the run was in each of its states so far, in seconds."""
    pages = client("stepfunctions").get_paginator("get_execution_history")
    events = pages.paginate(executionArn=execution_arn, includeExecutionData=False)
    return histories.seconds_by_state(histories.of_events([event for page in events for event in page["events"]]))
