"""One asynchronous invocation: its input fetched, its model asked, its answer written, its topic told.

All of it with the model's execution role: s3:GetObject on the input, s3:PutObject on the answers, sns:Publish on the
topics ("Complete the prerequisites" of asynchronous inference, developer guide).
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.objects import Download, Objects, S3Object, TransferError
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.wire import split_s3_uri
from localaws.sagemaker.hosting import async_messages
from localaws.sagemaker.hosting.async_messages import Outcome, model_failed
from localaws.sagemaker.hosting.async_metrics import Times, notification_failed, of_invocation
from localaws.sagemaker.hosting.async_requests import inline_body, timeout
from localaws.sagemaker.hosting.endpoint_logs import LOG_GROUP
from localaws.sagemaker.hosting.fleet import NoInstanceError, RetiredError
from localaws.sagemaker.hosting.invocation import Gone, InvokeRequest, answer_of
from localaws.sagemaker.hosting.split_traffic import Fleet

MAX_PAYLOAD = 1024**3  # bytes, "up to 1 GB" (Asynchronous inference)
_MAX_ATTEMPTS = 3  # of a request whose container ends under it
_NO_TYPE = "application/octet-stream"
_NAMESPACE = "AWS/SageMaker"
_EXPIRED = "ClientError: The request was in the queue for longer than its RequestTTLSeconds."

_log = logging.getLogger(__name__)


class NotAnsweredError(Exception):
    """The request is to be tried again: what was to answer it is gone. `counts`: towards the tries that it has."""

    def __init__(self, *, counts: bool) -> None:
        super().__init__()
        self.counts = counts


@dataclass(frozen=True)
class Done:
    """An invocation that is over: what answered it (endpoint, variant, config), its instance, how it went."""

    source: tuple[str, str, str]
    instance: str
    outcome: Outcome
    times: Times


class AsyncWork:
    """Invocations, each in the thread that asks for it. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folder = context.platform.state_dir / "async"

    def recover(self) -> None:
        """After a restart: inputs that were on their way to a model are fetched anew."""
        remove(self._folder)

    def answer(self, document: Document, variant: Document, fleet: Fleet) -> None:
        """Bring a request to its end, whichever. NotAnsweredError."""
        with self._as_role(document["EndpointName"], variant["RoleArn"]) as objects:
            done = self._invoked(document, objects, variant, fleet)
            self._tell(document, variant["RoleArn"], self._written(document, objects, done))

    def expire(self, document: Document, variant: Document) -> None:
        """End a request that has waited for too long."""
        now = self._context.clock.now()
        source = (document["EndpointName"], variant["VariantName"], "")
        times = Times(backlog=now - document["ReceivedTime"])
        self._tell(document, variant["RoleArn"], Done(source, "", Outcome(_EXPIRED, counted="ExpiredRequests"), times))

    @contextmanager
    def _as_role(self, endpoint: str, role_arn: str) -> Iterator[Objects]:
        context = self._context
        credentials = context.platform.assume_role(role_arn, "SageMaker", context.arn("endpoint", endpoint))
        objects = Objects(context.wire.s3(credentials), role_arn)
        try:
            yield objects
        finally:
            objects.close()

    # --- the model

    def _invoked(self, document: Document, objects: Objects, variant: Document, fleet: Fleet) -> Done:
        times = Times(backlog=self._context.clock.now() - document["ReceivedTime"])
        started = time.monotonic()
        try:
            with self._input(document, objects) as body:
                times = replace(times, download=time.monotonic() - started)
                return self._asked(document, body, fleet, times)
        except TransferError as error:
            reason = f"ClientError: Failed to download the input: {error}"
            source = (document["EndpointName"], variant["VariantName"], "")
            return Done(source, "", Outcome(reason, counted="RequestDownloadFailures"), times)

    def _asked(self, document: Document, body: bytes | mmap, fleet: Fleet, times: Times) -> Done:
        request = InvokeRequest(
            document["EndpointName"],
            body,
            document.get("ContentType", _NO_TYPE),
            document.get("Accept", "*/*"),
            custom_attributes=document.get("CustomAttributes"),
        )
        try:
            with fleet.lease(None) as (instance, worker):
                worker.max_answer = MAX_PAYLOAD
                sent = time.monotonic()
                answer = answer_of(instance, worker, request, timeout(document))
                times = replace(times, model=time.monotonic() - sent)
        except (RetiredError, NoInstanceError) as error:
            raise NotAnsweredError(counts=False) from error
        if isinstance(answer, Gone) and document["Attempts"] + 1 < _MAX_ATTEMPTS:
            raise NotAnsweredError(counts=True)
        reason = None if 200 <= answer.status < 300 else model_failed(answer.status)
        outcome = Outcome(reason, answer.body, answer.headers.get("content-type", ""), answer.status)
        plan = instance.plan
        return Done((document["EndpointName"], plan.name, plan.config), instance.id, outcome, times)

    @contextmanager
    def _input(self, document: Document, objects: Objects) -> Iterator[bytes | mmap]:
        """The body of a request. TransferError."""
        body = inline_body(document)
        if body is not None:
            yield body
            return
        target = self._folder / uuid.uuid4().hex
        try:
            bucket, key = split_s3_uri(document["InputLocation"])
            try:
                objects.download([Download(S3Object(bucket, key), target, MAX_PAYLOAD)])
            except OSError as error:
                told = f"{document['InputLocation']} can't be written to this machine's disk: {error.strerror}"
                raise TransferError(told, type(error).__name__) from error
            with _content(target) as content:
                yield content
        finally:
            target.unlink(missing_ok=True)

    # --- what becomes of it

    def _written(self, document: Document, objects: Objects, done: Done) -> Done:
        """The invocation with its answer in S3: of a failed one only where there is a place for it, and an answer."""
        outcome = done.outcome
        place = document.get("OutputLocation" if outcome.reason is None else "FailureLocation")
        if place is None or outcome.status is None:
            return done
        started, key = time.monotonic(), document["OutputConfig"].get("KmsKeyId") or None
        try:
            objects.write(outcome.body, S3Object(*split_s3_uri(place)), outcome.content_type or _NO_TYPE, key)
        except TransferError as error:
            reason = f"{outcome.reason} And: " if outcome.reason else "ClientError: "
            reason += f"Failed to upload the answer: {error}"
            return replace(done, outcome=replace(outcome, reason=reason, counted="ResponseUploadFailures"))
        return replace(done, times=replace(done.times, upload=time.monotonic() - started))

    def _tell(self, document: Document, role_arn: str, done: Done) -> None:
        self._log(document, role_arn, done)
        data = [] if self._notified(document, role_arn, done) else [notification_failed(done.source, self._now())]
        total = self._now() - document["ReceivedTime"]
        data += of_invocation(done.source, done.outcome, replace(done.times, total=total), self._now())
        try:
            self._context.platform.put_metric_data(_NAMESPACE, data)
        except Exception:  # noqa: BLE001 - CloudWatch may be closing; the invocation is over all the same
            _log.exception("the metrics of %s are lost", document["InferenceId"])

    def _now(self) -> float:
        return self._context.clock.now()

    def _notified(self, document: Document, role_arn: str, done: Done) -> bool:
        """Whether the topic that is to be told, if there is one, was."""
        topic = async_messages.topic(document, done.outcome)
        if topic is None:
            return True
        platform = self._context.platform
        message = async_messages.notification(document, done.outcome, platform.region, self._now())
        try:
            platform.publish(role_arn, topic, json.dumps(message, separators=(",", ":")))
        except SageMakerError as error:
            self._say(document, role_arn, done, f"Failed to publish to {topic}: {error.message}")
            return False
        return True

    def _log(self, document: Document, role_arn: str, done: Done) -> None:
        times = done.times
        if done.outcome.reason:
            self._say(document, role_arn, done, done.outcome.reason)
            return
        told = {
            "ModelLatency": times.model,
            "RequestDownloadLatency": times.download,
            "ResponseUploadLatency": times.upload,
        }
        parts = [f"{name}: {(seconds or 0.0) * 1e6:.0f} us" for name, seconds in told.items()]
        self._say(document, role_arn, done, f"Inference request succeeded. {', '.join(parts)}")

    def _say(self, document: Document, role_arn: str, done: Done, text: str) -> None:
        """A line of the data log, of the instance that answered; what no instance has seen stands in none."""
        if not done.instance:
            return
        endpoint, variant, _config = done.source
        stream, now = f"{variant}/{done.instance}/data-log", self._now()
        line = async_messages.log_line(document, text, now)
        self._context.platform.telemetry_of(role_arn).put_log_events(
            LOG_GROUP + endpoint, stream, [(int(now * 1000), line)]
        )


@contextmanager
def _content(file: Path) -> Iterator[bytes | mmap]:
    """A file's content, without a copy of it in memory; an empty one can't be mapped."""
    if not file.stat().st_size:
        yield b""
        return
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as mapped:
        yield mapped
