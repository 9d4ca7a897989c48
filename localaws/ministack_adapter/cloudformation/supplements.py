"""Properties that MiniStack's provisioners accept and then ignore, put into effect after its create and update.

Each is done through the service's own API handler, as CloudFormation does it in AWS. A supplement that fails takes the
resource that was just created with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

Document = dict[str, Any]
Supplement = Callable[[str, Document, Document], None]
"""(physical id, old properties, {} at creation, new properties). Raises ValueError with the stack event's reason."""

_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def register(provisioners: ModuleType) -> None:
    for resource_type, supplement in SUPPLEMENTS.items():
        _wrap(provisioners._RESOURCE_HANDLERS[resource_type], supplement)
    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["delete"] = _delete_bucket


def _wrap(handlers: Document, supplement: Supplement) -> None:
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def supplemented_create(logical_id: str, props: Document, stack_name: str) -> Any:
        created = create(logical_id, props, stack_name)
        try:
            supplement(created[0], {}, props)
        except ValueError:
            delete(created[0], props)
            raise
        return created

    def supplemented_update(physical_id: str, old: Document, new: Document, *rest: Any) -> Any:
        updated = update(physical_id, old, new, *rest)
        supplement(updated[0], old if updated[0] == physical_id else {}, new)
        return updated

    handlers.update(create=supplemented_create, update=supplemented_update)


# --- S3 ---


def _bucket(name: str, old: Document, new: Document) -> None:
    from ministack.services import s3

    if new.get("AccessControl", "Private") != "Private":
        raise ValueError(f"not supported here: AccessControl {new['AccessControl']} of AWS::S3::Bucket")
    _logging(name, old, new)
    for field, (document, put, delete) in _BUCKET_CONFIGURATIONS.items():
        if field in new:
            _checked(getattr(s3, put)(name, document(new[field])))
        elif field in old:
            getattr(s3, delete)(name)
    if old.get("VersioningConfiguration") and not new.get("VersioningConfiguration"):
        s3._bucket_versioning[name] = "Suspended"
    elif "VersioningConfiguration" in new:
        s3._bucket_versioning[name] = new["VersioningConfiguration"]["Status"]


def _logging(name: str, old: Document, new: Document) -> None:
    """Server access logging; without a configuration it is turned off, by an empty status, as in the API."""
    from ministack.services import s3

    value = new.get("LoggingConfiguration")
    if value is None and "LoggingConfiguration" not in old:
        return
    root = _root("BucketLoggingStatus")
    if value is not None:
        unknown = set(value) - {"DestinationBucketName", "LogFilePrefix"}
        if unknown:
            raise ValueError(f"not supported here: {', '.join(sorted(unknown))} of a bucket's LoggingConfiguration")
        enabled = ElementTree.SubElement(root, "LoggingEnabled")
        fields = {
            "TargetBucket": value.get("DestinationBucketName", name),
            "TargetPrefix": value.get("LogFilePrefix", ""),
        }
        _texts(enabled, fields, *fields)
    _checked(s3._put_bucket_logging(name, ElementTree.tostring(root)))


def _encryption(value: Document) -> bytes:
    root = _root("ServerSideEncryptionConfiguration")
    for rule in value["ServerSideEncryptionConfiguration"]:
        element = ElementTree.SubElement(root, "Rule")
        default = ElementTree.SubElement(element, "ApplyServerSideEncryptionByDefault")
        _texts(default, rule["ServerSideEncryptionByDefault"], "SSEAlgorithm", "KMSMasterKeyID")
        _texts(element, rule, "BucketKeyEnabled")
    return ElementTree.tostring(root)


def _lifecycle(value: Document) -> bytes:
    root = _root("LifecycleConfiguration")
    for rule in value["Rules"]:
        unknown = set(rule) - _LIFECYCLE_FIELDS
        if unknown:
            raise ValueError(f"not supported here: {', '.join(sorted(unknown))} of a bucket's lifecycle rule")
        root.append(_lifecycle_rule(rule))
    return ElementTree.tostring(root)


_LIFECYCLE_FIELDS = {
    "Id",
    "Status",
    "Prefix",
    "ExpirationInDays",
    "ExpiredObjectDeleteMarker",
    "AbortIncompleteMultipartUpload",
    "NoncurrentVersionExpiration",
    "Transitions",
}


def _lifecycle_rule(rule: Document) -> ElementTree.Element:
    element = ElementTree.Element("Rule")
    if "Id" in rule:
        ElementTree.SubElement(element, "ID").text = str(rule["Id"])
    ElementTree.SubElement(ElementTree.SubElement(element, "Filter"), "Prefix").text = rule.get("Prefix", "")
    _texts(element, rule, "Status")
    expiration = {"Days": rule.get("ExpirationInDays"), "ExpiredObjectDeleteMarker": rule.get(_DELETE_MARKER)}
    if any(value is not None for value in expiration.values()):
        _texts(ElementTree.SubElement(element, "Expiration"), expiration, *expiration)
    for transition in rule.get("Transitions", []):
        fields = {"Days": transition.get("TransitionInDays"), "StorageClass": transition["StorageClass"]}
        _texts(ElementTree.SubElement(element, "Transition"), fields, *fields)
    for field in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if field in rule:
            _texts(ElementTree.SubElement(element, field), rule[field], *rule[field])
    return element


_DELETE_MARKER = "ExpiredObjectDeleteMarker"


def _ownership(value: Document) -> bytes:
    root = _root("OwnershipControls")
    for rule in value["Rules"]:
        _texts(ElementTree.SubElement(root, "Rule"), rule, "ObjectOwnership")
    return ElementTree.tostring(root)


def _tagging(tags: list[Document]) -> bytes:
    root = _root("Tagging")
    tag_set = ElementTree.SubElement(root, "TagSet")
    for tag in tags:
        _texts(ElementTree.SubElement(tag_set, "Tag"), tag, "Key", "Value")
    return ElementTree.tostring(root)


_BUCKET_CONFIGURATIONS: Mapping[str, tuple[Callable[[Any], bytes], str, str]] = {
    "BucketEncryption": (_encryption, "_put_bucket_encryption", "_delete_bucket_encryption"),
    "LifecycleConfiguration": (_lifecycle, "_put_bucket_lifecycle", "_delete_bucket_lifecycle"),
    "OwnershipControls": (_ownership, "_put_bucket_ownership_controls", "_delete_bucket_ownership_controls"),
    "Tags": (_tagging, "_put_bucket_tagging", "_delete_bucket_tagging"),
}


def _root(name: str) -> ElementTree.Element:
    return ElementTree.Element(name, xmlns=_S3_NAMESPACE)


def _texts(parent: ElementTree.Element, source: Document, *names: str) -> None:
    for name in names:
        value = source.get(name)
        if value is not None:
            ElementTree.SubElement(parent, name).text = str(value).lower() if isinstance(value, bool) else str(value)


def _delete_bucket(physical_id: str, _props: Document) -> None:
    """Delete a bucket as DeleteBucket does: one with objects isn't deleted, and the stack's deletion fails."""
    from ministack.services import s3

    status, _headers, body = s3._delete_bucket(physical_id)
    if status >= 400 and b"NoSuchBucket" not in _bytes(body):
        raise ValueError(_message(body))


# --- DynamoDB ---


def _table(name: str, old: Document, new: Document) -> None:
    from ministack.services import dynamodb

    if not old and new.get("SSESpecification"):
        _checked(dynamodb._update_table({"TableName": name, "SSESpecification": _sse(new["SSESpecification"])}))
    if old and old.get("SSESpecification") != new.get("SSESpecification"):
        _checked(dynamodb._update_table({"TableName": name, "SSESpecification": _sse(new.get("SSESpecification"))}))
    recovery = new.get("PointInTimeRecoverySpecification")
    if recovery != old.get("PointInTimeRecoverySpecification"):
        wanted = recovery or {"PointInTimeRecoveryEnabled": False}
        request = {"TableName": name, "PointInTimeRecoverySpecification": wanted}
        _checked(dynamodb._update_continuous_backups(request))
    expiry = new.get("TimeToLiveSpecification")
    if expiry != old.get("TimeToLiveSpecification"):
        wanted = expiry or {**old["TimeToLiveSpecification"], "Enabled": False}
        _checked(dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": wanted}))


def _sse(specification: Document | None) -> Document:
    """The API's specification, whose `Enabled` is CloudFormation's `SSEEnabled`."""
    if not specification:
        return {"Enabled": False}
    rest = {key: value for key, value in specification.items() if key != "SSEEnabled"}
    return {"Enabled": specification.get("SSEEnabled", True), **rest}


# --- SNS ---


def _topic(arn: str, old: Document, _new: Document) -> None:
    """A new topic's default policy, which is for the account's own; MiniStack's is for everybody."""
    from ministack.services import sns

    if not old:
        policy = json.loads(sns._topics[arn]["attributes"]["Policy"])
        policy["Statement"][0]["Condition"] = {"StringEquals": {"AWS:SourceOwner": arn.split(":")[4]}}
        sns._topics[arn]["attributes"]["Policy"] = json.dumps(policy)


# --- IAM, Lambda, EventBridge ---


def _role(name: str, old: Document, new: Document) -> None:
    from ministack.services import iam

    boundary = new.get("PermissionsBoundary")
    if boundary and iam._lookup_policy(boundary) is None:
        raise ValueError(f"Scope ARN: {boundary} does not exist or is not attachable. (Service: Iam, Status Code: 404)")
    if boundary:
        iam._roles[name]["PermissionsBoundary"] = boundary
    elif old.get("PermissionsBoundary"):
        iam._roles[name].pop("PermissionsBoundary", None)


def _function(name: str, _old: Document, new: Document) -> None:
    from ministack.services import lambda_svc

    from localaws.ministack_adapter.authorization import role_trusts
    from localaws.ministack_adapter.lambdas import unsupported
    from localaws.ministack_adapter.passed_roles import function_arn

    if reason := unsupported(new):
        raise ValueError(reason)
    code = new.get("Code", {})
    function = lambda_svc._functions.get(name)
    if function is not None and code.get("S3Key") and not function.get("code_zip"):
        raise ValueError(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
            f"S3 Error Message: The specified key does not exist. ({code.get('S3Bucket')}/{code['S3Key']})"
        )
    if not role_trusts(str(new.get("Role", "")), "lambda.amazonaws.com", function_arn(name)):
        raise ValueError(f"The role defined for the function cannot be assumed by Lambda: {new.get('Role')}")
    if function is not None:
        _dead_letters(function, new)


def _dead_letters(function: Document, new: Document) -> None:
    """Set the dead-letter queue, if the role may send to it ("Adding a dead-letter queue", Lambda Developer Guide)."""
    from localaws.ministack_adapter.authorization import AccessDeniedError, authorize_role_call

    target = str((new.get("DeadLetterConfig") or {}).get("TargetArn") or "")
    function["config"].pop("DeadLetterConfig", None)
    if not target:
        return
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(target.split(":")[2], "")
    try:
        authorize_role_call(str(new["Role"]), action, target)
    except AccessDeniedError as denied:
        raise ValueError(f"The provided execution role does not have permissions: {denied.message}") from denied
    function["config"]["DeadLetterConfig"] = {"TargetArn": target}


def _rule(_name: str, _old: Document, new: Document) -> None:
    from ministack.services import eventbridge

    pattern, schedule = new.get("EventPattern"), new.get("ScheduleExpression")
    if pattern:
        problem = eventbridge._event_pattern_error(pattern if isinstance(pattern, str) else json.dumps(pattern))
        if problem:
            raise ValueError(f"Event pattern is not valid. Reason: {problem}")
    if schedule and not eventbridge._validate_schedule_expression(schedule):
        raise ValueError(f"Parameter ScheduleExpression is not valid: {schedule}")


# --- CodeBuild ---


def _build_project(name: str, _old: Document, new: Document) -> None:
    from localaws.builds.projects import InvalidInputError
    from localaws.ministack_adapter import builds

    try:
        builds.keep_settings(name, builds.request_of(new))
    except InvalidInputError as error:
        raise ValueError(str(error)) from error


SUPPLEMENTS: Mapping[str, Supplement] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::DynamoDB::Table": _table,
    "AWS::SNS::Topic": _topic,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::Events::Rule": _rule,
    "AWS::CodeBuild::Project": _build_project,
}


def _checked(response: tuple[int, Any, Any]) -> None:
    if response[0] >= 400:
        raise ValueError(_message(response[2]))


def _message(body: Any) -> str:
    """The message in a service's error body, JSON or XML."""
    text = _bytes(body).decode(errors="replace")
    try:
        document = json.loads(text)
        return str(document.get("message") or document.get("Message") or text)
    except (ValueError, AttributeError):
        return next(_between(text, "<Message>", "</Message>"), text)


def _between(text: str, start: str, end: str) -> Iterator[str]:
    _before, found, rest = text.partition(start)
    if found:
        yield rest.partition(end)[0]


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
