"""Cloud Control over the resources that stacks have made, by which `cdk deploy --hotswap` and `cdk watch` update them.

MiniStack's own Cloud Control keeps documents that no service knows of. Here GetResource, ListResources and
UpdateResource are about real resources; a stack doesn't learn of the change (it drifts, as in AWS), so the next
deployment sets what the template says. A refusal is answered at once; AWS tells of it by the request's status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.cloudformation.json_patch import PatchError, patched

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
# The types that can be updated, and what the caller must be allowed to do: Cloud Control has no rights of its own.
UPDATES = {
    "AWS::StepFunctions::StateMachine": "states:UpdateStateMachine",
    "AWS::SQS::Queue": "sqs:SetQueueAttributes",
    "AWS::DynamoDB::Table": "dynamodb:UpdateTable",
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm",
    "AWS::Events::Rule": "events:PutRule",
}


class CloudControlError(Exception):
    """A request that is refused, with Cloud Control's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Made:
    """A resource of a stack. record: as the stack keeps it."""

    stack: Document
    logical_id: str
    record: Document

    @property
    def identifiers(self) -> set[str]:
        """The physical id, and the ARN, which is the primary identifier of some types."""
        return {str(self.record["PhysicalResourceId"]), str(self.record.get("Attributes", {}).get("Arn", ""))} - {""}

    def with_stack_tags(self, properties: Document) -> Document:
        from ministack.services.cloudformation import provisioners

        name, identity, tags = self.stack["StackName"], self.stack["StackId"], self.stack.get("Tags") or []
        kind = self.record["ResourceType"]
        with_tags: Document = provisioners._with_stack_tags(kind, properties, tags, name, identity, self.logical_id)
        return with_tags


def register(cloudcontrol: ModuleType) -> None:
    handlers = {
        "_get_resource": _get,
        "_list_resources": _list,
        "_update_resource": _update,
        "_create_resource": _refuse("CreateResource"),
        "_delete_resource": _refuse("DeleteResource"),
    }
    for name, handler in handlers.items():
        cloudcontrol.__dict__[name] = _answering(cloudcontrol, handler)


def _answering(
    cloudcontrol: ModuleType, handler: Callable[[Any, Document], Document]
) -> Callable[[Document], Response]:
    def answer(data: Document) -> Response:
        try:
            return cloudcontrol.json_response(handler(cloudcontrol, data))  # type: ignore[no-any-return]
        except CloudControlError as refused:
            return cloudcontrol.error_response_json(refused.code, str(refused), 400)  # type: ignore[no-any-return]

    return answer


def _get(cloudcontrol: Any, data: Document) -> Document:
    made = _find(data)
    properties = json.dumps(_readable(cloudcontrol, made))
    described = {"Identifier": data["Identifier"], "Properties": properties}
    return {"TypeName": data["TypeName"], "ResourceDescription": described}


def _list(cloudcontrol: Any, data: Document) -> Document:
    kind = data.get("TypeName", "")
    found = [
        {"Identifier": made.record["PhysicalResourceId"], "Properties": json.dumps(_readable(cloudcontrol, made))}
        for made in _of_stacks(kind)
    ]
    return {"TypeName": kind, "ResourceDescriptions": found}


def _readable(cloudcontrol: Any, made: Made) -> Document:
    """The properties as they are now, with the read-only ones."""
    return {**made.record.get("Attributes", {}), **made.with_stack_tags(_current(cloudcontrol, made))}


def _update(cloudcontrol: Any, data: Document) -> Document:
    made, kind = _find(data), data["TypeName"]
    if kind not in UPDATES:
        raise CloudControlError("UnsupportedActionException", f"not supported here: UpdateResource of {kind}")
    _authorize(UPDATES[kind], made)
    try:
        properties = patched(_current(cloudcontrol, made), json.loads(data.get("PatchDocument", "")))
    except ValueError as error:  # of JSON, or PatchError
        said = str(error) if isinstance(error, PatchError) else f"PatchDocument is not JSON: {error}"
        raise CloudControlError("InvalidRequestException", said) from error
    _set(made, _current(cloudcontrol, made), properties)
    _remember(cloudcontrol, made, properties)
    event: Document = cloudcontrol._progress_event(
        "UPDATE", "SUCCESS", kind, data["Identifier"], resource_model=json.dumps(properties)
    )
    return {"ProgressEvent": cloudcontrol._record_request(event)}


def _set(made: Made, old: Document, new: Document) -> None:
    from ministack.services.cloudformation import provisioners

    kind, record = made.record["ResourceType"], made.record
    if provisioners._replacing_change(kind, old, new):
        changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        raise CloudControlError(
            "NotUpdatableException", f"Invalid patch update: one of {', '.join(changed)} can only be set at creation"
        )
    try:
        provisioners._update_resource(
            kind, record["PhysicalResourceId"], made.with_stack_tags(old), made.with_stack_tags(new),
            made.stack["StackName"], made.logical_id, record.get("Attributes", {}),
        )  # fmt: skip
    except ValueError as refused:
        raise CloudControlError("InvalidRequestException", str(refused)) from refused


def _authorize(action: str, made: Made) -> None:
    from ministack.core.iam_evaluator import caller_arn

    resource = made.record.get("Attributes", {}).get("Arn") or made.record["PhysicalResourceId"]
    try:
        authorization.authorize(caller_arn(), action, resource)
    except authorization.AccessDeniedError as denied:
        raise CloudControlError("AccessDeniedException", denied.message) from denied


def _find(data: Document) -> Made:
    kind, identifier = str(data.get("TypeName", "")), str(data.get("Identifier", ""))
    for made in _of_stacks(kind):
        if identifier in made.identifiers:
            return made
    raise CloudControlError(
        "ResourceNotFoundException",
        f"Resource of type '{kind}' with identifier '{identifier}' was not found among those of stacks.",
    )


def _of_stacks(kind: str) -> Iterator[Made]:
    from ministack.services import cloudformation

    for stack in list(cloudformation._stacks.values()):
        for logical_id, record in list(stack.get("_resources", {}).items()):
            if record.get("ResourceType") == kind and record.get("PhysicalResourceId"):
                yield Made(stack, logical_id, record)


def _current(cloudcontrol: Any, made: Made) -> Document:
    """The properties that the last update here left, unless the stack has set others since; else the stack's."""
    kept = cloudcontrol._resources.get(_key(made))
    deployed: Document = made.record.get("Properties", {})
    current: Document = kept["Current"] if kept and kept["Deployed"] == deployed else deployed
    return current


def _remember(cloudcontrol: Any, made: Made, properties: Document) -> None:
    cloudcontrol._resources[_key(made)] = {"Current": properties, "Deployed": made.record.get("Properties", {})}


def _key(made: Made) -> str:
    return f"{made.record['ResourceType']}\x00{made.record['PhysicalResourceId']}"


def _refuse(operation: str) -> Callable[[Any, Document], Document]:
    def refuse(_cloudcontrol: Any, _data: Document) -> Document:
        raise CloudControlError("UnsupportedActionException", f"not implemented here: {operation} of Cloud Control")

    return refuse
