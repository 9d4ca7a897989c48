"""Asker: writes what the models behind HTTP are asked, and tells why one has no answers.

Before: the held-out rows without their labels, in files that a transform job sends line by line. Afterwards, where a
transform job has failed: the sentence that its logs make. A challenger that can't answer ends the run; of a champion
that can't the judge is told why, in the place of its answers.
"""

from __future__ import annotations

import os
from typing import Any

from common.artifacts import Artifacts
from common.clients import client
from common.log import Log

from asker import hearing, rows
from contract import files, functions, held_out, held_out_requests
from contract.evaluations import CANNOT_ANSWER
from contract.held_out import HeldOutError

Document = dict[str, Any]

LOG = Log({"function": "asker"})

LOG_GROUP = "/aws/sagemaker/TransformJobs"
# Of a log; the first complaint is at the beginning, and a traceback's end not far behind.
LINES = 200
_DATA_LOG = "/data-log"


class HeldOutDataError(ValueError):
    """The held-out data can't be asked line by line."""


def handle(event: Document, _context: object) -> Document:
    """What is asked, or what was heard.

    Args:
        event: {"run": the execution's input, and
            "held_out": how to read the held-out channel, "manifest": its S3 URI; or
            "answered": {"challenger", "champion"}: {"job": its name, "description": of a job that has ended,
            "wrong": {"error", "cause"} of one that couldn't be made or has failed}; null for no champion}.

    Returns:
        {"content_type", "parts", "rows"} of what is asked; {"failure": {"error", "cause"} of the run, or null where
        only the champion can't answer} of what was heard.

    Raises:
        HeldOutDataError: the held-out data can't be asked so.
    """
    run = event["run"]
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run["pipeline"], run["run_id"])
    answer = hear(event["answered"], artifacts) if "answered" in event else ask(event, artifacts)
    LOG.info("heard" if "answered" in event else "asked", pipeline=run["pipeline"], run_id=run["run_id"], **answer)
    return answer


def ask(event: Document, artifacts: Artifacts) -> Document:
    """Writes the parts and, last, their index."""
    how = held_out.from_document(event["held_out"])
    bucket, prefix, names = _channel(artifacts, event["manifest"])
    s3 = client("s3")

    def read(name: str) -> bytes:
        found = s3.get_object(Bucket=bucket, Key=f"{prefix}{name}")
        content: bytes = found["Body"].read(held_out_requests.MOST_FILE_BYTES + 1)
        held_out_requests.check_size(name, len(content))
        return content

    try:
        kind = rows.content_type(names, how)
        told = [_written(artifacts, part, kind) for part in rows.parts(names, how, read)]
    except HeldOutError as error:
        raise HeldOutDataError(f"the held-out data (s3://{bucket}/{prefix}): {error}") from error
    artifacts.write(files.ASKED_INDEX, told)
    return {"content_type": kind, "parts": len(told), "rows": sum(part["rows"] for part in told)}


def _channel(artifacts: Artifacts, uri: str) -> tuple[str, str, list[str]]:
    """The held-out channel's bucket and prefix, and its files below that, by the manifest that Plan wrote."""
    (head, *names) = artifacts.read(uri.removeprefix(artifacts.uri("")))
    bucket, _, prefix = head["prefix"].removeprefix("s3://").partition("/")
    return bucket, prefix, names


def _written(artifacts: Artifacts, part: rows.Part, kind: str) -> Document:
    artifacts.client.put_object(
        Bucket=artifacts.bucket,
        Key=artifacts.key(f"{files.ASKED}/{part.name}"),
        Body=part.text.encode(),
        ContentType=kind,
    )
    return part.told


def hear(answered: Document, artifacts: Artifacts) -> Document:
    """Why the run fails; a champion's own fault is written down for the judge, and is none of the run."""
    index = artifacts.read(files.ASKED_INDEX)
    for model in (files.CHALLENGER_INPUT, files.CHAMPION_INPUT):
        said = answered.get(model)
        if said is None or hearing.is_answered(said):
            continue
        if not hearing.is_of_the_model(said, is_champion=model == files.CHAMPION_INPUT):
            return {"failure": hearing.failure(said)}
        sentence = hearing.sentence(model, said, *_logs(said["job"]), index)
        if model == files.CHALLENGER_INPUT:
            return {"failure": {"error": "NoAnswers", "cause": sentence}}
        artifacts.write(f"{files.answers_of(model)}/{files.NO_ANSWERS}", {CANNOT_ANSWER: sentence})
    return {"failure": None}


def _logs(job: str) -> tuple[list[str], list[str]]:
    """The beginning of a job's data log, and the last lines of its container's own."""
    logs = client("logs")
    try:
        found = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return [], []
    names = [stream["logStreamName"] for stream in found]
    data, own = ([name for name in names if name.endswith(_DATA_LOG) is of_data] for of_data in (True, False))
    return _messages(data, from_head=True), _messages(own, from_head=False)


def _messages(streams: list[str], *, from_head: bool) -> list[str]:
    answers = [
        client("logs").get_log_events(
            logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=from_head, limit=LINES
        )
        for stream in streams
    ]
    return [event["message"] for answer in answers for event in answer["events"]]
