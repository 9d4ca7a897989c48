"""A pipeline's endpoint, as `status` tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contract import refusals
from contract.endpoint_kinds import ASYNC_KIND, SERVERLESS_KIND

Document = Mapping[str, Any]

_SAID = {ASYNC_KIND: "asynchronous", SERVERLESS_KIND: "serverless"}


def described(client: Any, name: str) -> dict[str, Any]:
    """The endpoint as SageMaker describes it; `status` None where there is none yet. `client` is boto3's.

    Returns:
        {"name", "status"}, and of one that is there "config", "failure", "kind" as pipeline.yaml says it, "instances":
        how many answer, None where it has none of its own, "shadow": the variant that sees a copy of the traffic, and
        "deploying": the config that takes the present one's place, each None where there is none.
    """
    try:
        found = client.describe_endpoint(EndpointName=name)
    except client.exceptions.ClientError as error:
        if not refusals.says_missing(error.response["Error"].get("Message")):
            raise
        return {"name": name, "status": None}
    return {
        "name": name,
        "status": found["EndpointStatus"],
        "config": found.get("EndpointConfigName"),
        "failure": found.get("FailureReason"),
        "kind": _kind(found),
        "instances": _instances(found),
        "shadow": next((one["VariantName"] for one in found.get("ShadowProductionVariants", ())), None),
        "deploying": (found.get("PendingDeploymentSummary") or {}).get("EndpointConfigName"),
    }


def _kind(found: Document) -> str:
    if "AsyncInferenceConfig" in found:
        return ASYNC_KIND
    is_serverless = any("CurrentServerlessConfig" in variant for variant in found.get("ProductionVariants", ()))
    return SERVERLESS_KIND if is_serverless else "endpoint"


def _instances(found: Document) -> int | None:
    variants = found.get("ProductionVariants", ())
    counts = [one["CurrentInstanceCount"] for one in variants if "CurrentInstanceCount" in one]
    return sum(counts) if counts else None


def sentence(endpoint: Document) -> str:
    """`local-iris-tree  InService, asynchronous, 2 instances`."""
    return f"{endpoint['name']}  {', '.join(_parts(endpoint))}"


def _parts(endpoint: Document) -> Iterator[str]:
    yield endpoint["status"] or "not created yet"
    if endpoint.get("kind") in _SAID:
        yield _SAID[endpoint["kind"]]
    count = endpoint.get("instances")
    if count is not None:
        yield f"{count} instance{'' if count == 1 else 's'}"
    if endpoint.get("shadow"):
        yield "with a shadow"
    if endpoint.get("deploying"):
        yield f"on its way to {endpoint['deploying']}"
