"""Jobs on their way: a job and its container, and how the world learns of its changes; `job_engine` starts them."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.logs import JobLog
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending, JobKind
from localaws.sagemaker.jobs.spot_market import Interruption

if TYPE_CHECKING:
    from localaws.sagemaker.context import Context

INTERRUPTION = "interruption"  # the cause of an End
STOP_GRACE = 120.0  # seconds between SIGTERM and SIGKILL (StopTrainingJob, API reference)
_CHUNK = 1 << 16

Work = Callable[["Job"], Ending]


class JobFailedError(Exception):
    """The job fails for this reason (FailureReason)."""


class StopRequestedError(Exception):
    """Someone asked the job to stop before its script ran."""


class ServerClosingError(Exception):
    """The server stops: leave everything as it is, recovery will say what happened."""


@dataclass(frozen=True)
class Role:
    """A job's execution role: its credentials, and S3 as it may use it."""

    credentials: Credentials
    objects: Objects


@dataclass(frozen=True)
class Outcome:
    """How a container ended: exit code, and what made it end if it wasn't the script itself."""

    exit_code: int
    cause: str  # "script", "stop", or the cause of an `End`


@dataclass(frozen=True)
class End:
    """What ends a container from outside: SIGTERM at a time.monotonic(), SIGKILL `notice` seconds later.

    Without any notice there is no SIGTERM. None: STOP_GRACE.
    """

    at: float
    cause: str  # "stop", "max runtime", "max wait" or "interruption"
    notice: float | None = None


class Job:
    """A job on its way. Everything but `request_stop` and `abandon` belongs to the job's own thread."""

    def __init__(self, kind: JobKind, document: Document, role: Role, context: Context) -> None:
        self.kind = kind
        self.name: str = document[kind.name]
        self.document = document
        self.role = role
        self.context = context
        # A name can be used again once its job has been deleted, which may be before its files are gone.
        self.directory = context.job_dir(kind.kind, f"{self.name}-{time.time_ns()}")
        self.log = self._new_log()
        self._wake_end, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._wake_lock = threading.Lock()
        self._released = False
        self._stop_requested = threading.Event()
        self._closing = threading.Event()
        self._interruption: Interruption | None = None
        self.expiry: threading.Timer | None = None
        # What the job's thread does once the job is over, and before its files go.
        self.afterwards: Callable[[], None] = _nothing
        self.done = threading.Event()

    def move(self, secondary: str, message: str, **members: object) -> None:
        """Enter a secondary status. Raises StopRequestedError when someone has asked the job to stop."""
        self.keep_going()
        now = self.context.clock()

        def change(before: Document) -> Document:
            if before[self.kind.status] == "Stopping":
                raise StopRequestedError
            return job_documents.moved(self.kind, before, secondary, message, now, **members)

        changed = change_document(self.context, self.kind, self.name, change)
        if changed is not None:
            self.document = changed

    def keep_going(self) -> None:
        """Raise ServerClosingError or StopRequestedError when the job mustn't go on."""
        if self._closing.is_set():
            raise ServerClosingError
        if self._stop_requested.is_set():
            raise StopRequestedError

    @property
    def is_closing(self) -> bool:
        """Whether the server stops."""
        return self._closing.is_set()

    def run(self, spec: ContainerSpec, max_runtime: float, *ends: End) -> Outcome:
        """Run a container to its end, streaming its output; `max_runtime` in seconds.

        SIGTERM on a stop, an interruption or when the time is up, SIGKILL 120 s later. Raises ServerClosingError.
        """
        running = container.launch(spec)
        try:
            first = min([End(time.monotonic() + max_runtime, "max runtime"), *ends], key=lambda end: end.at)
            cause = self._follow(running, first)
            return Outcome(running.wait(), cause)
        finally:
            running.kill()
            running.output.close()
            self.log.close()

    def request_stop(self) -> None:
        """Any thread: make the job stop."""
        self._stop_requested.set()
        self._poke()

    def interrupt(self, interruption: Interruption) -> None:
        """Any thread: take the job's instance."""
        self._interruption = interruption
        self._poke()

    def without_instance(self, seconds: float) -> None:
        """Wait for an instance, in vain for `seconds`. Raises ServerClosingError and StopRequestedError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.keep_going()
            if select.select([self._wake_end], [], [], left)[0]:
                os.read(self._wake_end, _CHUNK)
        self.keep_going()

    def lose_instance(self) -> Interruption:
        """The instance is gone, with its files; the next one writes a log stream of its own. What took it."""
        taken = self._interruption or self.context.spot_market.interruption()
        self._interruption = None
        shutil.rmtree(self.directory)
        self.log = self._new_log()
        return taken

    def _new_log(self) -> JobLog:
        stream = f"{self.name}/algo-1-{int(self.context.clock())}"
        return JobLog(self.context.platform, self.kind.log_group, stream)

    def abandon(self) -> None:
        """Any thread: the server stops; end the container, change nothing else."""
        self._closing.set()
        self._poke()

    def release(self) -> None:
        """Give back what the job held on this machine."""
        with self._wake_lock:
            self._released = True
            os.close(self._wake_end)
            os.close(self._wake)
        self.role.objects.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _follow(self, running: Container, first: End) -> str:
        """Read output until its end; what ended the container. `first` does, unless something else is earlier."""
        cause, deadline = "script", first.at
        with selectors.DefaultSelector() as selector:
            selector.register(running.output, selectors.EVENT_READ)
            selector.register(self._wake_end, selectors.EVENT_READ)
            while True:
                waiting = self.log.flush_if_due()
                left = deadline - time.monotonic()
                ready = {key.fileobj for key, _ in selector.select(max(0.0, min(left, waiting or left)))}
                if running.output in ready and not self._read(running):
                    return cause
                if self._wake_end in ready:
                    os.read(self._wake_end, _CHUNK)
                if self._closing.is_set():
                    raise ServerClosingError
                if cause == "script" and (end := self._end_by_request()):
                    cause, deadline = self._terminate(running, end)
                elif time.monotonic() >= deadline:
                    if cause != "script":
                        running.kill()
                        deadline = time.monotonic() + STOP_GRACE
                    else:
                        cause, deadline = self._terminate(running, first)

    def _read(self, running: Container) -> bool:
        output = os.read(running.output.fileno(), _CHUNK)
        self.log.feed(output)
        return bool(output)

    def _end_by_request(self) -> End | None:
        if self._stop_requested.is_set():
            return End(0.0, "stop")
        if self._interruption is not None:
            return End(0.0, INTERRUPTION, self._interruption.notice)
        return None

    def _terminate(self, running: Container, end: End) -> tuple[str, float]:
        notice = STOP_GRACE if end.notice is None else end.notice
        if notice > 0:
            running.stop()
        return end.cause, time.monotonic() + notice

    def _poke(self) -> None:
        # Once released, the descriptor's number may be another file's.
        with self._wake_lock, contextlib.suppress(BlockingIOError):  # full: a wake-up is under way
            if not self._released:
                os.write(self._wake, b"x")


def change_document(
    context: Context, kind: JobKind, name: str, change: Callable[[Document], Document]
) -> Document | None:
    """Change a job's document, then tell waiters and the event bus; None when the job is gone."""
    after = context.store.update(kind.kind, name, change)
    if after is not None:
        announce(context, kind, after)
    return after


def begin_stopping(job: Job) -> None:
    """The job stops for a reason of the platform's own."""
    now = job.context.clock()
    change_document(job.context, job.kind, job.name, lambda before: job_documents.stopping(job.kind, before, now))


def announce(context: Context, kind: JobKind, document: Document) -> None:
    """Tell waiters and the event bus about a job's document."""
    context.changes.announce(kind.kind, document[kind.name])
    arn = document[kind.arn]
    context.events.state_change(kind.noun, document, arn, context.store.tags(arn))


def recover(context: Context, kind: JobKind) -> None:
    """After a restart: jobs that were under way are over, and say so; their files go."""
    now = context.clock()

    def change(before: Document) -> Document:
        failed = job_documents.failed(_cut_off(before, kind))
        return job_documents.ended(kind, before, failed, now, context.spot_market)

    for document in context.store.list(kind.kind):
        if document[kind.status] not in TERMINAL:
            change_document(context, kind, document[kind.name], change)
    shutil.rmtree(context.job_dir(kind.kind, "x").parent, ignore_errors=True)


def _cut_off(document: Document, kind: JobKind) -> str:
    phase = document.get("SecondaryStatus", document[kind.status])
    return (
        f"InternalServerError: the job was cut off in status {phase}, because the server that ran it ended. "
        "Its output, if there was any, is lost; start it again."
    )


def _nothing() -> None:
    """What most jobs do afterwards."""
