"""AWS::StepFunctions::StateMachine: MiniStack writes its store directly, so CreateStateMachine's checks go first."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.stepfunctions import machines

Document = dict[str, Any]
TYPE = "AWS::StepFunctions::StateMachine"


def register(provisioners: ModuleType) -> None:
    handlers = provisioners._RESOURCE_HANDLERS[TYPE]
    create: Callable[..., Any] = handlers["create"]
    update: Callable[..., Any] = handlers["update"]

    def checked_create(logical_id: str, props: Document, stack_name: str) -> Any:
        return create(logical_id, _checked(provisioners, props), stack_name)

    def checked_update(physical_id: str, old: Document, new: Document, *rest: Any) -> Any:
        return update(physical_id, _translated(old), _checked(provisioners, new), *rest)

    def delete(physical_id: str, _props: Document) -> None:
        from ministack.services import stepfunctions

        stepfunctions._delete_state_machine({"stateMachineArn": physical_id})

    handlers.update(create=checked_create, update=checked_update, delete=delete)


def _checked(provisioners: ModuleType, props: Document) -> Document:
    """The properties with the API's logging configuration. Raises ValueError for a machine that AWS would refuse."""
    translated = _translated(props)
    try:
        if "StateMachineName" in props:
            machines.check_name(props["StateMachineName"])
        machines.installed().check(
            provisioners._sfn_definition(props),
            props.get("RoleArn", ""),
            translated.get("LoggingConfiguration"),
            props.get("StateMachineType", "STANDARD"),
        )
    except machines.RefusedMachineError as refused:
        raise ValueError(
            f'Resource handler returned message: "{refused} (Service: Sfn, Status Code: 400, Error Code: '
            f'{refused.code})" (HandlerErrorCode: InvalidRequest)'
        ) from refused
    return translated


def _translated(props: Document) -> Document:
    """The properties with the API's names in LoggingConfiguration: `level` for CloudFormation's `Level`."""
    if "LoggingConfiguration" not in props:
        return props
    return {**props, "LoggingConfiguration": _camel(props["LoggingConfiguration"])}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_camel(item) for item in value]
    return json.loads(value) if value in ("true", "false") else value
