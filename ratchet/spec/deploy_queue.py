"""`deploy.queue` of pipeline.yaml: where an asynchronous endpoint's requests and answers lie, and who is told.

Sources: AsyncInferenceConfig (API reference); developer guide, "Asynchronous inference".
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from contract.endpoint_kinds import ASYNC_KIND
from ratchet.spec.data import Prefix
from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Example, Model

# MaxConcurrentInvocationsPerInstance.
MOST_CONCURRENT = 1000
_TOPIC = re.compile(r"arn:aws[a-z\-]*:sns:[a-z0-9\-]+:\d{12}:[a-zA-Z0-9_.-]+")
_RIGHT = "write arn:aws:sns:us-east-1:123456789012:answers"


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise ValueError(f"is {value!r}, which is no ARN of an SNS topic; {_RIGHT}")
    if value.endswith(".fifo"):
        raise ValueError(f"is {value!r}, a FIFO topic, to which SageMaker doesn't publish; {_RIGHT}")
    return value


Topic = Annotated[str, AfterValidator(checked(_topic)), Field(examples=["arn:aws:sns:us-east-1:123456789012:answers"])]


class Notify(Model):
    """The SNS topics that are told of answers."""

    success: Annotated[Topic | None, Field(description="Told of each request that was answered")] = None
    failure: Annotated[Topic | None, Field(description="Told of each request that wasn't")] = None

    @model_validator(mode="after")
    def _some(self) -> Notify:
        if not (self.success or self.failure):
            raise refusal("names nobody; write failure: <an SNS topic's ARN>, or leave it out")
        return self


class Queue(Model):
    """What an asynchronous endpoint is asked, and where its answers go; prefixes of the data bucket."""

    input: Annotated[
        Prefix,
        Field(description="Where the requests lie: the endpoint reads no others"),
        Example("input: churn/requests/"),
    ]
    output: Annotated[
        Prefix,
        Field(description="Where the answers go; those that failed below failed/"),
        Example("output: churn/answers/"),
    ]
    concurrency: Annotated[
        int | None,
        Field(ge=1, le=MOST_CONCURRENT, description="Requests at once of an instance; SageMaker chooses unless said"),
    ] = None
    notify: Annotated[Notify | None, Field(description="Who is told when an answer is there, or isn't")] = None


def check_queue(kind: str, queue: Queue | None) -> None:
    """Raises a refusal where a kind has no queue and needs one, or has one and can't."""
    if kind != ASYNC_KIND and queue is not None:
        raise refusal(f"is an asynchronous endpoint's, but kind is {kind}: write kind: async, or leave it out", "queue")
    if kind == ASYNC_KIND and queue is None:
        message = (
            "is required where kind is async: write queue: {input: churn/requests/, output: churn/answers/}, prefixes "
            "of the data bucket"
        )
        raise refusal(message, "queue")
