"""`deploy.serverless` of pipeline.yaml: how large a serverless endpoint's instances are, and how many there may be.

What AWS has not for serverless endpoints is refused when the file is read. Sources: ProductionVariantServerlessConfig
(API reference); developer guide, "Deploy models with Amazon SageMaker Serverless Inference", "Feature exclusions".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field, model_validator

from contract.batches import BATCH_KIND
from contract.endpoint_kinds import SERVERLESS_KIND
from ratchet.spec.errors import refusal
from ratchet.spec.fields import size
from ratchet.spec.model import Model

MOST_CONCURRENT = 200
SMALLEST, LARGEST = 1, 6
_MIB = 1024
Memory = Annotated[int, *size(SMALLEST, LARGEST, what="a serverless endpoint (by the GiB)")]
# Of an endpoint with instances: what they are, how many, what they hold.
_OF_INSTANCES = ("instance", "instance_count", "autoscale", "chain")


class Serverless(Model):
    """The size of an instance, which answers one request at a time, and how many there may be."""

    memory: Annotated[Memory, Field(description="Of an instance: 1GiB to 6GiB")] = 2
    concurrency: Annotated[
        int, Field(ge=1, le=MOST_CONCURRENT, description="Requests at once; more are refused (ThrottlingException)")
    ] = 5
    provisioned: Annotated[
        int,
        Field(ge=0, le=MOST_CONCURRENT, description="So many instances are there all the time, and cost all the time"),
    ] = 0

    @property
    def mebibytes(self) -> int:
        """SageMaker's MemorySizeInMB."""
        return self.memory * _MIB

    @model_validator(mode="after")
    def _possible(self) -> Serverless:
        if self.provisioned > self.concurrency:
            message = (
                f"is {self.provisioned}, more than concurrency, which is {self.concurrency}; SageMaker takes at most "
                "as many"
            )
            raise refusal(message, "provisioned")
        return self


def check_serverless(kind: str, serverless: Serverless | None, *, said: Collection[str]) -> None:
    """Raises a refusal for what a serverless endpoint needs not and can't have, and for an instance that's missing."""
    if kind != SERVERLESS_KIND:
        if serverless is not None:
            message = f"is a serverless endpoint's, but kind is {kind}: write kind: serverless, or leave it out"
            raise refusal(message, "serverless")
        if "instance" not in said:
            right = "ml.m5.large" if kind == BATCH_KIND else "ml.t2.medium"
            raise refusal(f"is required; write instance: {right}", "instance")
        return
    for name in _OF_INSTANCES:
        if name in said:
            message = (
                "is said, but kind is serverless, which has no instances to choose and one container (developer guide, "
                "Serverless Inference, Feature exclusions): leave it out; serverless: {memory: 2GiB} says the size"
            )
            raise refusal(message, name)
