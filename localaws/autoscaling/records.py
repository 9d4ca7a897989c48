"""What Application Auto Scaling remembers, in one SQLite file: targets, policies, scheduled actions, activities."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

from localaws.autoscaling.surroundings import Variant
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.store import Store

TARGET, POLICY, ACTION, ACTIVITY = "scalable-target", "scaling-policy", "scheduled-action", "scaling-activity"
_KEPT_SECONDS = 6 * 7 * 86_400  # DescribeScalingActivities: "from the previous six weeks"


class Records:
    """Thread-safe; documents that go in and come out are copies. Each is named by its resource and, but for targets,
    its own name there."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def get(self, kind: str, resource: str, name: str = "") -> Document | None:
        return self.store.get(kind, _key(resource, name))

    def put(self, kind: str, document: Document, name: str = "") -> None:
        key = _key(document["ResourceId"], name)
        if not self.store.create(kind, key, document):
            self.store.update(kind, key, lambda _: document)

    def all(self, kind: str, resource: str | None = None) -> list[Document]:
        """Those of a resource, or all."""
        return self.store.list(kind, "" if resource is None else _key(resource, ""))

    def remove(self, kind: str, resource: str, name: str = "") -> None:
        self.store.delete(kind, _key(resource, name))

    def remove_target(self, target: Document) -> None:
        """With its policies, its scheduled actions and its tags."""
        resource = target["ResourceId"]
        with self.store.transaction():
            for policy in self.all(POLICY, resource):
                self.remove(POLICY, resource, policy["PolicyName"])
            for action in self.all(ACTION, resource):
                self.remove(ACTION, resource, action["ScheduledActionName"])
            self.remove(TARGET, resource)
            self.store.delete_tags(target["ScalableTargetARN"])

    def add_activity(self, activity: Document) -> None:
        """Keeps an activity, and forgets those that began more than six weeks before."""
        self.put(ACTIVITY, activity, activity["ActivityId"])
        for old in self.all(ACTIVITY, activity["ResourceId"]):
            if old["StartTime"] < activity["StartTime"] - _KEPT_SECONDS:
                self.remove(ACTIVITY, old["ResourceId"], old["ActivityId"])

    def variants(self, endpoint: str) -> Iterator[Variant]:
        """The variants of an endpoint that are scalable targets."""
        for target in self.store.list(TARGET, f"endpoint/{endpoint}/variant/"):
            yield variant_of(target)

    def close(self) -> None:
        self.store.close()


def variant_of(document: Document) -> Variant:
    """The variant that a document of ours is about."""
    _, endpoint, _, name = document["ResourceId"].split("/")
    return Variant(endpoint, name)


def new_arn(region: str, account: str, kind: str, variant: Variant, name: str) -> str:
    """The ARN of a policy (`scalingPolicy`, `policyName`) or a scheduled action."""
    member = {"scalingPolicy": "policyName", "scheduledAction": "scheduledActionName"}[kind]
    return (
        f"arn:aws:autoscaling:{region}:{account}:{kind}:{uuid.uuid4()}:"
        f"resource/sagemaker/{variant.resource}:{member}/{name}"
    )


def _key(resource: str, name: str) -> str:
    return f"{resource}\n{name}"
