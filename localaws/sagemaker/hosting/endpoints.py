"""Endpoints: their states, and the deployments that bring them from one to the next.

An endpoint's document holds, beside what Describe shows, a snapshot of what is `Deployed` and of what is `Pending`, so
that an endpoint comes back after a restart even when its configuration and its models were deleted meanwhile.
States and what they allow: DescribeEndpoint, EndpointStatus (API reference).
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.hosting.endpoint_documents import (
    describe,
    plans_of,
    reweighted,
    snapshot_of,
    state_change_detail,
    with_retained_properties,
)
from localaws.sagemaker.hosting.fleet import Deployment, FleetError, VariantPlan
from localaws.sagemaker.hosting.invocation import Invoker
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.model_container import ContainerStarter
from localaws.sagemaker.hosting.models import find_config, find_model, refuse_members
from localaws.sagemaker.hosting.worker import Worker

ENDPOINT = "endpoint"
_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_CLOSE_GRACE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Endpoints:
    """All endpoints of a server: their documents in the store, their deployments in memory."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._starter = ContainerStarter(context)
        self._changed = threading.Condition()
        self._serving: dict[str, Deployment] = {}
        self._starting: dict[str, Deployment] = {}
        self._closed = False
        self._metrics = InvocationMetrics(context.platform, context.clock)
        platform = context.platform
        self.invoker = Invoker(self._wait_for_serving, self._metrics, platform.region, platform.account)
        context.lifecycle.on_recover.append(self.recover)
        context.lifecycle.on_close.append(self.close)

    def operations(self) -> dict[str, Handler]:
        """Operation name to handler."""
        return {
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.update_weights_and_capacities,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list_,
            "DeleteEndpoint": self.delete,
        }

    # --- operations

    def create(self, request: Document, _caller: Caller) -> Document:
        """CreateEndpoint: checked, recorded as Creating, deployed in the background."""
        context, name = self._context, request["EndpointName"]
        refuse_members(request, ("DeploymentConfig",), "an endpoint")
        arn = context.arn(ENDPOINT, name)
        if context.store.get(ENDPOINT, name) is not None:
            raise _already(arn)
        pending = self._snapshot(request["EndpointConfigName"])
        now = context.clock()
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "Pending": pending,
        }
        with context.store.transaction():
            if not context.store.create(ENDPOINT, name, document):
                raise _already(arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        self._announce(document)
        self._in_background(self._deploy, name)
        return {"EndpointArn": arn}

    def update(self, request: Document, _caller: Caller) -> Document:
        """UpdateEndpoint: the new configuration is deployed beside the old one, which serves until it can take over."""
        refuse_members(request, ("DeploymentConfig",), "an endpoint")
        if request.get("RetainDeploymentConfig"):
            raise errors.not_supported("RetainDeploymentConfig=true of an endpoint")
        name = request["EndpointName"]
        before = self._ready_for_change(name)
        pending = self._snapshot(request["EndpointConfigName"])
        if request.get("RetainAllVariantProperties"):
            excluded = {item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])}
            pending = with_retained_properties(pending, before["Deployed"], excluded)
        document = self._begin_update(name, pending)
        self._in_background(self._deploy, name)
        return {"EndpointArn": document["EndpointArn"]}

    def update_weights_and_capacities(self, request: Document, _caller: Caller) -> Document:
        """UpdateEndpointWeightsAndCapacities: other shares and instance counts of the variants that are deployed."""
        name = request["EndpointName"]
        for wanted in request["DesiredWeightsAndCapacities"]:
            refuse_members(wanted, ("ServerlessUpdateConfig",), f"production variant {wanted['VariantName']}")
            if wanted.get("DesiredInstanceCount") == 0:
                raise errors.not_supported("DesiredInstanceCount=0; managed instance scaling isn't here")
        before = self._ready_for_change(name)
        document = self._begin_update(name, reweighted(before["Deployed"], request["DesiredWeightsAndCapacities"]))
        self._in_background(self._rescale, name)
        return {"EndpointArn": document["EndpointArn"]}

    def describe(self, request: Document, _caller: Caller) -> Document:
        """DescribeEndpoint."""
        document = self._find(request["EndpointName"])
        serving = self._serving.get(request["EndpointName"])
        return describe(document, serving.instance_counts() if serving else {})

    def list_(self, request: Document, _caller: Caller) -> Document:
        """ListEndpoints."""
        documents = self._context.store.list(ENDPOINT)
        found, more = page(request, documents, name="EndpointName", status="EndpointStatus")
        return {"Endpoints": [summary(document, _SUMMARY) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        """DeleteEndpoint: answers at once; the endpoint is gone when its requests are answered."""
        name = request["EndpointName"]

        def deleting(document: Document) -> Document:
            _refuse_in_progress(document)
            return document | {"EndpointStatus": "Deleting", "LastModifiedTime": self._context.clock()}

        self._announce(self._update(name, deleting))
        self._in_background(self._remove, name)
        return {}

    # --- documents

    def _find(self, name: str) -> Document:
        document = self._context.store.get(ENDPOINT, name)
        if document is None:
            raise errors.validation(f'Could not find endpoint "{self._context.arn(ENDPOINT, name)}".')
        return document

    def _update(self, name: str, change: Callable[[Document], Document]) -> Document:
        self._find(name)
        return self._context.store.update(ENDPOINT, name, change) or {}

    def _snapshot(self, config_name: str) -> Document:
        config = find_config(self._context, config_name)
        models = {
            item["ModelName"]: find_model(self._context, item["ModelName"]) for item in config["ProductionVariants"]
        }
        return snapshot_of(self._context, config, models)

    def _ready_for_change(self, name: str) -> Document:
        document = self._find(name)
        _refuse_in_progress(document)
        if document["EndpointStatus"] == "Failed":
            raise errors.validation(
                f'Cannot update failed endpoint "{document["EndpointArn"]}". '
                "DeleteEndpoint is the only operation that can be performed on a failed endpoint."
            )
        return document

    def _begin_update(self, name: str, pending: Document) -> Document:
        def updating(document: Document) -> Document:
            _refuse_in_progress(document)
            begun = {key: value for key, value in document.items() if key != "FailureReason"}
            now = self._context.clock()
            return begun | {
                "EndpointStatus": "Updating",
                "LastModifiedTime": now,
                "Pending": pending | {"StartTime": now},
            }

        document = self._update(name, updating)
        self._announce(document)
        return document

    def _settle(self, name: str, status: str, deployed: Document | None, reason: str | None) -> None:
        """The end of a deployment: what is deployed now, and why that isn't what was wanted."""

        def settled(document: Document) -> Document:
            kept = {key: value for key, value in document.items() if key not in {"Pending", "FailureReason"}}
            kept |= {"EndpointStatus": status, "LastModifiedTime": self._context.clock()}
            kept |= {"FailureReason": reason} if reason else {}
            if deployed is not None:
                kept |= {"Deployed": deployed, "EndpointConfigName": deployed["EndpointConfigName"]}
            return kept

        self._announce(self._update(name, settled))

    def _set_status(self, name: str, status: str) -> None:
        now = self._context.clock()
        self._announce(self._update(name, lambda old: old | {"EndpointStatus": status, "LastModifiedTime": now}))

    def _announce(self, document: Document) -> None:
        arn = document["EndpointArn"]
        self._context.changes.announce(ENDPOINT, document["EndpointName"])
        self._context.events.state_change("Endpoint", state_change_detail(document), arn, self._context.store.tags(arn))

    # --- deployments

    def _in_background(self, work: Callable[[str], None], name: str) -> None:
        threading.Thread(target=self._guarded, args=(work, name), name=f"endpoint-{name}", daemon=True).start()

    def _guarded(self, work: Callable[[str], None], name: str) -> None:
        """An endpoint must not stay in progress for ever because of a mistake of ours."""
        try:
            work(name)
        except Exception as error:  # noqa: BLE001 - see above
            if self._closed:
                return
            _log.exception("endpoint %s", name)
            self._fail(name, f"Internal failure: {error}")

    def _deploy(self, name: str) -> None:
        """Start what is pending; it takes over when it is healthy, else what is deployed goes on."""
        pending = self._find(name)["Pending"]
        try:
            deployment = self._start(name, pending)
        except FleetError as error:
            self._fail(name, str(error))
            return
        old = self._swap(name, deployment)
        self._settle(name, "InService", pending, None)
        if old is not None:
            old.retire()
        self._remove_unused_files(name)

    def _rescale(self, name: str) -> None:
        document = self._find(name)
        pending, deployment = document["Pending"], self._serving[name]
        plans = plans_of(pending)
        try:
            for plan in plans:
                deployment.set_instance_count(plan.name, plan.instance_count)
        except FleetError as error:
            for plan in plans_of(document["Deployed"]):
                deployment.set_instance_count(plan.name, plan.instance_count)
            self._fail(name, str(error))
            return
        deployment.set_weights({plan.name: plan.weight for plan in plans})
        self._settle(name, "InService", pending, None)

    def _start(self, name: str, snapshot: Document) -> Deployment:
        directory = self._directory(name) / snapshot["Id"]

        def start(plan: VariantPlan, instance_id: str) -> Worker:
            return self._starter.start(name, directory / plan.name, plan, instance_id)

        deployment = Deployment(plans_of(snapshot), start)
        with self._changed:
            if self._closed:
                raise FleetError("the server is stopping")
            self._starting[name] = deployment
        try:
            deployment.start()
        finally:
            with self._changed:
                self._starting.pop(name, None)
        return deployment

    def _swap(self, name: str, deployment: Deployment) -> Deployment | None:
        with self._changed:
            old = self._serving.get(name)
            self._serving[name] = deployment
            self._changed.notify_all()
        return old

    def _fail(self, name: str, reason: str) -> None:
        """Back to what is deployed, with the reason; Failed when nothing is."""
        if self._closed:
            return
        document = self._find(name)
        if "Deployed" in document and name in self._serving:
            self._set_status(name, "RollingBack")
            self._settle(name, "InService", None, reason)
        else:
            self._settle(name, "Failed", None, reason)
        self._remove_unused_files(name)

    def _remove(self, name: str) -> None:
        with self._changed:
            serving = self._serving.pop(name, None)
        if serving is not None:
            serving.retire()
        shutil.rmtree(self._directory(name), ignore_errors=True)  # before the name is free for another endpoint
        document = self._find(name)
        self._context.store.delete(ENDPOINT, name)
        self._context.store.delete_tags(document["EndpointArn"])
        self._context.changes.announce(ENDPOINT, name)

    def _directory(self, name: str) -> Path:
        return self._context.platform.state_dir / "endpoints" / name

    def _remove_unused_files(self, name: str) -> None:
        """Looks at the directories before the document: what a next update adds is in neither."""
        directory = self._directory(name)
        generations = list(directory.iterdir()) if directory.is_dir() else []
        document = self._find(name)
        used = {document[member]["Id"] for member in ("Deployed", "Pending") if member in document}
        for generation in generations:
            if generation.name not in used:
                shutil.rmtree(generation, ignore_errors=True)

    def _wait_for_serving(self, name: str, seconds: float) -> Deployment | None:
        """The deployment that answers; waits for one that comes back after a restart (SystemUpdating)."""
        deployment = self._serving.get(name)
        if deployment is not None:
            return deployment
        deadline = time.monotonic() + seconds
        with self._changed:
            while name not in self._serving and self._is_coming_back(name) and time.monotonic() < deadline:
                self._changed.wait(0.1)
            return self._serving.get(name)

    def _is_coming_back(self, name: str) -> bool:
        document = self._context.store.get(ENDPOINT, name)
        return document is not None and document["EndpointStatus"] == "SystemUpdating"

    # --- the server's life

    def recover(self) -> None:
        """After a restart: what served serves again, what was in progress goes on, what was leaving is gone."""
        documents = {document["EndpointName"]: document for document in self._context.store.list(ENDPOINT)}
        parent = self._directory("x").parent
        for directory in parent.iterdir() if parent.is_dir() else ():
            if directory.name not in documents:
                shutil.rmtree(directory, ignore_errors=True)
        for name, document in documents.items():
            if document["EndpointStatus"] == "Deleting":
                self._in_background(self._remove, name)
            elif document["EndpointStatus"] != "Failed":
                if "Deployed" in document:
                    self._set_status(name, "SystemUpdating")
                self._in_background(self._bring_back, name)

    def _bring_back(self, name: str) -> None:
        document = self._find(name)
        if "Deployed" in document:
            try:
                self._swap(name, self._start(name, document["Deployed"]))
            except FleetError as error:
                self._fail(name, f"The endpoint didn't come back after a restart: {error}")
                return
        if "Pending" not in document:
            self._settle(name, "InService", document.get("Deployed"), document.get("FailureReason"))
            return
        if "Deployed" in document:
            self._set_status(name, "Updating")
        self._deploy(name)

    def close(self) -> None:
        """End every instance; documents stay as they are, for the next start."""
        with self._changed:
            self._closed = True
            deployments = [*self._serving.values(), *self._starting.values()]
            self._serving.clear()
        with ThreadPoolExecutor(max(len(deployments), 1)) as pool:
            list(pool.map(lambda deployment: deployment.stop(_CLOSE_GRACE_SECONDS), deployments))
        self._metrics.close()


def _already(arn: str) -> errors.SageMakerError:
    return errors.validation(f'Cannot create already existing endpoint "{arn}".')


def _refuse_in_progress(document: Document) -> None:
    if document["EndpointStatus"] not in {"InService", "Failed", "OutOfService"}:
        raise errors.validation(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
