"""Lifecycle: custom resources for the parts of a deployment that CloudFormation can't do by itself.

    Custom::Pipeline        create, update: the model package group is there; update with new code: a message to the
                            launcher; delete: takes down what runs have made
    Custom::CopiedSource    create, update: copies the code to where jobs read it
    Custom::EmptiedBucket   delete: empties a bucket, so that it can be deleted
    Custom::BuiltImage      create, update: starts an image build, which answers CloudFormation by itself; or, where it
                            couldn't, is answered for when an event tells that it has ended

It answers CloudFormation whatever happens ("Custom resource request objects", "… response objects"): silence would make
the deployment wait for its timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import boto3
from common.log import Log

from lifecycle import buckets, groups, images, pipelines, sources
from lifecycle.answer import ANSWERED_ELSEWHERE, answer, check
from lifecycle.deadline import Deadline

Document = dict[str, Any]
LOG = Log({"function": "lifecycle"})
# The part of the function's time that is kept for saying why it wasn't done.
ANSWER_SECONDS = 20


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    def get_remaining_time_in_millis(self) -> int: ...


def handle(event: Document, context: Context) -> None:
    """Does what the request asks for, and says how it went.

    Raises:
        BadRequestError: there is nobody to say it to.
    """
    if isinstance(event, Mapping) and event.get("source") == "aws.codebuild":
        _answer_for_build(event)
        return
    check(event)
    LOG.info(
        "request", type=event.get("RequestType"), resource=event.get("ResourceType"), id=event["LogicalResourceId"]
    )
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - ANSWER_SECONDS)
    try:
        physical_id = _HANDLERS[event["ResourceType"]](event, deadline)
    except Exception as error:  # noqa: BLE001 - CloudFormation must hear of every failure
        LOG.error("failed", error=repr(error))
        answer(event, "FAILED", reason=f"{type(error).__name__}: {error}")
        return
    if physical_id is not ANSWERED_ELSEWHERE:
        answer(event, "SUCCESS", physical_id=physical_id)


def _pipeline(event: Document, deadline: Deadline) -> str:
    properties = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        _stop_scaling(properties)
        pipelines.take_down(pipelines.Clients.of(boto3.client), properties, deadline)
        return str(properties["Pipeline"])
    groups.make(boto3.client("sagemaker"), properties)
    if event["RequestType"] == "Update":
        old = event["OldResourceProperties"]
        pipelines.announce_new_code(boto3.client("sqs"), boto3.client("dynamodb"), properties, old)
        if "Scaled" not in properties:
            _stop_scaling(old)
    return str(properties["Pipeline"])


def _stop_scaling(properties: Mapping[str, str]) -> None:
    """The endpoint that was scaled isn't any more, whether it is still there or not."""
    if "Scaled" in properties:
        was = pipelines.stop_scaling(boto3.client("application-autoscaling"), properties["Scaled"])
        LOG.info("scaling stopped", resource=properties["Scaled"], was_scaled=was)


def _source(event: Document, _deadline: Deadline) -> str:
    """Copies the code, which stays when the pipeline goes: the records of its runs stay, too."""
    properties = event["ResourceProperties"]
    if event["RequestType"] != "Delete":
        sources.copy(boto3.client("s3"), properties)
    return str(event["LogicalResourceId"])


def _bucket(event: Document, deadline: Deadline) -> str:
    bucket = str(event["ResourceProperties"]["Bucket"])
    if event["RequestType"] == "Delete":
        deleted = buckets.empty(boto3.client("s3"), bucket, deadline)
        LOG.info("emptied", bucket=bucket, versions=deleted)
    return bucket


def _image(event: Document, _deadline: Deadline) -> str | None:
    if event["RequestType"] == "Delete":
        return str(event["PhysicalResourceId"])
    images.start_build(boto3.client("codebuild"), boto3.client("s3"), event)
    return ANSWERED_ELSEWHERE


def _answer_for_build(event: Document) -> None:
    found = images.unanswered(boto3.client("codebuild"), event)
    LOG.info("build ended", build=event["detail"]["build-id"], answered=found is None)
    if found is not None:
        request, reason = found
        answer(request, "FAILED", reason=reason)


_HANDLERS: Mapping[str, Callable[[Document, Deadline], str | None]] = {
    "Custom::Pipeline": _pipeline,
    "Custom::CopiedSource": _source,
    "Custom::EmptiedBucket": _bucket,
    "Custom::BuiltImage": _image,
}
