"""AWS::SageMaker::* by our SageMaker service (CloudFormation Template Reference, "Amazon SageMaker AI")."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

if TYPE_CHECKING:
    from botocore.model import Shape

    from localaws.sagemaker.core.request import Caller

Document = dict[str, Any]
Created = tuple[str, Document]

_MAX_NAME = 63
# CloudFormation itself waits up to three hours for an endpoint; a container that never gets healthy fails far sooner.
_ENDPOINT_SECONDS = 3600
_MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True)
class Type:
    """A resource type over the API: operations, the member that names it, and what Fn::GetAtt knows.

    `updates_in_place` are the properties whose update needs no replacement, beside the tags.
    """

    name: str
    kind: str
    member: str
    attributes: Callable[[Document], Document]
    updates_in_place: tuple[str, ...] = ()


TYPES = (
    Type("Model", "model", "ModelName", lambda described: {"ModelName": described["ModelName"]}),
    Type(
        "EndpointConfig",
        "endpoint-config",
        "EndpointConfigName",
        lambda described: {"EndpointConfigName": described["EndpointConfigName"]},
    ),
    Type(
        "Endpoint",
        "endpoint",
        "EndpointName",
        lambda described: {"EndpointName": described["EndpointName"]},
        updates_in_place=(
            "EndpointConfigName",
            "DeploymentConfig",
            "RetainDeploymentConfig",
            "RetainAllVariantProperties",
            "ExcludeRetainedVariantProperties",
        ),
    ),
    Type(
        "ModelPackageGroup",
        "model-package-group",
        "ModelPackageGroupName",
        lambda described: {
            "ModelPackageGroupArn": described["ModelPackageGroupArn"],
            "ModelPackageGroupStatus": described["ModelPackageGroupStatus"],
            "CreationTime": _iso(described["CreationTime"]),
        },
    ),
)


def register(provisioners: ModuleType, aws: EmbeddedAws) -> None:
    for resource_type in TYPES:
        name = f"AWS::SageMaker::{resource_type.name}"
        resource = Resource(aws, resource_type, provisioners)
        provisioners._RESOURCE_HANDLERS[name] = {
            "create": resource.create,
            "update": resource.update,
            "delete": resource.delete,
        }
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
        provisioners._CUSTOM_NAME_REPLACEMENT[name] = {"name": resource_type.member}
        provisioners._REPLACING_PROPERTIES[name] = _replacing(resource_type)


def _replacing(resource_type: Type) -> Any:
    return _AllBut({"Tags", *resource_type.updates_in_place})


class _AllBut(tuple[str, ...]):
    """The properties that need a replacement: every one but these. Asked with `in` only."""

    def __new__(cls, names: set[str]) -> _AllBut:
        made = super().__new__(cls)
        made.names = frozenset(names)  # type: ignore[attr-defined]
        return made

    def __contains__(self, name: object) -> bool:
        return name not in self.names  # type: ignore[attr-defined]


class Resource:
    """Creates, updates and deletes resources of one type. Raises ValueError, whose text the stack event shows."""

    def __init__(self, aws: EmbeddedAws, resource_type: Type, provisioners: ModuleType) -> None:
        self._aws = aws
        self._type = resource_type
        self._provisioners = provisioners

    def create(self, logical_id: str, props: Document, stack_name: str) -> Created:
        name = props.get(self._type.member) or self._provisioners._physical_name(
            stack_name, logical_id, max_len=_MAX_NAME
        )
        request = {**props, self._type.member: name}
        for unsent in ("RetainDeploymentConfig", "RetainAllVariantProperties", "ExcludeRetainedVariantProperties"):
            request.pop(unsent, None)
        operation = f"Create{self._type.name}"
        self._call(operation, coerced(_without_reserved_tags(request), _input_shape(operation)))
        if self._type.name == "Endpoint":
            self._await_created(name)
        return self._created(name)

    def update(self, physical_id: str, old: Document, new: Document, _stack_name: str) -> Created:
        """In place: what needs a replacement has been replaced by the engine before."""
        name = _name(physical_id)
        if any(old.get(field) != new.get(field) for field in self._type.updates_in_place):
            self._update_endpoint(name, new)
        self._retag(physical_id, old, new)
        return self._created(name)

    def delete(self, physical_id: str, _props: Document) -> None:
        name = _name(physical_id)
        if self._described(name) is None:
            return
        self._call(f"Delete{self._type.name}", {self._type.member: name})
        if self._type.name == "Endpoint":
            self._await(lambda: self._described(name) is None)

    def _created(self, name: str) -> Created:
        described = self._call(f"Describe{self._type.name}", {self._type.member: name})
        return str(described[f"{self._type.name}Arn"]), self._type.attributes(described)

    def _await_created(self, name: str) -> None:
        described = self._settled(name)
        if described["EndpointStatus"] != "InService":
            # CloudFormation has no id of it yet, so nothing else would delete it.
            self._call("DeleteEndpoint", {"EndpointName": name})
            raise ValueError(f"Endpoint {name} failed to create: {described.get('FailureReason', 'no reason given')}")

    def _update_endpoint(self, name: str, new: Document) -> None:
        request = {field: new[field] for field in self._type.updates_in_place if field in new}
        self._call("UpdateEndpoint", coerced({**request, "EndpointName": name}, _input_shape("UpdateEndpoint")))
        described = self._settled(name)
        if described["EndpointStatus"] != "InService" or described["EndpointConfigName"] != _name(
            str(new["EndpointConfigName"])
        ):
            raise ValueError(
                f"Endpoint {name} failed to update: {described.get('FailureReason', 'it was rolled back')}"
            )

    def _settled(self, name: str) -> Document:
        self._await(lambda: (self._described(name) or {}).get("EndpointStatus") not in _MOVING)
        return self._described(name) or {"EndpointStatus": "Deleted"}

    def _await(self, condition: Callable[[], bool]) -> None:
        if not self._aws.sagemaker.context.changes.wait_until(condition, _ENDPOINT_SECONDS):
            raise ValueError(f"The endpoint did not stabilize within {_ENDPOINT_SECONDS} seconds.")

    def _retag(self, arn: str, old: Document, new: Document) -> None:
        old_tags, new_tags = (_without_reserved_tags(props).get("Tags", []) for props in (old, new))
        kept = {tag["Key"] for tag in new_tags}
        dropped = [tag["Key"] for tag in old_tags if tag["Key"] not in kept]
        if dropped:
            self._call("DeleteTags", {"ResourceArn": arn, "TagKeys": dropped})
        if new_tags and old_tags != new_tags:
            self._call("AddTags", {"ResourceArn": arn, "Tags": new_tags})

    def _described(self, name: str) -> Document | None:
        from localaws.sagemaker.core.errors import SageMakerError

        try:
            return self._aws.sagemaker.handle(
                f"Describe{self._type.name}", {self._type.member: name}, _caller(self._aws)
            )
        except SageMakerError as error:
            if error.code in ("ValidationException", "ResourceNotFound"):
                return None
            raise

    def _call(self, operation: str, request: Document) -> Document:
        from localaws.sagemaker.core.errors import SageMakerError

        try:
            return self._aws.sagemaker.handle(operation, request, _caller(self._aws))
        except SageMakerError as error:
            raise ValueError(
                f"{error.message} (Service: SageMaker, Status Code: {error.http_status}, Error Code: {error.code})"
            ) from error


def _caller(aws: EmbeddedAws) -> Caller:
    from localaws.sagemaker.core.request import Caller

    return Caller(arn=f"arn:aws:iam::{aws.account}:root", account=aws.account, region=aws.region)


def _name(physical_id: str) -> str:
    """The name in an ARN, or the name itself."""
    return physical_id.rpartition("/")[2]


def _without_reserved_tags(props: Mapping[str, Any]) -> Document:
    """Without the `aws:` tags that only AWS itself may set."""
    tags = [tag for tag in props.get("Tags") or [] if not str(tag.get("Key", "")).startswith("aws:")]
    rest = {key: value for key, value in props.items() if key != "Tags"}
    return {**rest, "Tags": tags} if tags else rest


def coerced(value: Any, shape: Shape) -> Any:
    """Template scalars (parameters are strings) in the types of the API's model."""
    if shape.type_name == "structure" and isinstance(value, dict):
        members: Any = shape.members
        return {key: coerced(item, members[key]) if key in members else item for key, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [coerced(item, shape.member) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: coerced(item, shape.value) for key, item in value.items()}
    return _scalar(value, shape.type_name)


def _scalar(value: Any, type_name: str) -> Any:
    if type_name == "boolean" and value in ("true", "false"):
        return value == "true"
    if type_name == "string" and isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if type_name in ("integer", "long", "float", "double") and isinstance(value, str):
        try:
            return int(value) if type_name in ("integer", "long") else float(value)
        except ValueError:
            return value
    return value


def _input_shape(operation: str) -> Shape:
    from localaws.sagemaker.core.validation import service_model

    shape = service_model().operation_model(operation).input_shape
    assert shape is not None  # noqa: S101 - every Create and Update has one
    return shape


def _iso(epoch_seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_seconds))
