"""Stopper: does once what a rule's action says when the rule has found issues in a training job.

    stop      why is written to the run's item (`stopped_by`), then the job is stopped
    notify    a message to the topic
    record    the run's item (`rule_verdicts`), as for the other two

A rule that couldn't judge (`Error`) never stops anything: it is recorded, and told to the topic unless its action is
record, since training goes on that nobody guards (of one whose action is stop, only if it does go on).

Whoever may put events can name any job in one. Of the open rules' events only the job's name counts: what has been
found is read where that job itself has written it, below its run's folder, which no other role may write. SageMaker's
own events are believed; their source begins with aws, which EventBridge takes from nobody else.

EventBridge delivers at least once, and late. So SageMaker is asked what the job is now, and the run's item what has
been done already: a job that isn't in progress, isn't this environment's, or was dealt with is left alone. What fails
is raised: Lambda tries twice more, then the event waits in the dead-letter queue. Only why a job is stopped must be
written before it is; a list that can't be written, a topic that can't be told hold up no stop.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from common import clock
from common.artifacts import ArtifactMissingError, Artifacts
from common.clients import client
from common.log import Log
from common.notification import notification
from common.refusals import is_missing
from common.run_table import BusyError, RunTable

from contract import environment, files, functions, outcomes
from contract.names import is_job_of_a_run
from contract.run_table import RULE_VERDICTS, STOPPED_BY
from contract.verdicts import ERROR, FILE_BYTES, ISSUES_FOUND, SAGEMAKER_SOURCE, WORD_LENGTH, short
from stopper.verdicts import Run, Verdict, is_one_of_several, made_by, run_of, verdicts

Document = dict[str, Any]

LOG = Log({"function": "stopper"})

IN_PROGRESS = "InProgress"
WRITES = 10
# Of all rounds together, so that the run's item stays far below the 400 KB that DynamoDB takes.
MOST_VERDICTS = 100


def handle(event: Document, _context: object) -> Document:
    """Does what the rules' actions say.

    Args:
        event: "SageMaker Training Job State Change", of SageMaker's or of the open rules'.

    Returns:
        {"training_job", "did": "Stopped" | "Recorded" | "Nothing", "because": a sentence}.
    """
    detail = detail_of(event)
    name = short(detail.get("TrainingJobName"), WORD_LENGTH)
    log = LOG.bind(training_job=name, event_id=event.get("id"))
    if (unasked := nothing_to_do(detail)) is not None:
        return answer(log, name, "Nothing", unasked)
    ours = os.environ[functions.ENVIRONMENT]
    # By its name, since the role may describe no other environment's.
    job = describe(name) if is_job_of_a_run(ours, name) else None
    if job is None:
        return answer(log, name, "Nothing", f"no run of the environment {ours} has such a training job")
    run = run_of(job)
    if run is None or run.environment != ours or not made_by(run, name):
        return answer(log, name, "Nothing", f"no run of the environment {ours} has made it")
    said = detail if event.get("source") == SAGEMAKER_SOURCE else own_word(run, name)
    if said is None:
        return answer(log, name, "Nothing", "the job itself has said nothing of the kind")
    found = [with_time(verdict) for verdict in verdicts(said, name, job)]
    if not found:
        return answer(log, name, "Nothing", "none of its rules has found issues or failed to judge")
    return act(run, job, found, log)


def detail_of(event: Any) -> Document:
    """An event's detail; empty where it has none. Anybody may put one of the open rules', of whatever shape: it must
    neither fail, nor be tried again, nor wait for a person.
    """
    detail = event.get("detail") if isinstance(event, dict) else None
    return detail if isinstance(detail, dict) else {}


def nothing_to_do(detail: Document) -> str | None:
    """Why an event's detail asks for nothing; None if it does."""
    if not isinstance(detail.get("TrainingJobName"), str):
        return "the event names no training job"
    status = detail.get("TrainingJobStatus")
    return None if status == IN_PROGRESS else f"the event says {short(status, WORD_LENGTH)}"


def own_word(run: Run, training_job: str) -> Any:
    """What the rules beside a job have found, as the job has written it; None where it has written nothing readable."""
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run.pipeline, run.run_id)
    try:
        return artifacts.read(files.verdicts(training_job), most=FILE_BYTES)
    except (ArtifactMissingError, ValueError):
        return None


def act(run: Run, job: Document, found: list[Verdict], log: Log) -> Document:
    """Records what is new, tells whom it concerns, stops the job if a rule says so and it still runs.

    Whatever keeps it from recording and telling is raised after the stop, so that Lambda tries again.
    """
    trouble: Exception | None = None
    try:
        if not note(table(run), run, found, goes_on=job["TrainingJobStatus"] == IN_PROGRESS):
            return answer(log, job["TrainingJobName"], "Nothing", f"the run table knows no run {run.run_id}")
    except (ClientError, BusyError) as error:
        trouble = error
    done = carry_out(run, job, found, log)
    if trouble:
        raise trouble
    return done


def carry_out(run: Run, job: Document, found: list[Verdict], log: Log) -> Document:
    """Stops the job if a rule says so and it still runs."""
    name, runs = job["TrainingJobName"], table(run)
    stopping = next((v for v in found if v.action == environment.STOP and v.status == ISSUES_FOUND), None)
    if stopping is None:
        return answer(log, name, "Recorded", ", ".join(verdict.name for verdict in found))
    if job["TrainingJobStatus"] != IN_PROGRESS:
        return answer(log, name, "Recorded", f"{stopping.name} came late: the job is {job['TrainingJobStatus']}")
    return stop(runs, run, job, stopping, log)


def note(runs: RunTable, run: Run, found: list[Verdict], *, goes_on: bool) -> bool:
    """Tells the topic of what is new and wants telling, and adds it to the run's `rule_verdicts`; False: no such run.

    goes_on: whether the job is in progress.

    Told before it is written down: a crash in between, or two deliveries at the very same time, tell it twice rather
    than never.

    Raises:
        BusyError: others wrote there again and again.
    """
    told: set[str] = set()
    for _ in range(WRITES):
        item = runs.read_run(run.run_id)
        if item is None:
            return False
        before = item.get(RULE_VERDICTS, [])
        known = {(verdict["training_job"], verdict["name"]) for verdict in before}
        new = [verdict for verdict in found if (verdict.training_job, verdict.name) not in known]
        for verdict in new:
            if wants_telling(verdict, goes_on) and verdict.name not in told:
                client("sns").publish(TopicArn=os.environ[functions.TOPIC_ARN], **told_of(run, verdict))
                told.add(verdict.name)
        documents = [verdict.document() for verdict in new[: max(0, MOST_VERDICTS - len(before))]]
        if not documents or runs.append_to_run(run.run_id, RULE_VERDICTS, documents, after=len(before)):
            return True
    raise BusyError(f"the verdicts of run {run.run_id} were written by others {WRITES} times in a row")


def wants_telling(verdict: Verdict, goes_on: bool) -> bool:
    """Whether the topic is told now. What stops training, or made it fail, the run's own message tells."""
    if verdict.action == environment.NOTIFY:
        return True
    return verdict.action == environment.STOP and verdict.status == ERROR and goes_on


def stop(runs: RunTable, run: Run, job: Document, verdict: Verdict, log: Log) -> Document:
    """Writes why, then stops the job. Again after a crash between the two; never for another rule's stop.

    Of a trial or a candidate only its verdict is kept: the run goes on with the others.
    """
    name, alone = verdict.training_job, not is_one_of_several(job)
    if alone and not runs.set_in_run_once(run.run_id, STOPPED_BY, verdict.document()):
        before = (runs.read_run(run.run_id) or {}).get(STOPPED_BY, {})
        if before.get("training_job") == name and before.get("name") != verdict.name:
            return answer(log, name, "Recorded", f"{before.get('name')} has stopped it already")
    try:
        client("sagemaker").stop_training_job(TrainingJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return too_late(runs, run, verdict, log, alone=alone)
    return answer(log, name, "Stopped", short(f"{verdict.name}: {verdict.reason}"))


def too_late(runs: RunTable, run: Run, verdict: Verdict, log: Log, *, alone: bool) -> Document:
    """The job has ended between the look and the stop. If it ended by itself, the rule hasn't stopped it."""
    job = describe(verdict.training_job) or {}
    status = job.get("TrainingJobStatus", "gone")
    if alone and status in ("Completed", "Failed"):
        runs.remove_from_run(run.run_id, STOPPED_BY, verdict.document())
    return answer(log, verdict.training_job, "Recorded", f"{verdict.name} came too late: the job is {status}")


def describe(name: str) -> Document | None:
    """DescribeTrainingJob; None if there is no such job."""
    try:
        found: Document = client("sagemaker").describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def with_time(verdict: Verdict) -> Verdict:
    """The managed rules don't say when they found it."""
    return verdict if verdict.at is not None else replace(verdict, at=clock.stamp())


def table(run: Run) -> RunTable:
    return RunTable(client("dynamodb"), os.environ[functions.RUN_TABLE], run.pipeline)


def told_of(run: Run, verdict: Verdict) -> Document:
    """Publish's arguments: a sentence for people, the figures for programs, attributes for subscription filters."""
    step = "" if verdict.step is None else f" at step {verdict.step}"
    said = "couldn't judge" if verdict.status == ERROR else "has found issues"
    sentence = f"{run.pipeline}: the rule {verdict.name} {said}{step}: {verdict.reason}. Run {run.run_id}."
    message = {"message": sentence, "pipeline": run.pipeline, "run_id": run.run_id, "verdict": verdict.document()}
    attributes = {"pipeline": run.pipeline, "outcome": outcomes.RUNNING, "rule": verdict.name}
    return notification(f"{run.pipeline}: {verdict.name}", message, attributes)


def answer(log: Log, training_job: str, did: str, because: str) -> Document:
    log.info("handled", did=did, because=because)
    return {"training_job": training_job, "did": did, "because": because}
