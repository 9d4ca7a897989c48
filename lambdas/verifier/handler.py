"""Verifier: asks the endpoint real questions, and compares its answers with what the evaluation predicted.

An endpoint that is InService may still be on the old config (that is how a failed update ends), or answer nonsense.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from typing import Any

from common.artifacts import Artifacts
from common.clients import client
from common.json_values import unstorable
from common.log import Log

from contract import files, functions
from verifier.answers import same

Document = dict[str, Any]

LOG = Log({"function": "verifier"})

CONTENT_TYPE = "text/csv"
# InService is said of an endpoint whose container has just passed its first ping; its first answers may fail.
TRIES = 3
PAUSE_SECONDS = 1.0
# Of an answer, and of a model's error, in a sentence: what a state machine holds is bounded (Step Functions, "Service
# quotas": 256 KiB).
TOLD, PROBLEM = 80, 1000


class NoSamplesError(ValueError):
    """The evaluation kept no examples to ask again."""


def handle(event: Document, _context: object) -> Document:
    """Whether the endpoint serves what was evaluated.

    Args:
        event: {"endpoint_name", "endpoint_config_name", "evaluated_by": {"pipeline", "run_id"}}.

    Returns:
        {"verified", "reason", "asked"}: how many held-out examples it answered.

    Raises:
        ArtifactMissingError, NoSamplesError: there is nothing to ask.
    """
    name = event["endpoint_name"]
    wrong = wrong_endpoint(client("sagemaker").describe_endpoint(EndpointName=name), event["endpoint_config_name"])
    if wrong:
        return _answer(event, False, wrong, 0)
    samples = read_samples(event["evaluated_by"])
    runtime = client("sagemaker-runtime")
    for asked, sample in enumerate(samples):
        wrong = ask(runtime, name, sample)
        if wrong:
            return _answer(event, False, f"example {asked + 1} of {len(samples)}: {wrong}", asked)
    return _answer(event, True, f"{len(samples)} held-out examples answered as they were evaluated", len(samples))


def _answer(event: Document, verified: bool, reason: str, asked: int) -> Document:
    answer = {"verified": verified, "reason": reason, "asked": asked}
    LOG.info("verified" if verified else "not verified", **event["evaluated_by"], **answer)
    return answer


def wrong_endpoint(endpoint: Document, config: str) -> str | None:
    """The fault of the endpoint before anything is asked; None if it has none."""
    if endpoint["EndpointStatus"] != "InService":
        return f"the endpoint is {endpoint['EndpointStatus']}"
    if endpoint["EndpointConfigName"] != config:
        return f"the endpoint is on {endpoint['EndpointConfigName']}, not on {config}"
    return None


def read_samples(evaluated_by: Document) -> list[Document]:
    """The held-out examples that the evaluation asked alone: [{"body" or "body_base64", "content_type", "answer"}].

    Raises:
        ArtifactMissingError: the run has no evaluation.
        NoSamplesError: its evaluation kept none, or something else.
    """
    run = Artifacts(
        client("s3"), os.environ[functions.ARTIFACT_BUCKET], evaluated_by["pipeline"], evaluated_by["run_id"]
    )
    evaluation = run.read(files.EVALUATION, most=files.EVALUATION_BYTES)
    samples = evaluation.get("samples") if isinstance(evaluation, dict) else None
    if not samples:
        raise NoSamplesError(f"{run.uri(files.EVALUATION)} has no samples, so there is nothing to ask the endpoint")
    if not isinstance(samples, list) or not all(map(_is_sample, samples)):
        wanted = 'a list of objects with the texts "answer" and "body" or "body_base64"'
        raise NoSamplesError(f"the samples in {run.uri(files.EVALUATION)} aren't what evaluation writes: {wanted}")
    return samples


def _is_sample(sample: Any) -> bool:
    if not isinstance(sample, dict) or not {"answer"} <= sample.keys() or not {"body", "body_base64"} & sample.keys():
        return False
    told = [sample[name] for name in ("answer", "body", "body_base64", "content_type") if name in sample]
    if not all(isinstance(text, str) and not unstorable(text) for text in told):
        return False
    try:
        base64.b64decode(sample.get("body_base64", ""), validate=True)
    except ValueError:
        return False
    return True


def ask(runtime: Any, endpoint: str, sample: Document, pause: Callable[[float], None] = time.sleep) -> str | None:
    """The fault of the endpoint's answer; None if it is right. A model error is given a few tries to pass."""
    problem = None
    for attempt in range(TRIES):
        if attempt:
            pause(PAUSE_SECONDS)
        try:
            response = runtime.invoke_endpoint(
                EndpointName=endpoint,
                ContentType=sample.get("content_type", CONTENT_TYPE),
                Accept=CONTENT_TYPE,
                Body=base64.b64decode(sample["body_base64"]) if "body_base64" in sample else sample["body"],
            )
        except (runtime.exceptions.ModelError, runtime.exceptions.ServiceUnavailable) as error:
            problem = str(error)[:PROBLEM]
            continue
        answer = response["Body"].read().decode(errors="replace")
        return (
            None
            if same(answer, sample["answer"])
            else f"answered {answer.strip()[:TOLD]!r}, not {sample['answer'][:TOLD]!r}"
        )
    return problem
