"""A rule's status as others get it: a file beside the tensors, an event in Debugger's shape, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from contract import environment, files, times, verdicts
from toolkit.probe.layout import write_atomically
from toolkit.rules.judging import Status

# DebugRuleEvaluationStatus, API reference: StatusDetails has at most 1,024 characters.
DETAILS_LENGTH = 1024
_REASON_LENGTH = 600


@dataclass(frozen=True)
class Job:
    """The training job that is judged. name is empty outside of one; then nothing but files is written.

    verdicts: the S3 URI of the job's own word, which is believed; empty where nobody acts on it.
    """

    name: str = ""
    arn: str = ""
    pipeline: str = ""
    verdicts: str = ""

    @staticmethod
    def of(variables: Mapping[str, str]) -> Job:
        """The job that the variables of SageMaker and of the state machine describe."""
        name, arn = variables.get(environment.TRAINING_JOB, ""), variables.get("TRAINING_JOB_ARN", "")
        own_word = environment.of_this_job(environment.VERDICTS, variables) or ""
        return Job(name, arn, variables.get(environment.PIPELINE, ""), own_word)


def write(directory: Path, status: Status, delivered: bool) -> None:
    """Writes `rules/<name>.json`. delivered: EventBridge has taken the status. Raises OSError."""
    document = {**details(status), "name": status.name, "status": status.status, "action": status.action}
    text = json.dumps({**document, "delivered": delivered}, ensure_ascii=False, indent=1)
    write_atomically(path(directory, status.name), text.encode())


def path(directory: Path, name: str) -> Path:
    """`rules/<name>.json`."""
    return directory / files.RULES / f"{_file_name(name)}.json"


def details(status: Status) -> dict[str, Any]:
    """A status without its word: rule, step, value, reason, and when."""
    return {
        "rule": status.rule,
        "step": status.step,
        "value": status.value,
        "reason": status.reason,
        "at": times.text(datetime.fromtimestamp(status.at, timezone.utc)),
    }


def said(job: Job, statuses: Iterable[Status]) -> str:
    """All the job's rules, as DescribeTrainingJob lists them: an event's detail, and the job's own word."""
    return json.dumps(
        {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "TrainingJobStatus": "InProgress",
            "DebugRuleEvaluationStatuses": [_evaluation(job, status) for status in statuses],
        }
    )


def event(job: Job, detail: str) -> dict[str, Any]:
    """PutEvents' entry."""
    resources = {"Resources": [job.arn]} if job.arn else {}
    return {"Source": verdicts.SOURCE, "DetailType": verdicts.DETAIL_TYPE, "Detail": detail, **resources}


def metrics(job: Job, statuses: Iterable[Status]) -> list[dict[str, Any]]:
    """PutMetricData's MetricData: for each rule whether it found issues, and whether it couldn't judge."""
    return [_metric(job, status, name, word) for status in statuses for name, word in _COUNTED]


_COUNTED = (("IssuesFound", verdicts.ISSUES_FOUND), ("Errors", verdicts.ERROR))


def _metric(job: Job, status: Status, name: str, word: str) -> dict[str, Any]:
    whose = {"Pipeline": job.pipeline} if job.pipeline else {"TrainingJobName": job.name}
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in {**whose, "Rule": status.name}.items()],
        "Timestamp": datetime.fromtimestamp(status.at, timezone.utc),
        "Value": float(status.status == word),
        "Unit": "Count",
    }


def _evaluation(job: Job, status: Status) -> dict[str, Any]:
    told = details(status)
    text = json.dumps(told)
    if len(text) > DETAILS_LENGTH:
        # ASCII alone, so that a character is one, however it is escaped.
        short = status.reason.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
        text = json.dumps({**told, "reason": short[:_REASON_LENGTH] + " …"})
    return {
        "RuleConfigurationName": status.name,
        "RuleEvaluationJobArn": job.arn,
        "RuleEvaluationStatus": status.status,
        "StatusDetails": text,
        "LastModifiedTime": int(status.at * 1000),
    }


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
