"""Application Auto Scaling as one object: a request goes in with its caller, a response or an AWS error comes out."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

from localaws.autoscaling import requests, tracking
from localaws.autoscaling.records import ACTION, ACTIVITY, POLICY, TARGET, Records, new_arn
from localaws.autoscaling.requests import TRACKING
from localaws.autoscaling.scaling import Scaler
from localaws.autoscaling.schedules import Schedule
from localaws.autoscaling.surroundings import Surroundings, Variant
from localaws.sagemaker.core import errors, validation
from localaws.sagemaker.core.request import Caller, Document, Handler

_SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_PAGE = 50
# What a caller needs besides ("Auto scaling prerequisites", developer guide).
_SCALES = ("sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities")
_SETS_ALARMS = ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms")

# Those that do the work.
OPERATIONS = frozenset(
    {"RegisterScalableTarget", "DeregisterScalableTarget", "DescribeScalableTargets"}
    | {"PutScalingPolicy", "DeleteScalingPolicy", "DescribeScalingPolicies"}
    | {"PutScheduledAction", "DeleteScheduledAction", "DescribeScheduledActions"}
    | {"DescribeScalingActivities", "TagResource", "UntagResource", "ListTagsForResource"}
)


class AutoScaling:
    """The service. All methods are thread-safe and may block: never call them on an event loop."""

    def __init__(self, around: Surroundings, path: Path) -> None:
        self._around = around
        self._records = Records(path)
        self._lock = threading.RLock()
        self._scaler = Scaler(around, self._records, self._lock)
        self._handlers = self._all_handlers()

    def _all_handlers(self) -> dict[str, Handler]:
        return {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._describe_targets,
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "PutScheduledAction": self._put_action,
            "DeleteScheduledAction": self._delete_action,
            "DescribeScheduledActions": self._describe_actions,
            "DescribeScalingActivities": self._describe_activities,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def start(self) -> None:
        """Begin to scale, as it was before a restart."""
        self._scaler.start()

    def close(self) -> None:
        self._scaler.close()
        self._records.close()

    def handle(self, operation: str, request: Document, caller: Caller) -> Document:
        """Answer one request, whose caller has been authorized for it. Raises SageMakerError."""
        handler = self._handlers.get(operation)
        if handler is None:
            raise errors.not_implemented(operation)
        validation.check_shape(requests.service_model().operation_model(operation).input_shape, request)
        with self._lock:
            return handler(request, caller)

    # --- for others

    def target_arn(self, resource: str) -> str | None:
        """The ARN of a resource's scalable target; None where it is none."""
        target = self._records.get(TARGET, resource)
        return None if target is None else str(target["ScalableTargetARN"])

    def target_arns(self, endpoint: str) -> list[str]:
        """The ARNs of an endpoint's scalable targets."""
        found = (self.target_arn(variant.resource) for variant in self._records.variants(endpoint))
        return [arn for arn in found if arn is not None]

    def scalable_variants(self, endpoint: str) -> list[str]:
        """The names of an endpoint's variants that are scalable targets."""
        return [variant.name for variant in self._records.variants(endpoint)]

    def forget(self, endpoint: str) -> None:
        """The endpoint is being deleted: none of its variants is a scalable target any more."""
        with self._lock:
            for variant in list(self._records.variants(endpoint)):
                self._remove(variant)

    def tags(self, arn: str) -> dict[str, str]:
        return self._records.store.tags(arn)

    # --- scalable targets

    def _register(self, request: Document, caller: Caller) -> Document:
        variant = requests.variant_of(request)
        before = self._records.get(TARGET, variant.resource)
        limits = {member: request.get(member, (before or {}).get(member)) for member in ("MinCapacity", "MaxCapacity")}
        requests.check_limits(limits["MinCapacity"], limits["MaxCapacity"])
        self._around.authorize(caller, _SCALES, self._endpoint_arn(variant))
        requests.check_scalable(variant, self._around.capacity(variant))
        if before and request.get("Tags"):
            raise errors.not_supported("Tags of a scalable target that exists; there is TagResource")
        known = {key: value for key, value in (before or {}).items() if key != "Tried"}  # new limits hold at once
        target = (known or self._new_target(request, caller)) | limits
        suspended = {**target["SuspendedState"], **request.get("SuspendedState", {})}
        self._records.put(TARGET, target | {"SuspendedState": suspended, "Due": True})
        self._records.store.add_tags(target["ScalableTargetARN"], request.get("Tags", {}))
        self._scaler.wake()
        return {"ScalableTargetARN": target["ScalableTargetARN"]}

    def _new_target(self, request: Document, caller: Caller) -> Document:
        around = self._around
        return {
            **{member: request[member] for member in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
            "RoleARN": around.make_role(caller),
            "CreationTime": around.now(),
            "SuspendedState": dict.fromkeys(_SUSPENDED, False),
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{around.region}:{around.account}:scalable-target/"
            f"{uuid.uuid4().hex[:26]}",
        }

    def _endpoint_arn(self, variant: Variant) -> str:
        return f"arn:aws:sagemaker:{self._around.region}:{self._around.account}:endpoint/{variant.endpoint}"

    def _deregister(self, request: Document, caller: Caller) -> Document:
        variant = requests.variant_of(request)
        self._target(request)
        self._may_delete_alarms(caller, self._records.all(POLICY, variant.resource))
        self._remove(variant)
        return {}

    def _remove(self, variant: Variant) -> None:
        target = self._records.get(TARGET, variant.resource)
        policies = self._records.all(POLICY, variant.resource)
        if target is not None:
            self._records.remove_target(target)
        self._around.delete_alarms([alarm["AlarmName"] for policy in policies for alarm in policy["Alarms"]])

    def _target(self, request: Document) -> Document:
        target = self._records.get(TARGET, request["ResourceId"])
        if target is None:
            raise requests.not_found(f"No scalable target registered for {requests.named(request)}")
        return target

    def _describe_targets(self, request: Document, _caller: Caller) -> Document:
        requests.check_namespace(request)
        wanted = request.get("ResourceIds")
        found = [each for each in self._records.all(TARGET) if not wanted or each["ResourceId"] in wanted]
        return _page(request, "ScalableTargets", found)

    # --- policies

    def _put_policy(self, request: Document, caller: Caller) -> Document:
        variant, name = requests.variant_of(request), request["PolicyName"]
        self._target(request)
        before = self._records.get(POLICY, variant.resource, name) or {}
        policy_type = str(request.get("PolicyType") or before.get("PolicyType", "StepScaling"))
        requests.check_policy({**before, **request}, policy_type)
        around = self._around
        made = {
            "PolicyARN": new_arn(around.region, around.account, "scalingPolicy", variant, name),
            "CreationTime": around.now(),
            **before,
            **request,
            "PolicyType": policy_type,
        }
        policy = made | {"Alarms": self._alarms(variant, made, before, caller)}
        self._records.put(POLICY, policy, name)
        self._scaler.wake()
        return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}

    def _alarms(self, variant: Variant, policy: Document, before: Document, caller: Caller) -> list[Document]:
        """Make the policy's alarms, under the names that they have."""
        old = [alarm["AlarmName"] for alarm in before.get("Alarms", [])]
        names = tracking.alarm_names(variant, policy[TRACKING], [str(uuid.uuid4()) for _ in range(2)])
        names = [*old[: len(names)], *names[len(old) :]]
        self._around.authorize(caller, _SETS_ALARMS, self._alarm_arn(names[0]))
        self._around.put_alarms(tracking.alarms(variant, policy["PolicyARN"], policy[TRACKING], names))
        self._around.delete_alarms([name for name in old if name not in names])
        return [{"AlarmName": name, "AlarmARN": self._alarm_arn(name)} for name in names]

    def _alarm_arn(self, name: str) -> str:
        return f"arn:aws:cloudwatch:{self._around.region}:{self._around.account}:alarm:{name}"

    def _may_delete_alarms(self, caller: Caller, policies: list[Document]) -> None:
        for policy in policies:
            for alarm in policy["Alarms"]:
                self._around.authorize(caller, ("cloudwatch:DeleteAlarms",), alarm["AlarmARN"])

    def _delete_policy(self, request: Document, caller: Caller) -> Document:
        resource, name = requests.variant_of(request).resource, request["PolicyName"]
        policy = self._records.get(POLICY, resource, name)
        if policy is None:
            raise requests.not_found(f"No scaling policy found for {requests.named(request)}, policy name: {name}")
        self._may_delete_alarms(caller, [policy])
        self._records.remove(POLICY, resource, name)
        self._around.delete_alarms([alarm["AlarmName"] for alarm in policy["Alarms"]])
        return {}

    def _describe_policies(self, request: Document, _caller: Caller) -> Document:
        return self._described(request, POLICY, "ScalingPolicies", "PolicyName")

    # --- scheduled actions

    def _put_action(self, request: Document, _caller: Caller) -> Document:
        variant, name, now = requests.variant_of(request), request["ScheduledActionName"], self._around.now()
        self._target(request)
        before = self._records.get(ACTION, variant.resource, name) or {}
        around = self._around
        action = {
            "ScheduledActionARN": new_arn(around.region, around.account, "scheduledAction", variant, name),
            "CreationTime": now,
            **before,
            **request,
        }
        requests.check_scheduled_action(action, now)
        schedule = Schedule.of(action["Schedule"], action.get("Timezone", "UTC"))
        due = schedule.next_after(now, started=action["CreationTime"])
        self._records.put(ACTION, action | {"Next": due}, name)
        self._scaler.wake()
        return {}

    def _delete_action(self, request: Document, _caller: Caller) -> Document:
        resource, name = requests.variant_of(request).resource, request["ScheduledActionName"]
        if self._records.get(ACTION, resource, name) is None:
            what = requests.named(request)
            raise requests.not_found(f"No scheduled action found for {what}, scheduled action name: {name}")
        self._records.remove(ACTION, resource, name)
        return {}

    def _describe_actions(self, request: Document, _caller: Caller) -> Document:
        return self._described(request, ACTION, "ScheduledActions", "ScheduledActionName")

    def _describe_activities(self, request: Document, _caller: Caller) -> Document:
        requests.check_namespace(request)
        if request.get("IncludeNotScaledActivities"):
            raise errors.not_supported("IncludeNotScaledActivities=true")
        found = self._records.all(ACTIVITY, request.get("ResourceId"))
        newest_first = sorted(found, key=lambda activity: -activity["StartTime"])
        return _page(request, "ScalingActivities", newest_first)

    def _described(self, request: Document, kind: str, member: str, name: str) -> Document:
        requests.check_namespace(request)
        wanted = request.get(f"{name}s" if kind == ACTION else "PolicyNames")
        found = self._records.all(kind, request.get("ResourceId"))
        return _page(request, member, [each for each in found if not wanted or each[name] in wanted])

    # --- tags

    def _tag(self, request: Document, _caller: Caller) -> Document:
        self._records.store.add_tags(self._tagged(request), request["Tags"])
        return {}

    def _untag(self, request: Document, _caller: Caller) -> Document:
        self._records.store.delete_tags(self._tagged(request), request["TagKeys"])
        return {}

    def _list_tags(self, request: Document, _caller: Caller) -> Document:
        return {"Tags": self.tags(self._tagged(request))}

    def _tagged(self, request: Document) -> str:
        arn = str(request["ResourceARN"])
        if not any(target["ScalableTargetARN"] == arn for target in self._records.all(TARGET)):
            raise errors.SageMakerError("ResourceNotFoundException", f"Scalable target {arn} not found")
        return arn


_SHOWN: dict[str, str] = {
    "ScalableTargets": "ScalableTarget",
    "ScalingPolicies": "ScalingPolicy",
    "ScheduledActions": "ScheduledAction",
    "ScalingActivities": "ScalingActivity",
}


def _page(request: Document, member: str, found: list[Document]) -> Document:
    """A page of what was found, and the token of the next; only what AWS shows of each."""
    token = request.get("NextToken", "0")
    if not token.isdigit():
        raise errors.SageMakerError("InvalidNextTokenException", "The next token is invalid")
    size = request.get("MaxResults", _PAGE)
    if not 1 <= size <= _PAGE:
        raise errors.validation(f"MaxResults must be between 1 and {_PAGE}")
    first, shown = int(token), requests.service_model().shape_for(_SHOWN[member]).members
    part = [{key: value for key, value in each.items() if key in shown} for each in found[first : first + size]]
    return {member: part, **({"NextToken": str(first + size)} if len(found) > first + size else {})}
