"""What of a run's requests and grants is another's where the endpoint is asynchronous, or serverless."""

from __future__ import annotations

from contract import files
from contract.endpoint_kinds import FAILED
from infra.grants import Grant, read_objects, write_objects
from infra.workflow.requests import Document
from infra.workflow.run_grants import read_from_runs, write_runs
from infra.workflow.surroundings import Surroundings
from ratchet.spec.deploy_queue import Queue
from ratchet.spec.deploy_serverless import Serverless

_NAMED_LATER = (
    "What requests and answers are called is their senders' and SageMaker's to say; the prefixes are the spec's."
)
# Step Functions' own createEndpointConfig takes variants and no more ("Supported SageMaker AI APIs"); whether it knows
# their pools of instances is told nowhere.
_OPTIMIZED, _SDK = "sagemaker", "aws-sdk:sagemaker"
_OF_INSTANCES = ("InstanceType", "InitialInstanceCount")


def integration(at: Surroundings) -> str:
    """The integration that makes the endpoint config."""
    deploy = at.spec.deploy
    return _SDK if deploy.is_serverless or deploy.queue or deploy.instance.instead else _OPTIMIZED


def of_kind(at: Surroundings, request: Document) -> Document:
    """CreateEndpointConfig of an endpoint with instances, as the spec's kind has it."""
    deploy = at.spec.deploy
    if deploy.is_serverless:
        variants = [
            _serverless(variant, deploy.serverless or Serverless()) for variant in request["ProductionVariants"]
        ]
        return {**request, "ProductionVariants": variants}
    return {**request, "AsyncInferenceConfig": _async_inference(at, deploy.queue)} if deploy.queue else request


def held(at: Surroundings) -> list[Document]:
    """What an endpoint config holds beside its model and its instances: its content's name is made of it, too."""
    deploy = at.spec.deploy
    if deploy.is_serverless:
        return [_serverless_config(deploy.serverless or Serverless())]
    return [_async_inference(at, deploy.queue)] if deploy.queue else []


def _serverless(variant: Document, serverless: Serverless) -> Document:
    kept = {member: value for member, value in variant.items() if member not in _OF_INSTANCES}
    return {**kept, "ServerlessConfig": _serverless_config(serverless)}


def _serverless_config(serverless: Serverless) -> Document:
    provisioned = {"ProvisionedConcurrency": serverless.provisioned} if serverless.provisioned else {}
    return {"MemorySizeInMB": serverless.mebibytes, "MaxConcurrency": serverless.concurrency, **provisioned}


def _async_inference(at: Surroundings, queue: Queue) -> Document:
    place = f"s3://{at.shared.data_bucket}/{queue.output}"
    notify = queue.notify
    topics = {"SuccessTopic": notify.success, "ErrorTopic": notify.failure} if notify else {}
    told = {name: topic for name, topic in topics.items() if topic}
    output = {
        "S3OutputPath": place,
        "S3FailurePath": f"{place}{FAILED}",
        **({"NotificationConfig": told} if told else {}),
    }
    client = {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": queue.concurrency}} if queue.concurrency else {}
    return {"OutputConfig": output, **client}


# -------------------------------------------------------------------------------------------------------------- grants


def serve_queue(at: Surroundings) -> list[Grant]:
    """The hosting role's: reading requests, a run's own too, writing answers, and telling of them."""
    queue = at.spec.deploy.queue
    if queue is None:
        return []
    bucket = at.shared.data_bucket_arn
    notify = queue.notify
    topics = sorted({topic for topic in (notify.success, notify.failure) if topic}) if notify else []
    return [
        *read_objects(bucket, [queue.input], _NAMED_LATER),
        *read_from_runs(at, f"{files.VERIFYING}/*"),
        write_objects(bucket, [f"{queue.output}*"], _NAMED_LATER),
        *([Grant(actions=["sns:Publish"], resources=topics)] if topics else []),
    ]


def ask(at: Surroundings) -> list[Grant]:
    """The verifier's: asking the endpoint; of an asynchronous one with questions of its own, whose answers it clears
    away."""
    queue = at.spec.deploy.queue
    if queue is None:
        return [Grant(actions=["sagemaker:InvokeEndpoint"], resources=[at.endpoint_arn])]
    bucket = at.shared.data_bucket_arn
    return [
        Grant(actions=["sagemaker:InvokeEndpointAsync"], resources=[at.endpoint_arn]),
        write_runs(at, f"{files.VERIFYING}/*"),
        *read_objects(bucket, [queue.output], _NAMED_LATER),
        Grant(actions=["s3:DeleteObject"], resources=[f"{bucket}/{queue.output}*"], because=_NAMED_LATER),
    ]
