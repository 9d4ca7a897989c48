"""InvokeEndpoint: one request to one instance, its answer or AWS's error, and its metrics."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from mmap import mmap

from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.errors import SageMakerError, not_supported
from localaws.sagemaker.hosting.chain import Chain, Link, PassedTooMuchError
from localaws.sagemaker.hosting.connection import Answer, NoAnswerError
from localaws.sagemaker.hosting.endpoint_logs import LOG_GROUP
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.fleet import NoInstanceError, NoVariantError, RetiredError
from localaws.sagemaker.hosting.inference_types import not_found, not_ready, oversize, throttled, wrong_type
from localaws.sagemaker.hosting.instances import FleetError, Instance, VariantPlan
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.lanes import LaneFullError, Lanes
from localaws.sagemaker.hosting.serverless_configs import MAX_BODY as SERVERLESS_BODY
from localaws.sagemaker.hosting.serverless_configs import is_serverless
from localaws.sagemaker.hosting.serverless_fleet import ThrottledError
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.split_traffic import Fleet
from localaws.sagemaker.hosting.witnesses import Exchange
from localaws.sagemaker.hosting.worker import Worker, WorkerGoneError, WorkerTimeoutError

RESPONSE_SECONDS = 60.0  # "A customer's model containers must respond to requests within 60 seconds" (InvokeEndpoint)
MAX_BODY = 25 * 1024 * 1024  # payload size for endpoint invocation (SageMaker endpoints and quotas)
_RECOVERY_SECONDS = 30.0  # how long a request waits for an endpoint that comes back after a restart
_RESTART_SECONDS = 5.0  # how long a request waits for an instance that is started again
_MAX_TEXT = 64 * 1024  # characters of a model's error that its caller is told

# AWS's answer where the container gave none (aws-samples/host-yolov8-on-sagemaker-endpoint#21).
_NO_STATUS = 0
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {}. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)

# What a caller and a model say to each other beside the bodies (InvokeEndpoint, CustomAttributes).
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# How a caller names its request; captured data has the name.
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
# Headers of InvokeEndpoint whose members ask for something that isn't here.
_REFUSED_HEADERS = {
    "x-amzn-sagemaker-target-model": "TargetModel",
    "x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    "x-amzn-sagemaker-inference-component": "InferenceComponentName",
    "x-amzn-sagemaker-session-id": "SessionId",
    "x-amzn-sagemaker-prefix-aware-id": "PrefixAwareId",
}


@dataclass(frozen=True)
class InvokeRequest:
    """The members of InvokeEndpoint that are honoured here."""

    endpoint: str
    body: bytes | mmap
    content_type: str = "application/octet-stream"
    accept: str = "*/*"
    target_variant: str | None = None
    custom_attributes: str | None = None
    inference_id: str | None = None
    target_container: str | None = None


@dataclass(frozen=True)
class InvokeResult:
    """The answer of a model: HTTP status, body, its content type, the variant that answered and further headers."""

    status: int
    body: bytes
    content_type: str
    variant: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """Of several containers the one that is asked, all of them unless said, and where it is noted how long each took,
    by name."""

    target: Link | None = None
    seconds: dict[str, float] | None = None


class Gone(Answer):
    """In place of an answer of a container that has ended."""


class _Refusal(Answer):
    """In place of an answer, what the platform itself says of one."""


class ModelError(SageMakerError):
    """The model answered with something else than 200."""

    def __init__(self, message: str, original_status: int, original_message: str, log_stream_arn: str) -> None:
        super().__init__("ModelError", message, 424)
        self.members = {
            "OriginalStatusCode": original_status,
            "OriginalMessage": original_message,
            "LogStreamArn": log_stream_arn,
        }


def refuse_headers(headers: Mapping[str, str]) -> None:
    """ValidationError for a header (lower case) whose member isn't supported."""
    for header, member in _REFUSED_HEADERS.items():
        if header in headers:
            raise SageMakerError("ValidationError", not_supported(f"{member} of InvokeEndpoint").message)


class Invoker:
    """The data plane. Thread-safe; an invocation blocks its thread until the model has answered."""

    def __init__(
        self, records: EndpointRecords, serving: Serving, metrics: InvocationMetrics, platform: Platform
    ) -> None:
        self._records = records
        self._serving = serving
        self._metrics = metrics
        self._platform = platform
        self._lanes = Lanes(lambda endpoint: serving.get(endpoint) is not None or records.is_coming_back(endpoint))

    def submit(self, request: InvokeRequest) -> Future[InvokeResult]:
        """Have a model asked in a thread of its endpoint. ServiceUnavailable as a SageMakerError when too many wait."""
        try:
            return self._lanes.submit(request.endpoint, len(request.body), lambda: self.invoke(request))
        except LaneFullError as error:
            raise _unavailable(str(error)) from error

    def invoke(self, request: InvokeRequest) -> InvokeResult:
        """Ask a model. Raises ModelError, or a ValidationError or ServiceUnavailable as a SageMakerError."""
        started = time.perf_counter()
        length = len(request.body)
        if length > MAX_BODY:
            raise SageMakerError("ValidationError", f"The body has {length} bytes; the limit is {MAX_BODY} bytes.")
        while True:
            deployment = self._deployment(request.endpoint)
            try:
                with deployment.lease(request.target_variant) as (instance, worker):
                    return self._ask(request, instance, worker, started)
            except RetiredError:
                continue  # an update just ended: the next look finds the new deployment
            except NoVariantError as error:
                raise SageMakerError(
                    "ValidationError", f"Endpoint {request.endpoint} has no variant {error}."
                ) from error
            except ThrottledError as error:
                raise throttled() from error
            except FleetError as error:
                raise not_ready(str(error)) from error
            except NoInstanceError as error:
                left = _RESTART_SECONDS - (time.perf_counter() - started)
                if left > 0 and deployment.wait_until_up(str(error), left):
                    continue
                raise _unavailable(f"no instance of variant {error} is up; it is being started again") from error

    def _deployment(self, endpoint: str) -> Fleet:
        deployment = self._serving.wait_for(endpoint, _RECOVERY_SECONDS, self._records.is_coming_back)
        if deployment is None:
            raise not_found(endpoint, self._platform)
        return deployment

    def _ask(self, request: InvokeRequest, instance: Instance, worker: Worker, started: float) -> InvokeResult:
        if instance.plan.is_async:
            raise wrong_type(request.endpoint, self._platform)
        if len(request.body) > SERVERLESS_BODY and is_serverless(instance.plan.source):
            raise oversize()
        variant, target = instance.plan.name, _target(request, worker)
        seconds: dict[str, float] = {}
        sent = time.perf_counter()
        answer = answer_of(instance, worker, request, RESPONSE_SECONDS, Asked(target, seconds))
        answered = time.perf_counter()
        source = (request.endpoint, variant, instance.plan.config)
        self._metrics.record(source, answer.status, answered - sent, sent - started)
        if instance.setup_seconds is not None:
            self._metrics.record_setup(source, instance.setup_seconds)
        if seconds:
            self._metrics.record_containers(source, seconds, (answer.status, sent - started) if target else None)
        if instance.plan.witnesses:
            _show(instance.plan, request, answer)
        if not 200 <= answer.status < 300:
            raise self._model_error(request.endpoint, instance, worker, answer)
        told = answer.headers.get(CUSTOM_ATTRIBUTES.lower())
        more = {} if told is None else {CUSTOM_ATTRIBUTES: told}
        return InvokeResult(answer.status, answer.body, answer.headers.get("content-type", ""), variant, more)

    def _model_error(self, endpoint: str, instance: Instance, worker: Worker, answer: Answer) -> ModelError:
        region, account = self._platform.region, self._platform.account
        side = "client" if 400 <= answer.status < 500 else "server"
        group = LOG_GROUP + endpoint
        text = answer.body[:_MAX_TEXT].decode("utf-8", "replace")
        console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        what = f'Received {side} error ({answer.status}) from {answer.container} with message "{text}".'
        message = (
            f"{text if isinstance(answer, _Refusal) else what} See {console}"
            f"#logEventViewer:group={group} in account {account} for more information."
        )
        stream = f"{instance.plan.name}/{instance.id}" + (f"/{answer.container}" if isinstance(worker, Chain) else "")
        arn = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
        return ModelError(message, answer.status, text, arn)


def _show(plan: VariantPlan, request: InvokeRequest, answer: Answer) -> None:
    """Let a variant's witnesses see an exchange."""
    exchange = Exchange(
        event_id=str(uuid.uuid4()),
        at=time.time(),
        endpoint=request.endpoint,
        variant=plan.name,
        body=bytes(request.body),
        content_type=request.content_type,
        accept=request.accept,
        answer=answer,
        custom_attributes=request.custom_attributes,
        inference_id=request.inference_id,
    )
    for witness in plan.witnesses:
        witness.saw(exchange)


def _target(request: InvokeRequest, worker: Worker) -> Link | None:
    """The container that a request names. A ValidationError where it must name one and doesn't, or the other way
    round ("Invoke a multi-container endpoint with direct invocation")."""
    name = request.target_container
    if not (isinstance(worker, Chain) and worker.is_direct):
        if name is None:
            return None
        raise SageMakerError(
            "ValidationError",
            f"Endpoint {request.endpoint} is not configured for direct invocation of a container, so "
            f"TargetContainerHostname can't be given: {name}.",
        )
    if name is None:
        raise SageMakerError(
            "ValidationError",
            f"Endpoint {request.endpoint} is configured for direct invocation: give TargetContainerHostname.",
        )
    link = worker.link(name)
    if link is None:
        raise SageMakerError(
            "ValidationError", f"Endpoint {request.endpoint} has no container with TargetContainerHostname {name}."
        )
    return link


def answer_of(
    instance: Instance, worker: Worker, request: InvokeRequest, limit: float, asked: Asked | None = None
) -> Answer:
    """The answer of the container, of the last of several or of the named one, within `limit` seconds; or what AWS
    makes of none, `Gone` where the container has ended."""
    headers = {"Content-Type": request.content_type, "Accept": request.accept}
    if request.custom_attributes is not None:
        headers[CUSTOM_ATTRIBUTES] = request.custom_attributes
    sent = time.monotonic()
    try:
        answer = _asked(worker, headers, request.body, limit, asked or Asked())
    except WorkerTimeoutError as error:
        if worker.ends_when_hung(error.container):
            _replace_if_hung(instance, worker, sent, limit)
        return Answer(_NO_STATUS, {}, _TIMED_OUT.format(error.container).encode(), error.container)
    except WorkerGoneError as error:
        instance.lost(worker)
        return Gone(500, {}, b"The container closed the connection before it answered.", error.container)
    except PassedTooMuchError as error:
        return _Refusal(_NO_STATUS, {}, str(error).encode(), error.container)
    except NoAnswerError as error:
        return Answer(_NO_STATUS, {}, str(error).encode(), error.container)
    worker.answered_at = time.monotonic()
    return answer


def _asked(worker: Worker, headers: dict[str, str], body: bytes | mmap, limit: float, asked: Asked) -> Answer:
    if asked.target is not None:
        return asked.target.invoke(headers, body, limit, asked.seconds)
    if isinstance(worker, Chain):
        return worker.through(headers, body, limit, asked.seconds)
    return worker.ask("POST", "/invocations", headers, body, limit)


def _replace_if_hung(instance: Instance, worker: Worker, sent: float, seconds: float) -> None:
    """A worker that answered others meanwhile is only slow. AWS's containers end one that took as long as this, too:
    SAGEMAKER_MODEL_SERVER_TIMEOUT is 60 s in their images."""
    if worker.answered_at < sent:
        instance.replace(worker, f"it answered no request for {seconds:g} s")


def _unavailable(why: str) -> SageMakerError:
    return SageMakerError(
        "ServiceUnavailable", f"The request has failed due to a temporary failure of the server: {why}.", 503
    )
