"""SageMaker as one object: a request goes in with its caller, a response or an AWS error comes out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from localaws.sagemaker import search
from localaws.sagemaker.containers import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags, validation
from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.debugger import rule_evaluation
from localaws.sagemaker.hosting import endpoint_configs, models
from localaws.sagemaker.hosting.async_requests import AsyncRequest
from localaws.sagemaker.hosting.endpoints import Endpoints
from localaws.sagemaker.hosting.invocation import InvokeRequest, InvokeResult
from localaws.sagemaker.jobs import operations, spot_training
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.kinds import KINDS
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, Interruption, SpotMarket
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.registry import groups, packages

_log = logging.getLogger(__name__)
# What the first job needs is prepared a little after the start, whose first requests come first.
_WARM_UP_AFTER_SECONDS = 1.0


class SageMaker:
    """The service. All methods are thread-safe and may block: never call them on an event loop.

    Its parts register on the context's lifecycle what must happen when the server comes back and when it stops.
    """

    def __init__(
        self,
        platform: Platform,
        spot_market: SpotMarket = QUIET_MARKET,
        rule_evaluator: Sequence[Path] = (),
        quotas: Mapping[str, int] | None = None,
        *,
        is_warm: bool = True,
    ) -> None:
        self.context = Context.open(platform, spot_market, rule_evaluator, quotas, is_warm=is_warm)
        self._jobs = _open_engine(self.context)
        rule_evaluation.follow(self.context, TRAINING)
        self._endpoints = Endpoints(self.context)
        self._handlers = self._all_handlers()
        self._recovered = threading.Event()
        self._warming_up = threading.Timer(_WARM_UP_AFTER_SECONDS, self._warm_up)
        self._warming_up.daemon = True

    def _all_handlers(self) -> dict[str, Handler]:
        found: dict[str, Handler] = {}
        for kind in KINDS:
            found |= operations.handlers(kind, self._jobs)
        for room in (models, endpoint_configs, groups, packages, search):
            found |= room.operations(self.context)
        return found | self._endpoints.operations() | tags.operations(self.context.store)

    @property
    def operations(self) -> frozenset[str]:
        """Operations that do the work."""
        return frozenset(self._handlers)

    def handle(self, operation: str, request: Document, caller: Caller) -> Document:
        """Answer one control-plane request; times in documents are epoch seconds.

        The caller has been authorized for ``sagemaker:<operation>`` already; what the request implies beyond that
        (iam:PassRole) is checked here through the platform. Waits for `recover`. Raises errors.SageMakerError.
        """
        self._recovered.wait()
        handler = self._handlers.get(operation)
        if handler is None:
            raise errors.not_implemented(operation)
        validation.check_request(operation, request)
        return handler(request, caller)

    def interrupt(self, training_job_name: str, interruption: Interruption) -> None:
        """Take the instance of a managed spot training job. Raises errors.SageMakerError."""
        spot_training.interrupt(self._jobs, TRAINING, training_job_name, interruption)

    def invoke_endpoint(self, request: InvokeRequest) -> InvokeResult:
        """Send one request, whose caller has been authorized, to the models of an endpoint.

        Waits for `recover`. Raises errors.SageMakerError.
        """
        self._recovered.wait()
        return self._endpoints.invoker.invoke(request)

    def submit_invocation(self, request: InvokeRequest) -> Future[InvokeResult] | None:
        """As `invoke_endpoint`, in a thread of the endpoint's own; returns at once. None before `recover`."""
        return self._endpoints.invoker.submit(request) if self._recovered.is_set() else None

    def accept_invocation(self, request: AsyncRequest) -> Document:
        """Queue one request, whose caller has been authorized, to an asynchronous endpoint; where its answer will be.

        Waits for `recover`. Raises errors.SageMakerError.
        """
        self._recovered.wait()
        return self._endpoints.async_invocations.accept(request)

    def wait_for_change(self, kind: JobKind, name: str, known_status: str, timeout: float) -> str | None:
        """Block until the status of a job isn't `known_status` any more, `timeout` seconds at most; the status then.

        None when there is no such job.
        """

        def status() -> str | None:
            document = self.context.store.get(kind.resource_type, name)
            return None if document is None else str(document[kind.status])

        self.context.changes.wait_until(lambda: status() != known_status, timeout)
        return status()

    def recover(self) -> None:
        """After a restart: what was cut off ends as failed with a reason, what should serve serves again.

        The server answers already while this goes on. A request that came between would see a job of the last life
        as InProgress and an endpoint as InService that nothing serves, or have its new job taken for one of those.
        """
        self._warming_up.start()
        self.context.lifecycle.recover()
        self._recovered.set()

    def _warm_up(self) -> None:
        """Prepare what the first job would wait for otherwise: service models read, the kernel's isolation tried."""
        validation.service_model()
        lacking = container.describe_isolation()
        if lacking is not None:
            _log.warning(lacking)

    def close(self) -> None:
        """End every child process and let go of the store, within seconds."""
        self._warming_up.cancel()
        self.context.lifecycle.close()


def _open_engine(context: Context) -> JobEngine:
    engine = JobEngine(context)
    context.lifecycle.on_close.append(engine.close)
    for kind in KINDS:
        context.lifecycle.on_recover.append(partial(kind.recover, kind, engine))
    return engine
