"""The engine: as many jobs at once as there are cores, each in a thread that leads it from start to end."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.containers import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.jobs import job_documents, job_records
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.outcomes import JobFailedError, ServerClosingError, StopRequestedError
from localaws.sagemaker.jobs.spot_market import Interruption

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0  # seconds that close() waits for a job's thread

# Runs in the thread of a job, of its kind's own sort, and says how it ended; the engine starts further jobs for it.
Work = Callable[[Any, "JobEngine"], Ending]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A job that waits for a slot, at most until its `expiry` goes off."""

    job: LedJob
    work: Work
    expiry: threading.Timer | None


class JobEngine:
    """Starts jobs as slots get free, in order, and those that have an instance of their own at once. Thread-safe."""

    def __init__(self, context: Context, slots: int | None = None) -> None:
        self.context = context
        self._slots = slots or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._running: set[LedJob] = set()  # in a slot each
        self._beside: set[LedJob] = set()  # without a slot
        self._over: set[LedJob] = set()  # whose files are still of use
        self._waiting: deque[_Waiting] = deque()
        self._closed = False

    @property
    def has_free_slot(self) -> bool:
        """Whether a job submitted now would start at once."""
        with self._lock:
            return len(self._running) < self._slots

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return self._slots

    def submit(self, job: LedJob, work: Work) -> None:
        """Start a job, now or when its turn comes."""
        if not job.takes_slot:
            self.start_now(job, work)
            return
        max_wait = job.kind.max_wait(job.document)
        expiry = None if max_wait is None else threading.Timer(max_wait, self._expire, (job,))
        with self._lock:
            self._waiting.append(_Waiting(job, work, expiry))
        if expiry is not None:
            expiry.daemon = True
            expiry.start()
        self._start_next()

    def start_now(self, job: LedJob, work: Work) -> None:
        """Start a job that takes no slot: one that the service itself makes, on an instance of its own."""
        with self._lock:
            if self._closed:
                job.done.set()
                return
            self._beside.add(job)
        self._start(job, work)

    def stop(self, kind: JobResource, name: str, notice: float | None = None) -> None:
        """Make a job stop that is in status Stopping already, whether it runs or waits; `notice` as of an `End`."""
        with self._lock:
            running = next((job for job in self._running | self._beside if _is(job, kind, name)), None)
            waiting = self._take_from_queue(lambda job: _is(job, kind, name))
        if running is not None:
            running.signals.stop(notice)
        if waiting is not None:
            self._end_unstarted(waiting, job_documents.stopped())

    def interrupt(self, kind: JobResource, name: str, interruption: Interruption) -> bool:
        """Take a running job's instance; False when it doesn't run."""
        with self._lock:
            job = next((job for job in self._running if _is(job, kind, name)), None)
        if job is not None:
            job.signals.interrupt(interruption)
        return job is not None

    def close(self) -> None:
        """End all containers; jobs stay in the store as they are."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            running = [*self._running, *self._beside, *self._over]
        for job in running:
            job.signals.close()
        container.kill_all()
        for job in running:
            job.done.wait(_CLOSE_TIMEOUT)

    def _expire(self, job: LedJob) -> None:
        """End a job for which no instance was found in time (MaxWaitTimeInSeconds); nothing if it runs already."""
        with self._lock:
            waiting = self._take_from_queue(lambda waiting: waiting is job)
        if waiting is not None:
            job_records.begin_stopping(self.context, job.kind, job.name)
            self._end_unstarted(waiting, job_documents.max_wait_exceeded())

    def _take_from_queue(self, is_wanted: Callable[[LedJob], bool]) -> LedJob | None:
        entry = next((entry for entry in self._waiting if is_wanted(entry.job)), None)
        if entry is None:
            return None
        self._waiting.remove(entry)
        return entry.job

    def _end_unstarted(self, job: LedJob, ending: Ending) -> None:
        job_records.end(self.context, job.kind, job.name, ending)
        job.release()

    def _start_next(self) -> None:
        with self._lock:
            if self._closed or not self._waiting or len(self._running) >= self._slots:
                return
            entry = self._waiting.popleft()
            self._running.add(entry.job)
        if entry.expiry is not None:
            entry.expiry.cancel()  # from here on the job looks at the time itself
        self._start(entry.job, entry.work)

    def _start(self, job: LedJob, work: Work) -> None:
        threading.Thread(target=self._run, args=(job, work), name=f"job-{job.name}", daemon=True).start()

    def _run(self, job: LedJob, work: Work) -> None:
        try:
            ending = _ending(job, lambda: work(job, self))
            job_records.end(self.context, job.kind, job.name, ending)
            self._vacate(job)
            job.afterwards()
        except ServerClosingError:
            pass
        except Exception:  # noqa: BLE001 - the slot must get free whatever happens
            _log.exception("%s could not be ended", job.name)
        finally:
            job.release()
            self._vacate(job)
            with self._lock:
                self._over.discard(job)
            job.done.set()

    def _vacate(self, job: LedJob) -> None:
        """The job is over: its slot is the next one's, though its files may be of use for a while."""
        with self._lock:
            self._running.discard(job)
            self._beside.discard(job)
            self._over.add(job)
        self._start_next()


def _ending(job: LedJob, work: Callable[[], Ending]) -> Ending:
    try:
        return work()
    except ServerClosingError:
        raise
    except StopRequestedError:
        return job_documents.stopped()
    except Exception as error:  # a fault of ours must not leave the job InProgress for ever
        if job.signals.is_closing:  # what it used was taken from it
            raise ServerClosingError from error
        if isinstance(error, JobFailedError):
            job.say(str(error))
            return job_documents.failed(str(error))
        _log.exception("%s failed", job.name)
        return job_documents.failed(f"InternalServerError: {type(error).__name__}: {error}")


def _is(job: LedJob, kind: JobResource, name: str) -> bool:
    return job.kind is kind and job.name == name
