"""A job that a thread of the engine leads from its start to its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.signals import Signals

_log = logging.getLogger(__name__)


class LedJob:
    """A job's document, and the signals to its thread. Other threads speak to it through `signals` alone.

    takes_slot: whether it waits for one of the engine's slots.
    afterwards: the last thing that the job's thread does, once the job is over and before its files go.
    done: set when the thread has nothing more to do.
    """

    takes_slot = False

    def __init__(self, kind: JobResource, document: Document, context: Context) -> None:
        self.kind = kind
        self.name: str = document[kind.name]
        self.document = document
        self.context = context
        self.signals = Signals()
        self.afterwards: Callable[[], None] = lambda: None
        self.done = threading.Event()

    def say(self, text: str) -> None:
        """Tell something of the job: in its log, where it has one."""
        _log.warning("%s %s: %s", self.kind.words, self.name, text)

    def release(self) -> None:
        """Give back what the job held on this machine."""
        self.signals.release()
