"""SageMaker as one object: a request goes in with its caller, a response or an AWS error comes out."""

from __future__ import annotations

import threading
from pathlib import Path
from types import ModuleType

from localaws.sagemaker.containers import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags, validation
from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.debugger import rule_evaluation
from localaws.sagemaker.hosting import models as hosting
from localaws.sagemaker.hosting.endpoints import Endpoints
from localaws.sagemaker.hosting.invocation import InvokeResult
from localaws.sagemaker.jobs import processing, training
from localaws.sagemaker.jobs import spot_training as spot
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, Interruption, SpotMarket
from localaws.sagemaker.registry import packages as registry

# Each offers operations(context) -> {operation: handler}, and registers on context.lifecycle what must happen when
# the server comes back and when it stops.
MODULES: tuple[ModuleType, ...] = (training, processing, hosting, registry, tags)


class SageMaker:
    """The service. All methods are thread-safe and may block: never call them on an event loop."""

    def __init__(
        self, platform: Platform, spot_market: SpotMarket = QUIET_MARKET, rule_evaluator: Path | None = None
    ) -> None:
        self.context = Context.open(platform, spot_market, rule_evaluator)
        self._handlers: dict[str, Handler] = {}
        for module in MODULES:
            self._handlers.update(module.operations(self.context))
        rule_evaluation.follow(self.context)
        self._endpoints = Endpoints(self.context)
        self._handlers.update(self._endpoints.operations())

    @property
    def operations(self) -> frozenset[str]:
        """Operations that do the work."""
        return frozenset(self._handlers)

    def handle(self, operation: str, request: Document, caller: Caller) -> Document:
        """Answer one control-plane request; times in documents are epoch seconds.

        The caller has been authorized for ``sagemaker:<operation>`` already; what the request implies beyond that
        (iam:PassRole) is checked here through the platform. Raises errors.SageMakerError.
        """
        handler = self._handlers.get(operation)
        if handler is None:
            raise errors.not_implemented(operation)
        validation.check_request(operation, request)
        return handler(request, caller)

    def interrupt(self, training_job_name: str, interruption: Interruption) -> None:
        """Take the instance of a managed spot training job. Raises errors.SageMakerError."""
        spot.interrupt(self.context, training_job_name, interruption)

    def invoke_endpoint(  # noqa: PLR0913, PLR0917 - the members of InvokeEndpoint
        self,
        name: str,
        body: bytes,
        content_type: str,
        accept: str,
        target_variant: str | None,
        caller: Caller,  # noqa: ARG002 - authorized before it comes here
    ) -> InvokeResult:
        """Send one request to the models of an endpoint. Raises errors.SageMakerError."""
        return self._endpoints.invoker.invoke(name, body, content_type, accept, target_variant)

    def wait_for_change(self, kind: str, name: str, known_status: str, timeout: float) -> str | None:
        """Block until the status of a job isn't `known_status` any more, `timeout` seconds at most; the status then.

        `kind` is ``training-job`` or ``processing-job``. None when there is no such job.
        """
        members = {"training-job": "TrainingJobStatus", "processing-job": "ProcessingJobStatus"}

        def status() -> str | None:
            document = self.context.store.get(kind, name)
            return None if document is None else str(document[members[kind]])

        self.context.changes.wait_until(lambda: status() != known_status, timeout)
        return status()

    def recover(self) -> None:
        """After a restart: what was cut off ends as failed with a reason, what should serve serves again."""
        threading.Thread(target=self._warm_up, name="sagemaker-warm-up", daemon=True).start()
        self.context.lifecycle.recover()

    def _warm_up(self) -> None:
        """What the first job would wait for otherwise: service models read, the kernel's isolation tried."""
        validation.service_model()
        self.context.wire.warm_up()
        container.isolation()

    def close(self) -> None:
        """End every child process and let go of the store, within seconds."""
        self.context.lifecycle.close()
