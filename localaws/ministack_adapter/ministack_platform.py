"""The services of MiniStack that our SageMaker and Step Functions call: events, logs, metrics, roles, IAM."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from localaws import listeners
from localaws.ministack_adapter import authorization, deliveries, scaled_variants
from localaws.ministack_adapter.alarm_times import has_entered
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.role_telemetry import RoleTelemetry
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.core.request import Caller, Document
from localaws.settings import FILE_NAME, Settings

if TYPE_CHECKING:
    from localaws.sagemaker.service import SageMaker

SAGEMAKER = "sagemaker.amazonaws.com"
# As long as the longest job; AWS renews a job's credentials while it runs.
SESSION_SECONDS = 5 * 24 * 3600
_METRICS_PER_REQUEST = 1000


class MiniStackPlatform:
    """The `Platform` of MiniStack. Every method may be called from any thread."""

    def __init__(self, aws: EmbeddedAws, clock_scale: float = 1.0) -> None:
        self.clock_scale = clock_scale
        self.account = aws.account
        self.region = aws.region
        self.endpoint_url = aws.endpoint_url
        self.state_dir: Path = aws.state_dir / "sagemaker"
        self.image_dir: Path = aws.image_dir
        # The server's file holds the root user's key.
        self.private_dirs = (aws.state_dir, Path.home())
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._aws = aws

    def answer_on(self, listener: socket) -> Callable[[], None]:
        return listeners.answer_on(listener)

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        put_event(self._aws, "aws.sagemaker", detail_type, detail, resources)

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        put_log_events(self._aws, group, stream, events)

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        with request_scope(self.account, self.region):
            for start in range(0, len(data), _METRICS_PER_REQUEST):
                request = {"Namespace": namespace, "MetricData": data[start : start + _METRICS_PER_REQUEST]}
                cloudwatch._put_metric_data({}, request, False, True)
        self._aws.changed("cloudwatch")

    def telemetry_of(self, role_arn: str) -> RoleTelemetry:
        return RoleTelemetry(self, role_arn)

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        if not authorization.role_trusts(role_arn, SAGEMAKER, source_arn):
            raise errors.could_not_assume(role_arn)
        return assume_role(role_arn, session_name, SESSION_SECONDS)

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:
        from localaws.ministack_adapter import registry_images

        return registry_images.registry_image(self._aws, uri, role_arn)

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        arns = {name: f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{name}" for name in names}
        found = {}
        with request_scope(self.account, self.region):
            for name, arn in arns.items():
                _authorize_role(role_arn, "cloudwatch:DescribeAlarms", arn)
                alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
                if alarm is not None:
                    found[name] = "ALARM" if has_entered(name, since) else str(alarm["StateValue"])
        return found

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import sns

        with request_scope(self.account, self.region):
            _authorize_role(role_arn, "sns:Publish", topic_arn)
            for action, key_arn in deliveries.key_uses(topic_arn):
                _authorize_role(role_arn, action, key_arn)
            try:
                published = sns.publish_internal(topic_arn, message)
            except sns.SnsPublishError as error:
                raise errors.SageMakerError(error.code, str(error)) from error
        if published is None:
            raise errors.SageMakerError("NotFound", f"Topic does not exist: {topic_arn}", 404)
        self._aws.changed("sqs")

    def scalable_variants(self, endpoint: str) -> Sequence[str]:
        return scaled_variants.scalable_variants(self._aws, endpoint)

    def deregister_variants(self, caller: Caller, endpoint: str) -> None:
        scaled_variants.deregister_variants(self._aws, caller, endpoint)

    def authorize(self, caller: Caller, action: str, resource: str) -> None:
        context = {"iam:PassedToService": SAGEMAKER} if action == "iam:PassRole" else None
        try:
            authorization.authorize(caller.arn, action, resource, context)
        except authorization.AccessDeniedError as denied:
            raise errors.access_denied(denied.message) from denied


def _authorize_role(role_arn: str, action: str, resource: str) -> None:
    try:
        authorization.authorize_role_call(role_arn, action, resource, session_name="SageMaker")
    except authorization.AccessDeniedError as denied:
        raise errors.access_denied(denied.message) from denied


def make_sagemaker(aws: EmbeddedAws) -> SageMaker:
    """The SageMaker service of this AWS, as `settings.json` in the state folder says."""
    from localaws.sagemaker.service import SageMaker

    settings = Settings.read(aws.state_dir / FILE_NAME)
    return SageMaker(
        MiniStackPlatform(aws, settings.clock_scale),
        settings.spot,
        aws.rule_evaluator,
        settings.quotas,
        is_warm=settings.warm,
        without_capacity=settings.without_capacity,
    )


def put_log_events(aws: EmbeddedAws, group: str, stream: str, events: list[tuple[int, str]]) -> None:
    """Write lines, each with its time in milliseconds, to a log stream that is made where it is missing."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch_logs

    with request_scope(aws.account, aws.region):
        if group not in cloudwatch_logs._log_groups:
            cloudwatch_logs._create_log_group({"logGroupName": group})
        names = {"logGroupName": group, "logStreamName": stream}
        if stream not in cloudwatch_logs._log_groups[group]["streams"]:
            cloudwatch_logs._create_log_stream(names)
        lines = [{"timestamp": at, "message": line} for at, line in events]
        cloudwatch_logs._put_log_events({**names, "logEvents": lines})
    aws.changed("cloudwatch_logs")


def put_event(aws: EmbeddedAws, source: str, detail_type: str, detail: Document, resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus; its targets have it when this returns."""
    from ministack.core.responses import request_scope
    from ministack.services import eventbridge

    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    with request_scope(aws.account, aws.region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    aws.changed("sqs")


def assume_role(role_arn: str, session_name: str, seconds: int) -> Credentials:
    """Fresh credentials of a role, known to this AWS's IAM. Whether the role may be assumed is the caller's matter."""
    from ministack.services import sts

    expiration = time.time() + seconds
    access_key_id = "ASIA" + secrets.token_hex(8).upper()
    credentials = Credentials(
        access_key_id=access_key_id,
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(60),
        expiration=datetime.fromtimestamp(expiration, UTC),
    )
    sts.register_session(
        access_key_id,
        {
            "Arn": authorization.session_arn(role_arn, session_name[:64]),
            "UserId": f"{sts._role_id(role_arn)}:{session_name[:64]}",
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": expiration,
        },
    )
    return credentials
