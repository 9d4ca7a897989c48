"""Creates, updates and deletes stacks in tests, and tells why one failed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from resources import unique
from waiting import until

Document = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """One stack of a test."""

    cloudformation: Any
    name: str

    def update(self, resources: Document, outputs: Document | None = None) -> str:
        self.cloudformation.update_stack(StackName=self.name, TemplateBody=template(resources, outputs), **_CAPABLE)
        return self.settled()

    def delete(self) -> str:
        identity = self.identity
        self.cloudformation.delete_stack(StackName=identity)
        return self.settled(identity)

    @property
    def identity(self) -> str:
        return str(self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"])

    def settled(self, name: str | None = None) -> str:
        """The stack's status once nothing is in progress."""

        def look() -> str | None:
            status = self.cloudformation.describe_stacks(StackName=name or self.name)["Stacks"][0]["StackStatus"]
            return None if status.endswith("IN_PROGRESS") else str(status)

        return str(until(look, f"{self.name} to be settled"))

    def outputs(self) -> dict[str, str]:
        found = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0].get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    def physical_id(self, logical_id: str) -> str:
        found = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def reason(self, logical_id: str, name: str | None = None) -> str:
        """Why the resource failed, as the stack's events say it."""
        events = self.cloudformation.describe_stack_events(StackName=name or self.name)["StackEvents"]
        failed = [e for e in events if e["LogicalResourceId"] == logical_id and "FAILED" in e["ResourceStatus"]]
        return str(failed[0].get("ResourceStatusReason", "")) if failed else ""


_CAPABLE = {"Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]}


def template(resources: Document, outputs: Document | None = None) -> str:
    return json.dumps({"Resources": resources, "Outputs": {k: {"Value": v} for k, v in (outputs or {}).items()}})


def stack(aws: Any, resources: Document, outputs: Document | None = None) -> Stack:
    """A stack that has been created, or has failed to be."""
    made = Stack(aws.client("cloudformation"), unique("stack"))
    made.cloudformation.create_stack(StackName=made.name, TemplateBody=template(resources, outputs), **_CAPABLE)
    made.settled()
    return made


def resource(kind: str, **properties: Any) -> Document:
    return {"Type": kind, "Properties": properties}


def ref(logical_id: str) -> Document:
    return {"Ref": logical_id}


def attribute(logical_id: str, name: str) -> Document:
    return {"Fn::GetAtt": [logical_id, name]}
