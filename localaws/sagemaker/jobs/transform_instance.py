"""One instance of a transform job: its model container, and the files that it sends through it."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.containers.objects import Download, S3Object, TransferError
from localaws.sagemaker.hosting.connection import Answer, NoAnswerError
from localaws.sagemaker.hosting.instances import StartError, VariantPlan
from localaws.sagemaker.hosting.model_container import ContainerStarter
from localaws.sagemaker.hosting.worker import UnhealthyError, Worker, WorkerGoneError, WorkerTimeoutError
from localaws.sagemaker.jobs import transform_data, transform_records, transform_request
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import JobFailedError
from localaws.sagemaker.jobs.transform_records import RecordsError
from localaws.sagemaker.jobs.transform_request import DEFAULT_RETRIES, DEFAULT_TIMEOUT, MAX_PAYLOAD, MIB, Pace

# "The job will stop after 30 minutes if the container responds with a 400" (amazon-sagemaker-examples#815).
STARTUP_SECONDS = 1800.0
CLIENT, ALGORITHM = "ClientError", "AlgorithmError"
_UNHEALTHY = (
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)
_NO_ANSWER = "Unable to get response from algorithm"
_PARAMETERS_SECONDS = 60.0
_ENDING_SECONDS = 0.5  # between a container's last connection and its end
_STOP_SECONDS = 5.0  # of a container that is asked nothing any more
_MAX_TOLD = 4096  # characters of a model's error that the log is told

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class File:
    """An input object, its name below its prefix, and where its result is kept until the job is over."""

    source: S3Object
    name: str
    result: Path

    def __str__(self) -> str:
        return f"{self.source.bucket}/{self.source.key}"


class FileFailedError(Exception):
    """A file wasn't answered as a whole; `side` says whose fault it was, `told` what the log is told."""

    def __init__(self, side: str, *told: str) -> None:
        super().__init__(told[0])
        self.side, self.told = side, told


class _AwaitedLog(ContainerLog):
    """A container's log that tells when the container has said everything."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


class Instance:
    """An instance, led by one thread; `end` may be called from any."""

    def __init__(self, job: Job, identity: str, plan: VariantPlan, starter: ContainerStarter) -> None:
        context, role = job.context, job.role
        self._job, self._id, self._plan, self._starter = job, identity, plan, starter
        self._stream = f"{job.name}/{identity}-{int(context.clock.now())}"
        self._logged_to = (context.platform.telemetry_of(role.objects.role_arn), context.clock, job.kind.log_group)
        self._outputs: list[_AwaitedLog] = []
        self._data_log = ContainerLog(*self._logged_to, f"{self._stream}/data-log")
        self._worker: Worker | None = None
        client = job.document.get("ModelClientConfig", {})
        self._timeout = float(client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT))
        self._attempts = 1 + client.get("InvocationsMaxRetries", DEFAULT_RETRIES)
        self._processing = transform_data.processing_of(job.document)

    def work(self, waiting: deque[File]) -> list[FileFailedError]:
        """Start the container and take files until none is left; those that failed.

        Raises JobFailedError, StopRequestedError or ServerClosingError.
        """
        worker = self._started()
        pace = self._agreed(worker)
        self._say(str(pace))
        failed = []
        while waiting:
            try:
                file = waiting.popleft()
            except IndexError:  # another instance took the last
                break
            try:
                self._transform(worker, pace, file)
            except FileFailedError as error:
                failed.append(error)
                file.result.unlink(missing_ok=True)
                for line in error.told:
                    self._say(f"{file}: {line}")
        return failed

    def end(self) -> None:
        """End the container, at once where it answers a request still."""
        if self._worker is not None:
            self._worker.stop(0.0 if self._job.signals.is_stopping else _STOP_SECONDS)
            for output in self._outputs:
                output.closed.wait(_STOP_SECONDS)

    def _new_output(self, suffix: str) -> ContainerLog:
        self._outputs.append(_AwaitedLog(*self._logged_to, self._stream + suffix))
        return self._outputs[-1]

    def _say(self, text: str) -> None:
        moment = datetime.fromtimestamp(self._job.context.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self._data_log.say(f"{moment}:[sagemaker logs]: {text}")

    def _started(self) -> Worker:
        try:
            arn = self._job.document["TransformJobArn"]
            self._worker = self._starter.start_for(arn, self._new_output, self._job.directory, self._plan, self._id)
            self._worker.max_answer = MAX_PAYLOAD * MIB
            self._worker.wait_until_healthy(STARTUP_SECONDS)
        except StartError as error:
            raise JobFailedError(f"ClientError: {error}") from error
        except UnhealthyError as error:
            self._job.signals.keep_going()
            raise JobFailedError(_UNHEALTHY) from error
        return self._worker

    def _agreed(self, worker: Worker) -> Pace:
        """The request's settings, with those that the container asks for at /execution-parameters where it does."""
        try:
            answer = worker.ask("GET", "/execution-parameters", {}, b"", _PARAMETERS_SECONDS)
        except NoAnswerError:
            return transform_request.pace(self._job.document, {})
        try:
            said = transform_request.said(answer.body) if answer.status == 200 else {}
            return transform_request.pace(self._job.document, said)
        except ValueError as error:
            raise JobFailedError(f"AlgorithmError: {error}") from error

    def _transform(self, worker: Worker, pace: Pace, file: File) -> None:
        """Answer all of a file, into `file.result`. FileFailedError."""
        local = self._job.directory / f"{self._id}.input"
        try:
            self._job.role.objects.download([Download(file.source, local)])
            file.result.parent.mkdir(parents=True, exist_ok=True)
            with _opened(local, self._job.document["TransformInput"]["CompressionType"]) as stream:
                self._answer(worker, pace, stream, file.result)
        except TransferError as error:
            raise FileFailedError(CLIENT, f"Data download failed: {error}") from error
        except (RecordsError, gzip.BadGzipFile, EOFError) as error:
            raise FileFailedError(CLIENT, str(error)) from error
        finally:
            local.unlink(missing_ok=True)

    def _answer(self, worker: Worker, pace: Pace, stream: BinaryIO, result: Path) -> None:
        document = self._job.document
        split, by_line = document["TransformInput"]["SplitType"], document["TransformOutput"]["AssembleWith"] == "Line"

        def answered(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
            return pair[0], self._ask(worker, pair[1])

        bodies = transform_records.bodies(stream, split, pace.strategy, pace.limit)
        # Seen here and not where it is asked: one is made ready while the model answers another.
        pairs = ((body, self._processing.seen(body)) for body in bodies)
        with result.open("wb") as output:
            for body, answer in in_order(answered, pairs, pace.concurrent):
                written = self._processing.written(body, answer)
                output.write(written)
                if by_line and not written.endswith(b"\n"):
                    output.write(b"\n")

    def _ask(self, worker: Worker, body: bytes) -> bytes:
        """The model's answer; what doesn't answer is asked again, as often as the request says. FileFailedError."""
        failure = FileFailedError(ALGORITHM, _NO_ANSWER)
        headers = transform_request.headers(self._job.document)
        for _ in range(self._attempts):
            self._job.signals.keep_going()
            try:
                answer = worker.ask("POST", "/invocations", headers, body, self._timeout)
            except WorkerTimeoutError:
                continue
            except WorkerGoneError as error:
                self._check_alive(worker, error)
                continue
            except NoAnswerError as error:  # too large, or none of HTTP's
                raise FileFailedError(ALGORITHM, str(error)) from error
            if 200 <= answer.status < 300:
                return answer.body
            failure = _bad_status(answer)
            if failure.side == CLIENT:
                break
        raise failure

    def _check_alive(self, worker: Worker, error: WorkerGoneError) -> None:
        """Fail the job where the container has ended."""
        self._job.signals.keep_going()
        try:
            code = worker.process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return
        self._job.signals.keep_going()
        raise JobFailedError(f"AlgorithmError: the model container ended with exit code {code}") from error


def _bad_status(answer: Answer) -> FileFailedError:
    """An answer that isn't one, as AWS's data log tells it."""
    side = CLIENT if 400 <= answer.status < 500 else ALGORITHM
    title = (
        f"{CLIENT}: {answer.status}" if side == CLIENT else f"Bad HTTP status received from algorithm: {answer.status}"
    )
    text = answer.body[: 4 * _MAX_TOLD].decode("utf-8", "replace")[:_MAX_TOLD]
    return FileFailedError(side, title, "", "Message:", *text.splitlines())


def _opened(path: Path, compression: str) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if compression == "Gzip" else path.open("rb")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Result]:
    """The results of `work`, `at_once` items at a time, in the items' order.

    One more item than that waits, so that nothing idles while a result is looked at; no more than these are held.
    """
    with ThreadPoolExecutor(at_once) as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) > at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
