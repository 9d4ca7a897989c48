"""Deployments on their way, each in a thread: from what an endpoint's record says is pending to what serves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import scarcity
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.deployment_guard import Alarms, Guard
from localaws.sagemaker.hosting.deployment_plans import Plan
from localaws.sagemaker.hosting.endpoint_files import EndpointFiles
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError, StartError, VariantPlan
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.model_container import ContainerStarter
from localaws.sagemaker.hosting.serverless_configs import has_serverless
from localaws.sagemaker.hosting.serverless_fleet import IDLE_SECONDS, ServerlessFleet
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.shift_messages import launching, scaling
from localaws.sagemaker.hosting.shifts import Ground, Shift, kept_of
from localaws.sagemaker.hosting.snapshots import counts_of, of_size, plans_of
from localaws.sagemaker.hosting.split_traffic import Fleet, SplitTraffic
from localaws.sagemaker.hosting.watching import Watching, copy_as_said
from localaws.sagemaker.hosting.worker import Worker

_log = logging.getLogger(__name__)


class Deployments:
    """Brings endpoints from one state to the next. Its public methods return at once."""

    def __init__(
        self, context: Context, records: EndpointRecords, serving: Serving, metrics: InvocationMetrics
    ) -> None:
        self._context = context
        self._records = records
        self._serving = serving
        self._starter = ContainerStarter(context)
        self._watching = Watching(context, metrics)
        self._files = EndpointFiles(context.platform.state_dir / "endpoints")
        self._ground = Ground(records, serving, self._fleet, self._guard, context.clock.now)

    def deploy(self, name: str) -> None:
        """Start what is pending beside what serves; it takes over when it is healthy, else what is deployed goes on."""
        self._in_background(self._deploy, name)

    def rescale(self, name: str) -> None:
        """Give what serves the weights and instance counts that are pending."""
        self._in_background(self._rescale, name)

    def remove(self, name: str) -> None:
        """End what serves once its requests are answered; then the endpoint is gone."""
        self._in_background(self._remove, name)

    def recover(self) -> None:
        """After a restart: what served serves again, what was in progress goes on, what was leaving is gone."""
        documents = {document["EndpointName"]: document for document in self._records.all()}
        self._files.remove_all_but(documents)
        for name, document in documents.items():
            if document["EndpointStatus"] == "Deleting":
                self.remove(name)
            elif document["EndpointStatus"] != "Failed":
                if "Deployed" in document:
                    self._records.begin_recovery(name)
                self._in_background(self._bring_back, name)

    def _in_background(self, work: Callable[[str], None], name: str) -> None:
        threading.Thread(target=self._guarded, args=(work, name), name=f"endpoint-{name}", daemon=True).start()

    def _guarded(self, work: Callable[[str], None], name: str) -> None:
        """An endpoint must not stay in progress for ever because of a mistake of ours."""
        try:
            work(name)
        except Exception as error:  # noqa: BLE001 - see above
            if self._serving.is_closed:
                return
            _log.exception("endpoint %s", name)
            self._fail(name, f"Internal failure: {error}")

    def _deploy(self, name: str) -> None:
        old = self._serving.get(name)
        if old is None:
            self._create(name)
            return
        Shift(name, self._ground, old).run()
        if not self._serving.is_closed:
            self._remove_unused_files(name)

    def _create(self, name: str) -> None:
        pending = self._records.find(name)["Pending"]
        first = {
            variant: launching(count, is_first=True).status(self._context.clock.now())
            for variant, count in counts_of(pending).items()
        }
        self._records.note(name, {}, Statuses=first)
        try:
            self._serving.swap(name, self._start(name, pending))
        except FleetError as error:
            self._fail(name, str(error))
            return
        self._records.settle(name, "InService", pending, None)
        self._remove_unused_files(name)

    def _rescale(self, name: str) -> None:
        document = self._records.find(name)
        pending, deployment = document["Pending"], self._serving.get(name)
        if not isinstance(deployment, Deployment):
            raise RuntimeError("no deployment serves it")
        plans = plans_of(pending)
        before = {plan.name: plan.instance_count for plan in plans_of(document["Deployed"])}
        changes = {plan.name: plan.instance_count for plan in plans if plan.instance_count != before[plan.name]}
        now = self._context.clock.now()
        statuses = {variant: scaling(count, before[variant]).status(now) for variant, count in changes.items()}
        self._records.note(name, deployment.instance_counts(), OldStatuses=statuses)
        try:
            _set_instance_counts(deployment, plans)
        except FleetError as error:
            _set_instance_counts(deployment, plans_of(document["Deployed"]))
            self._fail(name, str(error))
            return
        deployment.set_weights({plan.name: plan.weight for plan in plans})
        copy_as_said(deployment, pending)
        self._records.settle(name, "InService", pending, None)

    def _start(self, name: str, snapshot: Document) -> Deployment:
        deployment = self._fleet(name, snapshot)
        self._serving.start(name, deployment)
        return deployment

    def _fleet(self, name: str, snapshot: Document) -> Deployment:
        directory = self._files.deployment(name, snapshot["Id"])
        provisioned: set[str] = set()  # what is started again, or after a restart, has its instance still

        def start(plan: VariantPlan, instance_id: str) -> Worker:
            is_new = instance_id not in provisioned and not self._records.is_coming_back(name)
            if is_new and plan.source.get("InstanceType") in self._context.without_capacity:
                raise StartError(scarcity.OF_AN_ENDPOINT)
            provisioned.add(instance_id)
            return self._starter.start(name, directory / plan.name, plan, instance_id)

        if has_serverless(snapshot):
            return ServerlessFleet(plans_of(snapshot)[0], start, IDLE_SECONDS / self._context.platform.clock_scale)
        return self._watching.fleet(name, snapshot, start)

    def _guard(self, pending: Document, plan: Plan) -> Guard:
        roles = [variant["RoleArn"] for variant in pending["Variants"]]
        alarms = Alarms(self._context.platform, roles, plan.alarms, pending["StartTime"])
        used = pending.get("Progress", {}).get("Used", 0.0)
        return Guard(alarms, plan.max_seconds, self._context.platform.clock_scale, self._serving.wait_closed, used)

    def _fail(self, name: str, reason: str) -> None:
        """Back to what is deployed, with the reason; Failed when nothing is.

        RollingBack is only for weights and capacities that couldn't be changed; an update goes from Updating to
        InService (DescribeEndpoint, EndpointStatus).
        """
        if self._serving.is_closed:
            return
        document = self._records.find(name)
        if "Deployed" in document and self._serving.get(name) is not None:
            if document.get("Pending", {}).get("Id") == document["Deployed"]["Id"]:
                self._records.set_status(name, "RollingBack")
            self._records.settle_back(name, reason)
        else:
            self._records.settle(name, "Failed", None, reason)
        self._remove_unused_files(name)

    def _remove(self, name: str) -> None:
        serving = self._serving.remove(name)
        if serving is not None:
            serving.retire()
        self._files.remove(name)  # before the name is free for another endpoint
        self._records.remove(name)

    def _bring_back(self, name: str) -> None:
        self._files.remove_instances(name)
        document = self._records.find(name)
        progress = document.get("Pending", {}).get("Progress", {})
        if "Deployed" in document:
            try:
                self._serving.swap(name, self._old_fleet(name, document))
            except FleetError as error:
                self._fail(name, f"The endpoint didn't come back after a restart: {error}")
                return
        if "Pending" not in document or "RollingBack" in progress:
            self._records.settle_back(name, progress.get("RollingBack") or document.get("FailureReason"))
            return
        if "Deployed" in document:
            self._records.set_status(name, "Updating")
        self._deploy(name)

    def _old_fleet(self, name: str, document: Document) -> Fleet:
        """What served before the server ended, as much of it as the update that is going on has left. FleetError."""
        is_rolled_back = "RollingBack" in document.get("Pending", {}).get("Progress", {})
        deployed, mixed = document["Deployed"], document.get("Mixed")
        if mixed is None:
            return self._start(name, deployed if is_rolled_back else of_size(deployed, kept_of(document)))
        old = self._start(name, of_size(deployed, mixed["Kept"]))
        return SplitTraffic(old, self._start(name, mixed["Snapshot"]), mixed["Shares"])

    def _remove_unused_files(self, name: str) -> None:
        """Look at the directories before the document: what a next update adds is in neither."""
        directories = self._files.deployments(name)
        document = self._records.find(name)
        parts = [document.get("Deployed"), document.get("Pending"), document.get("Mixed", {}).get("Snapshot")]
        used = {part["Id"] for part in parts if part}
        for directory in directories:
            if directory.name not in used:
                remove(directory)


def _set_instance_counts(deployment: Deployment, plans: list[VariantPlan]) -> None:
    for plan in plans:
        deployment.set_instance_count(plan.name, plan.instance_count)
