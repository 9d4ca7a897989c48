"""Register our SageMaker with MiniStack: routing, IAM actions and resources, and the two wire protocols.

The control plane speaks JSON 1.1 (`X-Amz-Target: SageMaker.<Operation>`), the runtime REST
(`POST /endpoints/<name>/invocations`); see botocore's service models `sagemaker` and `sagemaker-runtime`.
"""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

if TYPE_CHECKING:
    from localaws.sagemaker.core.request import Caller

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

SERVICE = "sagemaker"
_INVOCATIONS = re.compile(r"^/endpoints/([^/]+)/invocations$")
# The runtime's other operations, by the end of their path.
_OTHER_RUNTIME_OPERATIONS = {
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_THREADS = 32

# The member that names an operation's resource, and the resource's kind in its ARN ("Actions, resources, and condition
# keys for Amazon SageMaker" in the Service Authorization Reference).
_RESOURCE_MEMBERS = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "ModelPackageName": "model-package",
    "ModelPackageGroupName": "model-package-group",
}


def install(aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"api\.sagemaker\.", r"runtime\.sagemaker\."],
        "credential_scope": SERVICE,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    _extract_actions_and_resources(aws)
    app.SERVICE_HANDLERS[SERVICE] = _handler(aws)
    aws.when_ready(partial(_recover, aws))


def _recover(aws: EmbeddedAws) -> None:
    aws.sagemaker.recover()


def resource_arns(region: str, account: str, operation: str, request: Document) -> list[str]:
    """The ARNs of the resources that a request is about; `*` where it is about none. Pure."""
    if request.get("ResourceArn"):
        return [str(request["ResourceArn"])]
    if operation.startswith("List"):
        return ["*"]
    prefix = f"arn:aws:sagemaker:{region}:{account}:"
    named = [(kind, str(request[member])) for member, kind in _RESOURCE_MEMBERS.items() if request.get(member)]
    if operation == "CreateModelPackage" and named:
        # Its members name the group; the package itself has no name yet.
        return [f"{prefix}model-package/{_last(named[-1][1])}/*"]
    arns = [name if name.startswith("arn:") else f"{prefix}{kind}/{name}" for kind, name in named]
    return arns or ["*"]


def _last(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _extract_actions_and_resources(aws: EmbeddedAws) -> None:
    """Teach MiniStack's enforcement which action and resource a SageMaker request is about."""
    from ministack.core import iam_actions

    action_of, resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn

    def extract_iam_action(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document
    ) -> Any:
        if service == SERVICE and _INVOCATIONS.match(path):
            return "sagemaker:InvokeEndpoint"
        return action_of(service, method, path, headers, body, query_params)

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Document,
        region: str,
        account_id: str,
    ) -> Any:
        if service != SERVICE:
            return resource_of(service, method, path, headers, body, query_params, region, account_id)
        invoked = _INVOCATIONS.match(path)
        if invoked:
            return f"arn:aws:sagemaker:{aws.region}:{aws.account}:endpoint/{unquote(invoked[1])}"
        return resource_arns(aws.region, aws.account, _operation(headers), _request(body) or {})[0]

    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn


def _handler(aws: EmbeddedAws) -> Any:
    # Handlers block (a Stop waits for its job's state); they must not take the threads that Lambda runs on.
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sagemaker")
    # A model may take a minute to answer; Describe must not wait behind it.
    invocations = ThreadPoolExecutor(_THREADS, thread_name_prefix="invocation")

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, _query_params: Document) -> Response:
        invoked = _INVOCATIONS.match(path)
        caller = _caller(aws)
        loop = asyncio.get_running_loop()
        if invoked and method == "POST":
            return await loop.run_in_executor(invocations, _invoke, aws, unquote(invoked[1]), headers, body, caller)
        if path.startswith("/endpoints/") and (other := _OTHER_RUNTIME_OPERATIONS.get(path.rpartition("/")[2])):
            return _error("UnknownOperationException", f"not implemented here: {other}", 400)
        return await loop.run_in_executor(threads, _control, aws, headers, body, caller)

    return handle


def _caller(aws: EmbeddedAws) -> Caller:
    from ministack.core.iam_evaluator import caller_arn

    from localaws.sagemaker.core.request import Caller

    return Caller(arn=caller_arn(), account=aws.account, region=aws.region, source="client")


def _control(aws: EmbeddedAws, headers: dict[str, str], body: bytes, caller: Caller) -> Response:
    from localaws.sagemaker.core.errors import SageMakerError

    request = _request(body)
    if request is None:
        return _error("SerializationException", "The request body is not a JSON object.", 400)
    operation = _operation(headers)
    try:
        for resource in resource_arns(aws.region, aws.account, operation, request)[1:]:
            # The first was checked when the request came in.
            aws.sagemaker.context.platform.authorize(caller, f"sagemaker:{operation}", resource)
        answer = aws.sagemaker.handle(operation, request, caller)
    except SageMakerError as error:
        return _error(error.code, error.message, error.http_status, error.members)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, _encoded(answer)


def _invoke(aws: EmbeddedAws, name: str, headers: dict[str, str], body: bytes, caller: Caller) -> Response:
    from localaws.sagemaker.core.errors import SageMakerError
    from localaws.sagemaker.hosting.invocation import refuse_headers

    try:
        refuse_headers(headers)
        result = aws.sagemaker.invoke_endpoint(
            name,
            body,
            headers.get("content-type", "application/octet-stream"),
            headers.get("accept", "*/*"),
            headers.get("x-amzn-sagemaker-target-variant"),
            caller,
        )
    except SageMakerError as error:
        return _error(error.code, error.message, error.http_status, error.members)
    return (
        result.status,
        {
            "Content-Type": result.content_type,
            "x-Amzn-Invoked-Production-Variant": result.variant,
            **result.headers,
        },
        result.body,
    )


def _operation(headers: dict[str, str]) -> str:
    return headers.get("x-amz-target", "").rpartition(".")[2]


def _request(body: bytes) -> Document | None:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _encoded(document: Document) -> bytes:
    return json.dumps(document, default=_epoch_seconds).encode()


def _epoch_seconds(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no place in a response")


def _error(code: str, message: str, status: int, members: Document | None = None) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return (
        status,
        headers,
        json.dumps({"__type": code, "message": message, "Message": message, **(members or {})}).encode(),
    )
