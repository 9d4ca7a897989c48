"""State machines: what AWS checks when one is created or updated, in front of MiniStack's handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.ministack_adapter.stepfunctions.integrations import Integrations, parse_resource
from localaws.ministack_adapter.stepfunctions.roles import SESSION_NAME
from localaws.ministack_adapter.stepfunctions.sagemaker_tasks import missing_managed_rule_actions, waited_for
from localaws.ministack_adapter.stepfunctions.start_requests import is_name
from localaws.states.definition import Checks, problems
from localaws.states.execution_log import LEVELS

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

# "Logging state machine execution history": what the role needs for log delivery, on all resources.
LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)


# What MiniStack does by its own interpreter, or takes and then runs the wrong definition.
NOT_HERE = (
    "TestState",
    "StartSyncExecution",
    "CreateActivity",
    "PublishStateMachineVersion",
    "CreateStateMachineAlias",
)


class RefusedMachineError(Exception):
    """CreateStateMachine or UpdateStateMachine is refused: AWS's error code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_name(name: Any) -> None:
    if not is_name(name):
        raise RefusedMachineError("InvalidName", f"Invalid Name: '{name}'")


class Machines:
    """The checks; CloudFormation's provisioner asks them too."""

    def __init__(self, integrations: Integrations) -> None:
        self._integrations = integrations
        self._checks = Checks(parse=jsonata.parse, resource=integrations.problem)

    def check(self, definition: str, role_arn: str, logging: Mapping[str, Any] | None, kind: str = "STANDARD") -> None:
        """Raise RefusedMachineError for a machine that AWS would refuse, or that can't run here."""
        if kind != "STANDARD":
            raise RefusedMachineError(
                "StateMachineTypeNotSupported", f"not supported here: state machines of type {kind}"
            )
        found = problems(definition, self._checks)
        if found:
            listed = ", ".join(str(problem) for problem in found)
            raise RefusedMachineError("InvalidDefinition", f"Invalid State Machine Definition: '{listed}'")
        self._check_role(definition, role_arn)
        self._check_logging(role_arn, logging or {})

    def diagnostics(self, definition: str) -> list[Document]:
        """ValidateStateMachineDefinition's."""
        return [
            {"severity": "ERROR", "code": problem.code, "message": problem.message, "location": problem.path or "/"}
            for problem in problems(definition, self._checks)
        ]

    def _check_role(self, definition: str, role_arn: str) -> None:
        """`.sync` of SageMaker needs managed EventBridge rules; AWS creates them here, as the role."""
        if authorization.role_document(role_arn) is None:
            raise RefusedMachineError("AccessDeniedException", f"The role {role_arn} does not exist.")
        missing = [
            action
            for name in sorted(_waited_for(definition))
            for action in missing_managed_rule_actions(self._integrations.aws, role_arn, waited_for()[name])
        ]
        if missing:
            raise RefusedMachineError(
                "AccessDeniedException",
                f"'{role_arn}' is not authorized to create managed-rule: it lacks {', '.join(missing)}.",
            )

    def _check_logging(self, role_arn: str, logging: Mapping[str, Any]) -> None:
        level = logging.get("level", "OFF")
        if level not in LEVELS:
            raise RefusedMachineError(
                "InvalidLoggingConfiguration",
                f"Invalid Logging Configuration: level must be one of {', '.join(LEVELS)}.",
            )
        if level == "OFF":
            return
        if len(logging.get("destinations") or []) != 1:
            raise RefusedMachineError(
                "InvalidLoggingConfiguration",
                "Invalid Logging Configuration: Must specify exactly one Log Destination.",
            )
        missing = [action for action in LOG_DELIVERY_ACTIONS if not _allowed(role_arn, action)]
        if missing:
            raise RefusedMachineError(
                "AccessDeniedException",
                "The state machine IAM Role is not authorized to access the Log Destination: "
                f"{role_arn} lacks {', '.join(missing)} on *.",
            )


# The one of this process: CloudFormation's provisioner asks it too.
_installed: list[Machines] = []


def installed() -> Machines:
    return _installed[-1]


def install(integrations: Integrations) -> None:
    from ministack.services import stepfunctions

    machines = Machines(integrations)
    _installed.append(machines)
    stepfunctions._create_state_machine = _creating(machines, stepfunctions._create_state_machine)
    stepfunctions._update_state_machine = _updating(machines, stepfunctions._update_state_machine)
    stepfunctions._validate_state_machine_definition = _validating(machines)
    for operation in NOT_HERE:
        setattr(stepfunctions, _handler_name(operation), _refuse(operation))


def _creating(machines: Machines, create: Callable[[Document], Response]) -> Callable[[Document], Response]:
    def create_state_machine(data: Document) -> Response:
        try:
            check_name(data.get("name"))
            machines.check(
                data.get("definition", ""),
                data.get("roleArn", ""),
                data.get("loggingConfiguration"),
                data.get("type", "STANDARD"),
            )
        except RefusedMachineError as refused:
            return _error(refused.code, str(refused))
        return create(data)

    return create_state_machine


def _updating(machines: Machines, update: Callable[[Document], Response]) -> Callable[[Document], Response]:
    def update_state_machine(data: Document) -> Response:
        from ministack.services import stepfunctions

        known = stepfunctions._state_machines.get(data.get("stateMachineArn"))
        if known is not None:
            try:
                machines.check(
                    data.get("definition") or known["definition"],
                    data.get("roleArn") or known["roleArn"],
                    data.get("loggingConfiguration") or known.get("loggingConfiguration"),
                )
            except RefusedMachineError as refused:
                return _error(refused.code, str(refused))
        return update(data)

    return update_state_machine


def _validating(machines: Machines) -> Callable[[Document], Response]:
    def validate_state_machine_definition(data: Document) -> Response:
        from ministack.services import stepfunctions

        found = machines.diagnostics(data.get("definition", ""))
        answer = {"result": "FAIL" if found else "OK", "diagnostics": found, "truncated": False}
        return stepfunctions.json_response(answer)  # type: ignore[no-any-return]

    return validate_state_machine_definition


def _handler_name(operation: str) -> str:
    """MiniStack's function of an operation: `_test_state` of TestState."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)


def _refuse(operation: str) -> Callable[[Document], Response]:
    return lambda _data: _error("UnknownOperationException", f"not implemented here: {operation}")


def _error(code: str, message: str) -> Response:
    from ministack.services import stepfunctions

    return stepfunctions.error_response_json(code, message, 400)  # type: ignore[no-any-return]


def _waited_for(definition: str) -> set[str]:
    """The actions of SageMaker tasks with `.sync`, anywhere in a definition that has been checked."""
    import json

    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            resource = parse_resource(str(value.get("Resource", ""))) if value.get("Type") == "Task" else None
            if resource and resource.service == "sagemaker" and resource.pattern == ".sync":
                found.add(resource.action)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(json.loads(definition))
    return found


def _allowed(role_arn: str, action: str) -> bool:
    try:
        authorization.authorize_role_call(role_arn, action, "*", session_name=SESSION_NAME)
    except authorization.AccessDeniedError:
        return False
    return True
