"""The log lines of one run: of its training and processing jobs, and of the functions while they worked for it."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from contract import environment, names, outcomes
from contract.candidates import CANDIDATE, CANDIDATES
from contract.histories import Execution, Visit
from contract.states import ASK_CHALLENGER, ASK_CHAMPION
from ratchet import history
from ratchet.account import Account
from ratchet.runs import Run

# CloudWatch log groups that SageMaker writes to (SageMaker developer guide, "CloudWatch Logs for Amazon SageMaker AI").
JOB_GROUPS = {
    names.TUNE_STEP: "/aws/sagemaker/TrainingJobs",
    names.TRAIN_STEP: "/aws/sagemaker/TrainingJobs",
    names.COMPILE_STEP: "/aws/sagemaker/ProcessingJobs",
    names.EVALUATE_STEP: "/aws/sagemaker/ProcessingJobs",
    names.VIEW_STEP: "/aws/sagemaker/ProcessingJobs",
    names.LABELS_STEP: "/aws/sagemaker/ProcessingJobs",
    names.ANSWER_STEP: "/aws/sagemaker/TransformJobs",
    ASK_CHALLENGER.lower(): "/aws/sagemaker/TransformJobs",
    ASK_CHAMPION.lower(): "/aws/sagemaker/TransformJobs",
}
# Those that a run may have several of the kind of: which one it is, its state says.
_NAMED_BY_STATE = (names.COMPILE_STEP, names.ANSWER_STEP, ASK_CHALLENGER.lower(), ASK_CHAMPION.lower())
# As SageMaker calls the hosts of a training job ("hosts", resourceconfig.json).
_HOST, _FIRST_HOST = re.compile(r"algo-\d+"), "algo-1"
# Lines reach CloudWatch a moment after they were written.
SETTLE = timedelta(seconds=2)
POLL_SECONDS = 0.5
# What a report shows of a job that went wrong.
TAIL_LINES = 40
# Of each of many hosts.
LEAST_LINES = 10


@dataclass(frozen=True)
class Line:
    """One log event: when, of which job or function, and what."""

    at: datetime
    source: str
    message: str
    event_id: str

    def document(self) -> dict[str, str]:
        return {"at": self.at.isoformat(), "source": self.source, "message": self.message}


# What a function's log line says of every call, and its reader knows already.
_KNOWN_FIELDS = ("time", "level", "event", "function", "pipeline", "run_id")
_PLATFORM_LINES = ("START RequestId", "END RequestId", "REPORT RequestId", "INIT_START")


def for_people(message: str) -> str | None:
    """A function's structured line as `event key=value …`; None for Lambda's own lines; all others as they are."""
    if message.startswith(_PLATFORM_LINES):
        return None
    try:
        fields = json.loads(message) if message.startswith("{") else None
    except (ValueError, RecursionError):
        return message
    if not isinstance(fields, dict) or "event" not in fields:
        return message
    level = "" if fields.get("level") in (None, "INFO") else f"{fields['level']} "
    told = [f"{name}={json.dumps(value)}" for name, value in fields.items() if name not in _KNOWN_FIELDS]
    return f"{level}{fields['event']}  {' '.join(told)}".rstrip()


@dataclass(frozen=True)
class _Source:
    """A place of the run's lines: a log group, cut to a stream's prefix and a time."""

    name: str
    group: str
    stream_prefix: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def read(account: Account, run: Run, *, follow: bool, pause: Callable[[float], None] = time.sleep) -> Iterator[Line]:
    """The run's lines in the order of their time; with `follow` also those to come, until the run has ended."""
    seen: set[tuple[str, str]] = set()
    groups = functools.cache(lambda function: group_of_function(account, function))
    while True:
        execution = _execution(account, run)
        # A run whose execution isn't there is about to start, or was long ago (Step Functions forgets after 90 days).
        ended = execution.status is not None or (not execution.visits and run.outcome != outcomes.RUNNING)
        lines = [line for source in _sources(run, execution, groups) for line in _lines(account, source)]
        for line in sorted(lines, key=lambda line: line.at):
            if (line.source, line.event_id) not in seen:
                seen.add((line.source, line.event_id))
                yield line
        if not follow or ended:
            return
        pause(POLL_SECONDS)


def tail(account: Account, run: Run, state: str) -> list[Line]:
    """The last lines of the job of a state, of several hosts each one's; none where that state is no job's, or its log
    is gone."""
    job, group = (run.document.get("jobs") or {}).get(state.lower()), JOB_GROUPS.get(state.lower())
    if not isinstance(job, str) or group is None:
        return []
    client = account.client("logs")
    try:
        prefix = _streams_of(state.lower(), job)
        streams = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        found: dict[str | None, list[Line]] = {}
        for stream in (each["logStreamName"] for each in _shown(state.lower(), streams)):
            found.setdefault(_host(stream), []).extend(_last_lines(client, group, stream))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFoundException", "AccessDeniedException"):
            return []
        raise
    return _ends(found)


def _ends(of_hosts: Mapping[str | None, list[Line]]) -> list[Line]:
    """Each host's last lines, by their time: one that goes on for a moment mustn't push out what another failed of."""
    if len(of_hosts) < 2:
        return sorted((line for lines in of_hosts.values() for line in lines), key=lambda line: line.at)[-TAIL_LINES:]
    most = max(TAIL_LINES // len(of_hosts), LEAST_LINES)
    ends = [
        replace(line, message=f"{host}  {line.message}") if host else line
        for host, lines in of_hosts.items()
        for line in sorted(lines, key=lambda line: line.at)[-most:]
    ]
    return sorted(ends, key=lambda line: line.at)


def _shown(step: str, streams: list[Any]) -> list[Any]:
    """A stream a host; SageMaker Debugger's rules have jobs, and streams, of their own. Of trials, the last one's; of a
    transform job all: its containers, and what of its files was wrong."""
    if step in _NAMED_BY_STATE:
        return streams
    if step == names.TUNE_STEP:
        jobs = [one["logStreamName"].partition("/")[0] for one in streams]
        return [one for one, job in zip(streams, jobs, strict=True) if job == jobs[-1]]
    if step == names.TRAIN_STEP:
        return [one for one in streams if _host(one["logStreamName"])] or streams[:1]
    return streams[:1]


def _last_lines(client: Any, group: str, stream: str) -> list[Line]:
    source = _Source(stream, group)
    answer = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=False, limit=TAIL_LINES)
    return [_line(source, event) for event in answer["events"]]


def _streams_of(step: str, job: str) -> str:
    """What the names of a step's log streams begin with: its job's, or those of a tuning job's trials."""
    return f"{job}-" if step == names.TUNE_STEP else f"{job}/"


def of_endpoint(account: Account, endpoint: str, since: datetime, stream: str | None = None) -> list[Line]:
    """The last lines that an endpoint's containers have written since then; none where its log may not be read.

    stream: of one container alone.
    """
    source = _Source(endpoint, names.endpoint_log_group(endpoint), stream, start=since)
    try:
        lines = _lines(account, source)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return []
    return sorted(lines, key=lambda line: line.at)[-TAIL_LINES:]


def of_job(account: Account, step: str, job: str) -> list[Line]:
    """The lines that a step's job has written so far, in the order of their time."""
    return sorted(_lines(account, _Source(step, JOB_GROUPS[step], stream_prefix=f"{job}/")), key=lambda line: line.at)


def _execution(account: Account, run: Run) -> Execution:
    """The run's execution; an empty one where there is none."""
    if run.execution_arn is None:
        return Execution(())
    try:
        return history.read(account, run.execution_arn)
    except account.client("stepfunctions").exceptions.ExecutionDoesNotExist:
        return Execution(())


def _sources(run: Run, execution: Execution, groups: Callable[[str], str]) -> Iterator[_Source]:
    jobs = run.document.get("jobs") or {}
    named = {**_jobs_of(execution), **{step: name for step, name in jobs.items() if isinstance(name, str)}}
    for candidate, job in (several := _candidates(run, execution)).items():
        name = f"{names.TRAIN_STEP}-{candidate}"
        yield _Source(name, JOB_GROUPS[names.TRAIN_STEP], stream_prefix=_streams_of(names.TRAIN_STEP, job))
    if several:
        named.pop(names.TRAIN_STEP, None)
    for step, group in JOB_GROUPS.items():
        if step in named:
            yield _Source(step, group, stream_prefix=_streams_of(step, named[step]))
    for visit in execution.visits:
        function = _function(visit)
        if function:
            end = visit.exited + SETTLE if visit.exited else None
            yield _Source(visit.name, groups(function), start=visit.entered, end=end)


def _jobs_of(execution: Execution) -> dict[str, str]:
    """The jobs that the execution has started, before its record names them."""
    keys = {
        "HyperParameterTuningJobName": names.TUNE_STEP,
        "TrainingJobName": names.TRAIN_STEP,
        "ProcessingJobName": names.EVALUATE_STEP,
        "TransformJobName": names.ANSWER_STEP,
    }
    return {
        visit.name.lower() if visit.name.lower() in _NAMED_BY_STATE else step: str(visit.parameters[key])
        for visit in execution.visits
        for key, step in keys.items()
        if key in visit.parameters
    }


def _candidates(run: Run, execution: Execution) -> dict[str, str]:
    """The jobs of a run's candidates by their names, as far as they have begun; nothing of a run without them."""
    recorded = {str(one[CANDIDATE]): str(one["job"]) for one in run.document.get(CANDIDATES) or ()}
    begun = {
        str(visit.parameters["Environment"][environment.CANDIDATE]): str(visit.parameters["TrainingJobName"])
        for visit in execution.visits
        if environment.CANDIDATE in (visit.parameters.get("Environment") or ())
    }
    return {**begun, **recorded}


def _function(visit: Visit) -> str | None:
    """The Lambda function that a state invoked: its bare name, without ARN and alias."""
    name = visit.parameters.get("FunctionName") or (visit.resource if ":function:" in (visit.resource or "") else None)
    if not isinstance(name, str):
        return None
    return name.partition(":function:")[2].partition(":")[0] if ":function:" in name else name.partition(":")[0]


def group_of_function(account: Account, function: str) -> str:
    """The log group that a function writes to, as its own settings say; Lambda's usual one for one that is no more."""
    client = account.client("lambda")
    try:
        settings = client.get_function_configuration(FunctionName=function)
    except client.exceptions.ResourceNotFoundException:
        settings = {}
    return str(settings.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def _lines(account: Account, source: _Source) -> list[Line]:
    client = account.client("logs")
    request: dict[str, Any] = {"logGroupName": source.group}
    if source.stream_prefix:
        request["logStreamNamePrefix"] = source.stream_prefix
    if source.start:
        request["startTime"] = int(source.start.timestamp() * 1000)
    if source.end:
        request["endTime"] = int(source.end.timestamp() * 1000)
    try:
        pages = list(client.get_paginator("filter_log_events").paginate(**request))
    except client.exceptions.ResourceNotFoundException:
        return []
    return [_line(source, event) for page in pages for event in page["events"] if _is_of(source, event)]


def _is_of(source: _Source, event: dict[str, Any]) -> bool:
    """The prefix once more: not every AWS-like platform has that filter, and another job's lines would mislead."""
    return str(event.get("logStreamName", "")).startswith(source.stream_prefix or "")


def _line(source: _Source, event: dict[str, Any]) -> Line:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    identity = str(event.get("eventId") or f"{event['timestamp']}{event['message']}")
    return Line(at, _name(source, event), event["message"].rstrip("\n"), identity)


def _name(source: _Source, event: dict[str, Any]) -> str:
    """Where a line comes from: `tune-003` for the third trial, whose lines stand between those of others; and
    `train/algo-2` for the second of several hosts."""
    stream = str(event.get("logStreamName", ""))
    job, host = stream.partition("/")[0], _host(stream)
    name = f"{source.name}-{names.number_of_trial(job)}" if names.run_of_trial(job) else source.name
    return f"{name}/{host}" if host not in (None, _FIRST_HOST) else name


def _host(stream: str) -> str | None:
    """The host of a training job's stream, `<job>/algo-1-1700000000`; None of another's."""
    found = _HOST.match(stream.partition("/")[2])
    return found[0] if found else None
