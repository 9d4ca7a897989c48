"""How jobs run: as many at once as there are cores, each in a thread that leads its container from start to end."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque

from localaws.sagemaker.containers import container
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job as jobs
from localaws.sagemaker.jobs import job_documents
from localaws.sagemaker.jobs.job import Job, JobFailedError, ServerClosingError, StopRequestedError, Work
from localaws.sagemaker.jobs.job_documents import Ending, JobKind
from localaws.sagemaker.jobs.spot_market import Interruption

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 5.0  # seconds that close() waits for a job's thread


class JobEngine:
    """Starts jobs as slots get free, in order, and those that have an instance of their own at once. Thread-safe."""

    def __init__(self, slots: int | None = None) -> None:
        self._slots = slots or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._running: set[Job] = set()  # in a slot each
        self._beside: set[Job] = set()  # without a slot
        self._over: set[Job] = set()  # whose files are still of use
        self._waiting: deque[tuple[Job, Work]] = deque()
        self._closed = False

    @property
    def has_free_slot(self) -> bool:
        """Whether a job submitted now would start at once."""
        with self._lock:
            return len(self._running) < self._slots

    def submit(self, job: Job, work: Work) -> None:
        """Start a job, now or when its turn comes. `work` runs in the job's thread and says how it ended."""
        with self._lock:
            self._waiting.append((job, work))
        max_wait = job_documents.max_wait(job.document)
        if max_wait is not None:
            job.expiry = threading.Timer(max_wait, self.expire, (job,))
            job.expiry.daemon = True
            job.expiry.start()
        self._start_next()

    def start_now(self, job: Job, work: Work) -> None:
        """Start a job that takes no slot: one that the service itself makes, on an instance of its own."""
        with self._lock:
            if self._closed:
                job.done.set()
                return
            self._beside.add(job)
        self._start(job, work)

    def stop(self, kind: JobKind, name: str) -> None:
        """Make a job stop that is in status Stopping already, whether it runs or waits."""
        with self._lock:
            job = next((job for job in self._running | self._beside if _is(job, kind, name)), None)
            waiting = next((entry for entry in self._waiting if _is(entry[0], kind, name)), None)
            if waiting is not None:
                self._waiting.remove(waiting)
        if job is not None:
            job.request_stop()
        if waiting is not None:
            self._end(waiting[0], job_documents.stopped())
            waiting[0].release()

    def interrupt(self, kind: JobKind, name: str, interruption: Interruption) -> bool:
        """Take a running job's instance; False when it doesn't run."""
        with self._lock:
            job = next((job for job in self._running if _is(job, kind, name)), None)
        if job is not None:
            job.interrupt(interruption)
        return job is not None

    def expire(self, job: Job) -> None:
        """End a job for which no instance was found in time (MaxWaitTimeInSeconds); nothing if it runs already."""
        with self._lock:
            waiting = next((entry for entry in self._waiting if entry[0] is job), None)
            if waiting is None:
                return
            self._waiting.remove(waiting)
        jobs.begin_stopping(job)
        self._end(job, job_documents.max_wait_exceeded())
        job.release()

    def close(self) -> None:
        """End all containers; jobs stay in the store as they are."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            running = [*self._running, *self._beside, *self._over]
        for job in running:
            job.abandon()
        container.kill_all()
        for job in running:
            job.done.wait(_CLOSE_TIMEOUT)

    def _start_next(self) -> None:
        with self._lock:
            if self._closed or not self._waiting or len(self._running) >= self._slots:
                return
            job, work = self._waiting.popleft()
            self._running.add(job)
        self._start(job, work)

    def _start(self, job: Job, work: Work) -> None:
        threading.Thread(target=self._run, args=(job, work), name=f"job-{job.name}", daemon=True).start()

    def _run(self, job: Job, work: Work) -> None:
        if job.expiry is not None:
            job.expiry.cancel()  # from here on the job looks at the time itself
        try:
            self._end(job, _ending(job, work))
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

    def _vacate(self, job: Job) -> None:
        """The job is over: its slot is the next one's, though its files may be of use for a while."""
        with self._lock:
            self._running.discard(job)
            self._beside.discard(job)
            self._over.add(job)
        self._start_next()

    def _end(self, job: Job, ending: Ending) -> None:
        now = job.context.clock()

        def change(before: Document) -> Document:
            told = job_documents.unless_stopping(job.kind, before, ending)
            return job_documents.ended(job.kind, before, told, now, job.context.spot_market)

        jobs.change_document(job.context, job.kind, job.name, change)


def _ending(job: Job, work: Work) -> Ending:
    try:
        return work(job)
    except ServerClosingError:
        raise
    except StopRequestedError:
        return job_documents.stopped()
    except Exception as error:  # a fault of ours must not leave the job InProgress for ever
        if job.is_closing:  # what it used was taken from it
            raise ServerClosingError from error
        if isinstance(error, JobFailedError):
            job.log.say(str(error))
            return job_documents.failed(str(error))
        _log.exception("%s failed", job.name)
        return job_documents.failed(f"InternalServerError: {type(error).__name__}: {error}")


def _is(job: Job, kind: JobKind, name: str) -> bool:
    return job.kind == kind and job.name == name
