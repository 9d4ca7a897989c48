"""SageMaker's tasks: sagemaker:* (optimized, some with .sync) and aws-sdk:sagemaker:*.

They call the SageMaker service directly, each after the checks that IAM would make of the same request.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import checks, resource_arns
from localaws.ministack_adapter.stepfunctions.roles import SESSION_NAME
from localaws.sagemaker.core.events import in_milliseconds
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.settings import Settings
from localaws.states.errors import StatesError
from localaws.states.history import json_text
from localaws.states.runtime import TaskCall

if TYPE_CHECKING:
    from localaws.sagemaker.core.request import Caller
    from localaws.sagemaker.jobs.kind import JobKind

logger = logging.getLogger(__name__)

MANAGED_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}
# The optimized integrations beside those that start jobs.
_OTHER_ACTIONS = ("createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint")
MANAGED_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")
# A change wakes the wait at once; this only bounds it, so that an abandoned one ends.
_LOOK_AGAIN_SECONDS = 5.0

# Exceptions that SageMaker's API models; the SDKs name the rest after the service.
_MODELLED = {
    "ConflictException": "ConflictException",
    "ResourceInUse": "ResourceInUseException",
    "ResourceLimitExceeded": "ResourceLimitExceededException",
    "ResourceNotFound": "ResourceNotFoundException",
}


def optimized_actions() -> dict[str, set[str]]:
    """The actions of sagemaker:* that are here, with the patterns that each supports beside request-response."""
    return {action: set() for action in _OTHER_ACTIONS} | {action: {".sync"} for action in waited_for()}


@cache
def waited_for() -> dict[str, JobKind]:
    """The kinds of jobs that `.sync` waits for, by the action that starts one."""
    from localaws.sagemaker.jobs.kinds import KINDS

    return {_camel(kind.create): kind for kind in KINDS if kind.managed_rule}


class SageMakerTasks:
    def __init__(self, aws: EmbeddedAws, settings: Settings) -> None:
        self._aws = aws
        self._settings = settings

    def sdk(self, role_arn: str, action: str, arguments: Any) -> Any:
        """aws-sdk:sagemaker:<action>: members as the SDK for Java 2 spells them, times as ISO 8601."""
        from ministack.services import stepfunctions

        from localaws.sagemaker.core.validation import service_model

        model = service_model().operation_model(_pascal(action))
        request = stepfunctions._sdk_json_param_value(arguments or {}, model.input_shape) if model.input_shape else {}
        answer = self._call(role_arn, action, request, sdk=True)
        return stepfunctions._sdk_json_value(answer, model.output_shape) if model.output_shape else {}

    def optimized(self, role_arn: str, action: str, call: TaskCall) -> Any:
        """sagemaker:<action>; `.sync` waits for the job and returns its Describe document."""
        if not call.resource.endswith(".sync"):
            return in_milliseconds(self._call(role_arn, action, call.arguments, sdk=False))
        kind = waited_for()[action]
        self._check_tags_readable(role_arn, action, call.arguments)
        answer = self._call(role_arn, action, _managed(call.arguments), sdk=False)
        call.attempt.on_abandon(lambda: self._stop(role_arn, kind, call.arguments[kind.name]))
        call.submitted(answer)
        document = self._ended(role_arn, kind, call)
        return self._outcome(kind, in_milliseconds(document))

    def _check_tags_readable(self, role_arn: str, action: str, arguments: dict[str, Any]) -> None:
        """`.sync` may read the job's tags, by the policies in "IAM policies for calling SageMaker AI". They don't say
        when it does: it is asked before there is a job."""
        resource = resource_arns(self._aws.region, self._aws.account, _pascal(action), arguments)[0]
        try:
            authorization.authorize_role_call(role_arn, "sagemaker:ListTags", resource, session_name=SESSION_NAME)
        except authorization.AccessDeniedError as denied:
            raise _failed(denied.code, denied.message, 400, sdk=False) from denied

    def _ended(self, role_arn: str, kind: JobKind, call: TaskCall) -> dict[str, Any]:
        """The job's Describe document once it has ended; {} where the workflow doesn't wait for it any more."""
        request = {kind.name: call.arguments[kind.name]}
        while not call.attempt.abandoned:
            document: dict[str, Any] = self._call(role_arn, _camel(kind.describe), request, sdk=False)
            status = str(document[kind.status])
            if status in TERMINAL:
                return document
            self._aws.sagemaker.wait_for_change(kind, request[kind.name], status, _LOOK_AGAIN_SECONDS)
        return {}

    def _outcome(self, kind: JobKind, document: dict[str, Any]) -> dict[str, Any]:
        status = document.get(kind.status)
        if status == "Failed" or (status == "Stopped" and self._settings.stopped_job == "fails"):
            raise StatesError("States.TaskFailed", json_text(document))
        return document

    def _stop(self, role_arn: str, kind: JobKind, name: str) -> None:
        """The execution was stopped, or the task timed out: AWS stops the job then. It may have ended already."""
        try:
            self._call(role_arn, _camel(kind.stop), {kind.name: name}, sdk=False)
        except StatesError as error:
            logger.warning("the job %s could not be stopped: %s", name, error)

    def _call(self, role_arn: str, action: str, arguments: Any, *, sdk: bool) -> Any:
        from localaws.sagemaker.core.errors import SageMakerError

        operation = _pascal(action)
        request = arguments if isinstance(arguments, dict) else {}
        caller = self._caller(role_arn)
        try:
            self._authorize(role_arn, operation, request)
            answer = self._aws.sagemaker.handle(operation, request, caller)
        except SageMakerError as error:
            raise _failed(error.code, error.message, error.http_status, sdk=sdk) from error
        except authorization.AccessDeniedError as denied:
            raise _failed(denied.code, denied.message, 400, sdk=sdk) from denied
        return answer

    def _authorize(self, role_arn: str, operation: str, request: dict[str, Any]) -> None:
        for action, resource, keys in checks(self._aws.region, self._aws.account, operation, request):
            authorization.authorize_role_call(role_arn, action, resource, keys, SESSION_NAME)

    def _caller(self, role_arn: str) -> Caller:
        from localaws.sagemaker.core.request import Caller

        arn = authorization.session_arn(role_arn, SESSION_NAME)
        return Caller(arn=arn, account=self._aws.account, region=self._aws.region, source="states")


def missing_managed_rule_actions(aws: EmbeddedAws, role_arn: str, kind: JobKind) -> list[str]:
    """The actions that `.sync` needs on its managed rule and the role hasn't."""
    rule = f"arn:aws:events:{aws.region}:{aws.account}:rule/{kind.managed_rule}"
    return [f"{action} on {rule}" for action in MANAGED_RULE_ACTIONS if not _allowed(role_arn, action, rule)]


def _allowed(role_arn: str, action: str, resource: str) -> bool:
    try:
        authorization.authorize_role_call(role_arn, action, resource, session_name=SESSION_NAME)
    except authorization.AccessDeniedError:
        return False
    return True


def _managed(arguments: dict[str, Any]) -> dict[str, Any]:
    """A request with the tag by which Step Functions marks what it waits for; the role must be allowed to tag."""
    return {**arguments, "Tags": [*arguments.get("Tags", []), MANAGED_TAG]}


def _failed(code: str, message: str, status: int, *, sdk: bool) -> StatesError:
    name = _MODELLED.get(code, "SageMakerException" if sdk else "AmazonSageMakerException")
    service = "SageMaker" if sdk else "AmazonSageMaker"
    cause = f"{message} (Service: {service}; Status Code: {status}; Error Code: {code})"
    return StatesError(f"SageMaker.{name}", cause)


def _pascal(action: str) -> str:
    return action[0].upper() + action[1:]


def _camel(operation: str) -> str:
    return operation[0].lower() + operation[1:]
