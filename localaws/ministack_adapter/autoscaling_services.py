"""The services of this AWS that Application Auto Scaling calls: SageMaker, CloudWatch's alarms and metrics, IAM."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from localaws.autoscaling.surroundings import Capacity, Variant
from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.alarm_evaluation import Look, latest
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.scaled_variants import state_file
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Caller, Document
from localaws.settings import FILE_NAME, Settings

if TYPE_CHECKING:
    from localaws.autoscaling.service import AutoScaling

SERVICE_PRINCIPAL = "sagemaker.application-autoscaling.amazonaws.com"
ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_LAST_PERIODS = 3


class AutoScalingServices:
    """The `Surroundings` of Application Auto Scaling."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.account, self.region = aws.account, aws.region
        self.clock_scale = Settings.read(aws.state_dir / FILE_NAME).clock_scale
        self._aws = aws
        self._role_arn = f"arn:aws:iam::{aws.account}:role/aws-service-role/{SERVICE_PRINCIPAL}/{ROLE}"

    def now(self) -> float:
        return time.time()

    # --- SageMaker

    def capacity(self, variant: Variant) -> Capacity | None:
        endpoint = self._aws.sagemaker.context.store.get("endpoint", variant.endpoint) or {}
        variants = endpoint.get("Deployed", {}).get("Variants", [])
        found = next((each for each in variants if each["VariantName"] == variant.name), None)
        if found is None:
            return None
        return Capacity(
            instance_type=found.get("InstanceType", ""),
            desired=found.get("InstanceCount", 0),
            status=endpoint["EndpointStatus"],
            reason=endpoint.get("FailureReason", ""),
        )

    def set_capacity(self, variant: Variant, count: int) -> None:
        arn = authorization.session_arn(self._role_arn, "AutoScaling-UpdateDesiredCapacity")
        wanted = [{"VariantName": variant.name, "DesiredInstanceCount": count}]
        request = {"EndpointName": variant.endpoint, "DesiredWeightsAndCapacities": wanted}
        caller = Caller(arn, self.account, self.region)
        self._aws.sagemaker.handle("UpdateEndpointWeightsAndCapacities", request, caller)

    # --- CloudWatch

    def put_alarms(self, alarms: Sequence[Document]) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(self.account, self.region):
            for alarm in alarms:
                status, _, body = cloudwatch._put_metric_alarm({}, alarm, False, True)
                if status >= 400:
                    raise errors.validation(str(json.loads(body).get("message", body)))
        self._aws.changed("cloudwatch")

    def delete_alarms(self, names: Sequence[str]) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(self.account, self.region):
            cloudwatch._delete_alarms({}, {"AlarmNames": list(names)}, False, True)
        self._aws.changed("cloudwatch")

    def sounding(self, names: Sequence[str]) -> Mapping[str, float | None]:
        found = {name: self._alarm(name) for name in names}
        return {
            name: latest(alarm, self._look(_LAST_PERIODS))
            for name, alarm in found.items()
            if alarm is not None and alarm["StateValue"] == "ALARM"
        }

    def has_metric(self, alarm: str) -> bool:
        found = self._alarm(alarm)
        return found is None or latest(found, self._look(1)) is not None

    def put_metric(self, namespace: str, datum: Document) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        request = {"Namespace": namespace, "MetricData": [{**datum, "Timestamp": time.time()}]}
        with request_scope(self.account, self.region):
            cloudwatch._put_metric_data({}, request, False, True)
        self._aws.changed("cloudwatch")

    def _alarm(self, name: str) -> Document | None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(self.account, self.region):
            found: Document | None = cloudwatch._alarms.get(name)
        return found

    def _look(self, periods: int) -> Look:
        return Look(periods, time.time(), self.clock_scale)

    # --- IAM

    def make_role(self, caller: Caller) -> str:
        from ministack.core.responses import request_scope
        from ministack.services import iam

        with request_scope(self.account, self.region):
            if ROLE not in iam._roles:
                self._authorize(caller, "iam:CreateServiceLinkedRole", {"iam:AWSServiceName": SERVICE_PRINCIPAL})
                iam._roles[ROLE] = self._new_role()
                self._aws.changed("iam")
        return self._role_arn

    def _new_role(self) -> Document:
        from ministack.services import iam

        allow = {"Effect": "Allow", "Principal": {"Service": SERVICE_PRINCIPAL}, "Action": "sts:AssumeRole"}
        return {
            "RoleName": ROLE,
            "Arn": self._role_arn,
            "RoleId": iam._gen_id("AROA"),
            "CreateDate": iam._now(),
            "Path": f"/aws-service-role/{SERVICE_PRINCIPAL}/",
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
            "Description": "",
            "MaxSessionDuration": 3600,
            "AttachedPolicies": [],
            "InlinePolicies": {},
            "Tags": [],
        }

    def _authorize(self, caller: Caller, action: str, keys: Document) -> None:
        try:
            authorization.authorize(caller.arn, action, self._role_arn, keys)
        except authorization.AccessDeniedError as denied:
            raise errors.access_denied(denied.message) from denied

    def authorize(self, caller: Caller, actions: Sequence[str], resource: str) -> None:
        try:
            for action in actions:
                authorization.authorize(caller.arn, action, resource)
        except authorization.AccessDeniedError as denied:
            raise errors.access_denied(denied.message) from denied


def make_autoscaling(aws: EmbeddedAws) -> AutoScaling:
    """Application Auto Scaling of this AWS, which begins to scale."""
    from localaws.autoscaling.service import AutoScaling

    service = AutoScaling(AutoScalingServices(aws), state_file(aws))
    service.start()
    return service
