"""Verifier: asks the endpoint real questions, and compares its answers with what the evaluation predicted.

An endpoint that is InService may still be on the old config (that is how a failed update ends), or answer nonsense.
Where an answer names the model package that gave it (`toolkit.signature`), it must be the new one.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError
from common import answers
from common.artifacts import Artifacts
from common.clients import client
from common.json_values import unstorable
from common.log import Log

from contract import files, functions, signatures, threshold_answers, thresholds
from verifier import queued
from verifier.questions import PROBLEM, TRIES, body, types

Document = dict[str, Any]

LOG = Log({"function": "verifier"})

# InService is said of an endpoint whose container has just passed its first ping: its first answers may fail. And the
# users of a serverless one may have all that it answers at once, for whom boto3 has waited already.
PASSING = ("ModelError", "ServiceUnavailable", "ThrottlingException")
PAUSE_SECONDS = 1.0
# A serverless endpoint has three minutes to start an instance ("Amazon SageMaker AI endpoints and quotas").
STARTING_TRIES = 120


class NoSamplesError(ValueError):
    """The evaluation kept no examples to ask again."""


def handle(event: Document, _context: object) -> Document:
    """Whether the endpoint serves what was evaluated.

    Args:
        event: {"endpoint_name", "endpoint_config_name", "model_package_arn", "evaluated_by": {"pipeline", "run_id"},
            "threshold": the text of the one that the model is served with, or null,
            "asynchronous": true, of an endpoint whose answers lie in S3}.

    Returns:
        {"verified", "reason", "asked": how many held-out examples it answered, "named": whether its answers said that
        they were the model package's}.

    Raises:
        ArtifactMissingError, NoSamplesError: there is nothing to ask.
    """
    name, package = event["endpoint_name"], event["model_package_arn"]
    wrong = _look(event)
    if wrong:
        return _answer(event, wrong, [])
    samples = read_samples(event["evaluated_by"], event.get(thresholds.KEPT))
    runtime = client("sagemaker-runtime")
    if event.get("asynchronous"):
        wrong, signers = queued.Desk(runtime, _run(event["evaluated_by"]), name).ask_all(samples, wrong_answer)
    else:
        wrong, signers = ask_all(runtime, name, samples, package)
    # An update that somebody has begun meanwhile would have been asked in part.
    return _answer(event, wrong or _look(event), signers)


def _look(event: Document) -> str | None:
    endpoint = client("sagemaker").describe_endpoint(EndpointName=event["endpoint_name"])
    return wrong_endpoint(endpoint, event["endpoint_config_name"])


def ask_all(
    runtime: Any, endpoint: str, samples: Sequence[Document], package: str
) -> tuple[str | None, list[str | None]]:
    """The first fault of the endpoint's answers, and of those that are right the model packages that they name."""
    signers: list[str | None] = []
    for sample in samples:
        wrong, signer = ask(runtime, endpoint, sample)
        wrong = wrong or wrong_signer(signer, package)
        if wrong:
            return f"example {len(signers) + 1} of {len(samples)}: {wrong}", signers
        signers.append(signer)
    return None, signers


def _answer(event: Document, wrong: str | None, signers: Sequence[str | None]) -> Document:
    answer = {
        "verified": wrong is None,
        "reason": wrong or f"{len(signers)} held-out examples answered as they were evaluated",
        "asked": len(signers),
        "named": wrong is None and set(signers) == {event["model_package_arn"]},
    }
    LOG.info("verified" if answer["verified"] else "not verified", **event["evaluated_by"], **answer)
    return answer


def wrong_endpoint(endpoint: Document, config: str) -> str | None:
    """The fault of the endpoint before anything is asked; None if it has none."""
    if endpoint["EndpointStatus"] != "InService" and not _is_being_scaled(endpoint):
        return f"the endpoint is {endpoint['EndpointStatus']}"
    if endpoint["EndpointConfigName"] != config:
        return f"the endpoint is on {endpoint['EndpointConfigName']}, not on {config}"
    return None


def _is_being_scaled(endpoint: Document) -> bool:
    """Its instances are on their way, and no other config: only then is nothing pending (DescribeEndpoint, API
    reference, PendingDeploymentSummary)."""
    return endpoint["EndpointStatus"] == "Updating" and "PendingDeploymentSummary" not in endpoint


def wrong_signer(signer: str | None, package: str) -> str | None:
    """The fault of an answer that another model gave; an answer that doesn't name its model has none."""
    return f"answered by {signer}, not by {package}" if signer not in (None, package) else None


def read_samples(evaluated_by: Document, threshold: str | None = None) -> list[Document]:
    """The held-out examples that the evaluation asked alone: [{"body" or "body_base64", "content_type", "answer"}],
    with "threshold" where the model is served with one.

    Raises:
        ArtifactMissingError: the run has no evaluation.
        NoSamplesError: its evaluation kept none, or something else.
    """
    run = _run(evaluated_by)
    evaluation = run.read(files.EVALUATION, most=files.EVALUATION_BYTES)
    samples = evaluation.get("samples") if isinstance(evaluation, dict) else None
    if not samples:
        raise NoSamplesError(f"{run.uri(files.EVALUATION)} has no samples, so there is nothing to ask the endpoint")
    if not isinstance(samples, list) or not all(map(_is_sample, samples)):
        wanted = 'a list of objects with the texts "answer" and "body" or "body_base64"'
        raise NoSamplesError(f"the samples in {run.uri(files.EVALUATION)} aren't what evaluation writes: {wanted}")
    was_told = evaluation.get(thresholds.KEPT) is not None
    return [{**sample, **_served(sample["answer"], threshold, was_told)} for sample in samples]


def _served(answer: str, threshold: str | None, was_told: bool) -> Document:
    """How a sample is to be answered: with the threshold, or, if only the evaluation was told one, the prediction."""
    if threshold is not None:
        return {thresholds.KEPT: threshold}
    evaluated = threshold_answers.parsed(answer.strip()) if was_told else None
    return {"answer": evaluated.prediction} if evaluated else {}


def _run(evaluated_by: Document) -> Artifacts:
    return Artifacts(
        client("s3"), os.environ[functions.ARTIFACT_BUCKET], evaluated_by["pipeline"], evaluated_by["run_id"]
    )


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


def ask(
    runtime: Any, endpoint: str, sample: Document, pause: Callable[[float], None] = time.sleep
) -> tuple[str | None, str | None]:
    """The fault of the endpoint's answer, None if it is right, and the model package that it names, if it names one.

    What may pass is given a few tries, and a serverless endpoint time to start.
    """
    problem, failures, starting = None, 0, 0
    while failures < TRIES and starting < STARTING_TRIES:
        if problem:
            pause(PAUSE_SECONDS)
        try:
            response = runtime.invoke_endpoint(
                EndpointName=endpoint,
                Body=body(sample),
                **types(sample),
            )
        except runtime.exceptions.ModelNotReadyException as error:
            problem, starting = str(error)[:PROBLEM], starting + 1
            continue
        except ClientError as error:
            if error.response["Error"]["Code"] not in PASSING:
                raise
            problem, failures = str(error)[:PROBLEM], failures + 1
            continue
        answer = response["Body"].read().decode(errors="replace")
        return wrong_answer(answer, sample), signatures.signer(response.get("CustomAttributes"))
    return problem, None


def wrong_answer(answer: str, sample: Document) -> str | None:
    """The fault of an answer to a sample; None if it has none."""
    return answers.wrong(answer, sample["answer"], sample.get(thresholds.KEPT))
