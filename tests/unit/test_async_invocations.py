"""Asynchronous invocations without a server: what a request may say, what is told of it, and its time in the queue."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from quiet_platform import QuietPlatform
from test_shifts import snapshot
from waiting import until

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.clock import SystemClock
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import async_requests
from localaws.sagemaker.hosting.async_configs import check_async, check_update, concurrent
from localaws.sagemaker.hosting.async_invocations import AsyncInvocations
from localaws.sagemaker.hosting.async_messages import Outcome, notification
from localaws.sagemaker.hosting.async_metrics import of_backlog
from localaws.sagemaker.hosting.async_work import AsyncWork, NotAnsweredError
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.serving import Serving

OUTPUT = {"S3OutputPath": "s3://b/out/", "S3FailurePath": "s3://b/bad", "NotificationConfig": {"ErrorTopic": "topic"}}
HEADER = "x-amzn-sagemaker-"


class Late(SystemClock):
    """A clock that can be put forward."""

    more = 0.0

    def now(self) -> float:
        return super().now() + self.more


class Told(QuietPlatform):
    """An AWS that keeps what it was told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.messages: list[str] = []
        self.metrics: set[str] = set()

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:  # noqa: ARG002
        self.messages.append(message)

    def put_metric_data(self, namespace: str, data: list[dict[str, Any]]) -> None:  # noqa: ARG002
        self.metrics |= {datum["MetricName"] for datum in data if datum["Value"]}


@pytest.fixture
def platform(tmp_path: Path) -> Told:
    return Told(tmp_path)


@pytest.fixture
def context(platform: Told) -> Iterator[Context]:
    made = Context.open(platform)
    object.__setattr__(made, "clock", Late())
    yield made
    made.lifecycle.close()


def headers(**members: str) -> dict[str, str]:
    return {HEADER + name: value for name, value in members.items()}


def works(**methods: Any) -> SimpleNamespace:
    """Work that a test does itself."""
    return SimpleNamespace(recover=lambda: None, **methods)


def asynchronous(context: Context, serving: Serving, work: Any = None) -> tuple[EndpointRecords, AsyncInvocations]:
    """An asynchronous endpoint, `e`, whose requests a test answers."""
    records = EndpointRecords(context)
    deployed = {**snapshot("one", 1), "AsyncInferenceConfig": {"OutputConfig": OUTPUT}}
    records.create("e", "arn", deployed, {})
    records.settle("e", "InService", deployed, None)
    invocations = AsyncInvocations(context, records, serving)
    invocations._work = work or invocations._work
    return records, invocations


@pytest.mark.fidelity(
    "Endpoints",
    "RequestTTLSeconds is 60 to 21,600, InvocationTimeoutSeconds 1 to 3,600; a body or InputLocation, not both.",
    "SageMaker Runtime API, InvokeEndpointAsync",
)
@pytest.mark.parametrize(
    ("given", "body", "message"),
    [
        (headers(inputlocation="s3://b/k", requestttlseconds="59"), b"", "'requestTTLSeconds' failed to satisfy"),
        (headers(inputlocation="s3://b/k", invocationtimeoutseconds="3601"), b"", "'invocationTimeoutSeconds' failed"),
        (headers(inputlocation="s3://b/k", requestttlseconds="soon"), b"", "RequestTTLSeconds is 'soon'"),
        (headers(inputlocation="ftp://b/k"), b"", "'inputLocation' failed to satisfy"),
        (headers(**{"inference-id": " no", "inputlocation": "s3://b/k"}), b"", "'inferenceId' failed to satisfy"),
        (headers(inputlocation="s3://b/k", filename="a.b.c"), b"", "'filename' failed to satisfy"),
        (headers(inputlocation="s3://b/k"), b"1", "Provide exactly one of Body and InputLocation."),
        ({}, b"", "Provide exactly one of Body and InputLocation."),
        ({}, b"1" * 128_001, "Body has 128001 bytes; the limit is 128000 bytes. Use InputLocation."),
    ],
)
def test_a_request_that_no_endpoint_can_answer_is_refused(given: dict[str, str], body: bytes, message: str) -> None:
    with pytest.raises(SageMakerError) as refused:
        async_requests.read("e", given, body)
    assert refused.value.code == "ValidationError"
    assert message in refused.value.message


def test_answers_have_places_of_their_own() -> None:
    request = async_requests.read("e", headers(inputlocation="s3://b/k", filename="row.json"), b"")
    document = async_requests.queued(request, OUTPUT, 5.0)
    assert (document["OutputLocation"], document["FailureLocation"]) == (
        "s3://b/out/row.json",
        "s3://b/bad/row-error.json",
    )
    other = async_requests.queued(async_requests.read("e", {}, b"1"), {"S3OutputPath": "s3://b"}, 5.0)
    assert other["OutputLocation"].startswith("s3://b/")
    assert "FailureLocation" not in other
    assert async_requests.expires(other) == 21_605.0
    assert async_requests.timeout(other) == 900.0


@pytest.mark.fidelity(
    "SNS",
    "An inference's response is in its notification up to 128 KB only.",
    "SageMaker API, AsyncInferenceNotificationConfig: IncludeInferenceResponseIn",
)
def test_a_notification_brings_no_large_answer() -> None:
    notified = {"IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}
    output = {"S3OutputPath": "s3://b/out", "NotificationConfig": notified}
    document = async_requests.queued(async_requests.read("e", {}, b"1"), output, 5.0)
    small, large = (
        notification(document, Outcome(body=b"x" * size, status=200), "us-east-1", 6.0) for size in (131_072, 131_073)
    )
    assert ("responseBody" in small, "responseBody" in large) == (True, False)
    assert (small["receivedTime"], small["eventTime"]) == ("1970-01-01T00:00:05.000Z", "1970-01-01T00:00:06.000Z")


@pytest.mark.fidelity(
    "CloudWatch",
    "Without instances there is no ApproximateBacklogSizePerInstance, and HasBacklogWithoutCapacity is 1.",
    "SageMaker DG, Autoscale an asynchronous endpoint",
)
def test_a_backlog_without_instances_asks_for_some() -> None:
    without = {datum["MetricName"]: datum["Value"] for datum in of_backlog("e", 3, 2.0, 0, 1.0)}
    assert without == {
        "ApproximateBacklogSize": 3, "ApproximateAgeOfOldestRequest": 2.0, "HasBacklogWithoutCapacity": 1.0,
    }  # fmt: skip
    served = {datum["MetricName"]: datum["Value"] for datum in of_backlog("e", 3, 2.0, 2, 1.0)}
    assert (served["ApproximateBacklogSizePerInstance"], served["HasBacklogWithoutCapacity"]) == (1.5, 0.0)


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ({}, {}, "S3OutputPath is missing"),
        ({"S3OutputPath": "https://example.com/x"}, {}, "S3OutputPath of AsyncInferenceConfig: not an S3 location"),
        ({"S3OutputPath": "s3://b/k", "S3FailurePath": "s3:b"}, {}, "S3FailurePath of AsyncInferenceConfig: not an S3"),
        (OUTPUT, {"ProductionVariants": [{}, {}]}, "not supported here: AsyncInferenceConfig of several"),
        (OUTPUT, {"ProductionVariants": [{"ServerlessConfig": {}}]}, "One or more endpoint features are not supported"),
    ],
)
def test_a_config_that_no_endpoint_can_follow_is_refused(
    output: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(SageMakerError, match=message):
        check_async({"ProductionVariants": [{}], "AsyncInferenceConfig": {"OutputConfig": output}, **more})
    assert concurrent({"ClientConfig": {}}) == 4


@pytest.mark.fidelity(
    "Endpoints",
    "A request that is in the queue for longer than RequestTTLSeconds is expired, and told as failed.",
    "SageMaker Runtime API, InvokeEndpointAsync; SageMaker DG, ExpiredRequests",
)
def test_a_request_expires_in_the_queue_across_a_restart(context: Context, platform: Told) -> None:
    records = EndpointRecords(context)
    deployed = {**snapshot("one", 1), "AsyncInferenceConfig": {"OutputConfig": OUTPUT}}
    records.create("e", "arn", deployed, {})
    records.settle("e", "InService", deployed, None)
    first = AsyncInvocations(context, records, Serving())
    accepted = first.accept(async_requests.read("e", headers(requestttlseconds="60"), b"1"))
    first.close()
    again = AsyncInvocations(context, records, Serving())
    again.recover()
    until(lambda: "HasBacklogWithoutCapacity" in platform.metrics, "the backlog is told")
    assert not platform.messages
    context.clock.more = 61.0  # type: ignore[attr-defined]
    until(lambda: platform.messages, "it is told that the request is too old")
    assert accepted["InferenceId"] in platform.messages[0]
    assert "longer than its RequestTTLSeconds" in platform.messages[0]
    until(lambda: not context.store.list("async-invocation"), "the queue is empty")
    assert "ExpiredRequests" in platform.metrics
    again.close()


def test_an_input_that_a_killed_server_was_fetching_is_gone_after_a_restart(context: Context, platform: Told) -> None:
    left = platform.state_dir / "async" / "input"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"1,2")
    _, invocations = asynchronous(context, Serving())
    invocations.recover()
    assert not left.exists()
    invocations.close()


def test_an_input_that_the_disk_does_not_take_is_told(context: Context, platform: Told) -> None:
    def full(_wanted: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    work = AsyncWork(context)
    work._as_role = lambda *_: contextlib.nullcontext(SimpleNamespace(download=full))  # type: ignore[assignment]
    request = async_requests.read("e", headers(inputlocation="s3://b/k"), b"")
    document = async_requests.queued(request, OUTPUT, 5.0)
    work.answer(document, {"VariantName": "A", "RoleArn": "role"}, SimpleNamespace())  # type: ignore[arg-type]
    [told] = platform.messages
    assert "the input: s3://b/k can't be written to this machine's disk: No space left on device" in told


def test_requests_to_an_endpoint_that_is_deleted_go_with_it(context: Context, platform: Told) -> None:
    records = EndpointRecords(context)
    deployed = {**snapshot("one", 1), "AsyncInferenceConfig": {"OutputConfig": OUTPUT}}
    records.create("e", "arn", deployed, {})
    records.settle("e", "InService", deployed, None)
    invocations = AsyncInvocations(context, records, Serving())
    invocations.recover()
    invocations.accept(async_requests.read("e", {}, b"1"))
    assert context.store.list("async-invocation")
    records.remove("e")
    until(lambda: not context.store.list("async-invocation"), "the queue is gone")
    assert not platform.messages
    with pytest.raises(SageMakerError, match="Endpoint e of account 000000000000 not found"):
        invocations.accept(async_requests.read("e", {}, b"1"))
    invocations.close()


def test_a_request_that_is_with_an_endpoint_when_that_is_deleted_goes_with_it(context: Context) -> None:
    begun, deleted = threading.Event(), threading.Event()

    def answer(*_: Any) -> None:
        begun.set()
        assert deleted.wait(10)
        raise NotAnsweredError(counts=False)

    serving = Serving()
    serving.swap("e", SimpleNamespace(instance_counts=lambda: {"A": 1}, stop=lambda _grace: None))  # type: ignore[arg-type]
    records, invocations = asynchronous(context, serving, works(answer=answer))
    invocations.recover()
    invocations.accept(async_requests.read("e", {}, b"1"))
    assert begun.wait(10)
    serving.remove("e")
    records.remove("e")
    until(lambda: not invocations._lines, "the endpoint's queue is forgotten")
    deleted.set()
    until(lambda: not context.store.list("async-invocation"), "nothing is left for another endpoint of its name")
    invocations.close()


def test_what_an_endpoint_that_is_being_deleted_was_asked_is_answered_no_more(context: Context) -> None:
    records, invocations = asynchronous(context, Serving())
    invocations.recover()
    invocations.accept(async_requests.read("e", {}, b"1"))
    records.begin_deleting("e")
    until(lambda: not context.store.list("async-invocation"), "the queue is gone before the endpoint is")
    invocations.close()


def test_a_queue_that_is_too_old_as_a_whole_is_ended_by_as_many_threads_as_may_be(context: Context) -> None:
    running: set[int] = set()
    most: list[int] = []
    go_on = threading.Event()

    def expire(*_: Any) -> None:
        running.add(threading.get_ident())
        most.append(len(running))
        assert go_on.wait(10)
        running.discard(threading.get_ident())

    _, invocations = asynchronous(context, Serving(), works(expire=expire))
    for _ in range(140):
        invocations.accept(async_requests.read("e", headers(requestttlseconds="60"), b"1"))
    context.clock.more = 61.0  # type: ignore[attr-defined]
    invocations.recover()
    until(lambda: len(most) == 128, "as many as may be at once")
    go_on.set()
    until(lambda: not context.store.list("async-invocation"), "all of them")
    assert max(most) <= 128
    invocations.close()


@pytest.mark.fidelity(
    "Endpoints",
    "An asynchronous endpoint stays one: The AsyncInferenceConfig parameter cannot be removed from this endpoint.",
    "sagemaker-python-sdk#3124",
)
def test_an_asynchronous_endpoint_stays_one() -> None:
    asynchronous: dict[str, Any] = {"AsyncInferenceConfig": {"OutputConfig": OUTPUT}}
    for before, after in ((asynchronous, asynchronous), ({}, asynchronous), ({}, {})):
        check_update("e", before, after)
    with pytest.raises(SageMakerError, match="AsyncInferenceConfig parameter cannot be removed from this endpoint e"):
        check_update("e", asynchronous, {})
