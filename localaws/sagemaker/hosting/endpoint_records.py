"""Endpoints' documents in the store: every change of their state is told to waiters and to the event bus.

A document holds, beside what Describe shows, a snapshot of what is `Deployed` and of what is `Pending`, so that an
endpoint comes back after a restart even when its configuration and its models were deleted meanwhile. What is pending
says how it is deployed (`DeploymentConfig`) and how far that has come (`Progress`). States and what they allow:
DescribeEndpoint, EndpointStatus (API reference).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.endpoint_documents import deployment_detail, state_change_detail

ENDPOINT = "endpoint"
ROLLBACK_FAILED = "UpdateRollbackFailed"
_SETTLED = frozenset({"InService", "Failed", "OutOfService", ROLLBACK_FAILED})
_NO_STAGE: Document = {"Statuses": {}, "OldStatuses": {}, "Active": {}}
# What a snapshot has while it is being deployed.
_OF_A_DEPLOYMENT = frozenset({"DeploymentConfig", "Progress", "StartTime"})


class EndpointRecords:
    """The documents of all endpoints. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self) -> list[Document]:
        """Every endpoint's document."""
        return self._context.store.list(ENDPOINT)

    def find(self, name: str) -> Document:
        """An endpoint's document. ValidationException when there is none."""
        document = self._context.store.get(ENDPOINT, name)
        if document is None:
            raise errors.validation(f'Could not find endpoint "{self._context.arn(ENDPOINT, name)}".')
        return document

    def find_settled(self, name: str) -> Document:
        """The document of an endpoint that isn't on its way to another state. ValidationException."""
        document = self.find(name)
        _refuse_in_progress(document)
        return document

    def find_ready(self, name: str) -> Document:
        """The document of an endpoint that can be updated. ValidationException."""
        document = self.find_settled(name)
        if document["EndpointStatus"] == "Failed":
            raise errors.validation(
                f'Cannot update failed endpoint "{document["EndpointArn"]}". '
                "DeleteEndpoint is the only operation that can be performed on a failed endpoint."
            )
        return document

    def arn_of_new(self, name: str) -> str:
        """The ARN of an endpoint that is to be made. ValidationException when the name is taken."""
        arn = self._context.arn(ENDPOINT, name)
        if self._context.store.get(ENDPOINT, name) is not None:
            raise errors.already_exists("endpoint", arn)
        return arn

    def create(
        self, name: str, arn: str, pending: Document, labels: dict[str, str], config: Document | None = None
    ) -> None:
        """Write down a new endpoint, Creating; `config` is the DeploymentConfig that later updates may keep."""
        now = self._context.clock.now()
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": pending["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "Pending": pending | {"StartTime": now},
            **({"LastDeploymentConfig": config} if config else {}),
        }
        with self._context.store.transaction():
            if not self._context.store.create(ENDPOINT, name, document):
                raise errors.already_exists("endpoint", arn)
            self._context.store.add_tags(arn, labels)
        self._announce(document)

    def begin_update(self, name: str, pending: Document) -> str:
        """Write down what is to be deployed; the endpoint's ARN. ValidationException when something is in progress."""

        def updating(document: Document) -> Document:
            _refuse_in_progress(document)
            begun = {key: value for key, value in document.items() if key != "FailureReason"}
            config = {"LastDeploymentConfig": pending["DeploymentConfig"]} if "DeploymentConfig" in pending else {}
            started = pending | {"StartTime": self._context.clock.now()}
            return begun | config | {"EndpointStatus": "Updating", "Pending": started}

        return str(self._update(name, updating)["EndpointArn"])

    def begin_deleting(self, name: str) -> None:
        """Write down that the endpoint is leaving. ValidationException when something is in progress."""

        def deleting(document: Document) -> Document:
            _refuse_in_progress(document)
            return document | {"EndpointStatus": "Deleting"}

        self._update(name, deleting)

    def note(self, name: str, up: Mapping[str, int], **progress: object) -> None:
        """Write down how far the pending deployment has come, and tell of it; `up` counts the old fleet's instances."""

        def noted(document: Document) -> Document:
            pending = document["Pending"]
            return document | {"Pending": pending | {"Progress": {**pending.get("Progress", {}), **progress}}}

        document = self._context.store.update(ENDPOINT, name, noted) or {}
        arn = document["EndpointArn"]
        self._context.changes.announce(ENDPOINT, name)
        detail = deployment_detail(document, up)
        self._context.events.state_change("Endpoint Deployment", detail, arn, self._context.store.tags(arn))

    def settle_back(self, name: str, reason: str | None) -> None:
        """Write down that what was deployed before serves, as it did, and why nothing else does."""
        is_mixed = "Mixed" in self.find(name)
        self.settle(name, ROLLBACK_FAILED if is_mixed else "InService", None, reason)

    def settle_mixed(self, name: str, mixed: Document, reason: str) -> None:
        """Write down that a rollback failed, too: old instances and new ones (`mixed`) serve together."""

        def settled(document: Document) -> Document:
            kept = {key: value for key, value in document.items() if key != "Pending"}
            return kept | {"EndpointStatus": ROLLBACK_FAILED, "FailureReason": reason, "Mixed": mixed}

        self._update(name, settled)

    def settle(self, name: str, status: str, deployed: Document | None, reason: str | None) -> None:
        """Write down the end of a deployment: what is deployed now, and why that isn't what was wanted."""

        def settled(document: Document) -> Document:
            kept = {key: value for key, value in document.items() if key not in {"Pending", "FailureReason"}}
            kept |= {"EndpointStatus": status}
            kept |= {"FailureReason": reason} if reason else {}
            if deployed is not None:
                serving = {key: value for key, value in deployed.items() if key not in _OF_A_DEPLOYMENT}
                kept.pop("Mixed", None)
                kept |= {"Deployed": serving, "EndpointConfigName": deployed["EndpointConfigName"]}
            return kept

        self._update(name, settled)

    def set_status(self, name: str, status: str) -> None:
        """Enter another status."""
        self._update(name, lambda old: old | {"EndpointStatus": status})

    def begin_recovery(self, name: str) -> None:
        """Write down that what served is to serve again; the stage that a deployment was in isn't its stage now."""

        def recovering(document: Document) -> Document:
            pending = document.get("Pending", {})
            if "Progress" in pending:
                told_anew = {"Progress": pending["Progress"] | _NO_STAGE}
                document = document | {"Pending": pending | told_anew}
            return document | {"EndpointStatus": "SystemUpdating"}

        self._update(name, recovering)

    def is_coming_back(self, name: str) -> bool:
        """Whether the endpoint is to serve again after a restart and doesn't yet."""
        document = self._context.store.get(ENDPOINT, name)
        return document is not None and document["EndpointStatus"] == "SystemUpdating"

    def remove(self, name: str) -> None:
        """Forget an endpoint that has left."""
        document = self.find(name)
        self._context.store.delete(ENDPOINT, name)
        self._context.store.delete_tags(document["EndpointArn"])
        self._context.changes.announce(ENDPOINT, name)

    def _update(self, name: str, change: Callable[[Document], Document]) -> Document:
        """Change a document, then tell of it."""

        def timed(document: Document) -> Document:
            return change(document) | {"LastModifiedTime": self._context.clock.now()}

        self.find(name)
        document = self._context.store.update(ENDPOINT, name, timed) or {}
        self._announce(document)
        return document

    def _announce(self, document: Document) -> None:
        arn = document["EndpointArn"]
        self._context.changes.announce(ENDPOINT, document["EndpointName"])
        self._context.events.state_change("Endpoint", state_change_detail(document), arn, self._context.store.tags(arn))


def _refuse_in_progress(document: Document) -> None:
    if document["EndpointStatus"] not in _SETTLED:
        raise errors.validation(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
