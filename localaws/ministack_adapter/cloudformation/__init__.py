"""CloudFormation: MiniStack's engine, with resource types of ours and what its own types leave out.

    sagemaker_types.py  AWS::SageMaker::Model, EndpointConfig, Endpoint, ModelPackageGroup
    state_machines.py   AWS::StepFunctions::StateMachine behind the checks of CreateStateMachine
    alarm_types.py      AWS::CloudWatch::Alarm over metric math
    supplements.py      properties that MiniStack's provisioners accept and then ignore
    imported_buckets.py a bucket that a change set imports
    waiting.py          operations answer when they are over
    properties.py       which properties of each type in use take effect; the others are refused by name
    validation.py       templates and parameters that CloudFormation refuses before a stack exists, by
                        template_checks, template_references and parameter_checks
    exports.py          exports that another stack imports neither change nor go
    cloud_control.py    Cloud Control over stacks' resources, for hot swaps, by json_patch.py

MiniStack's CloudFormation takes 150 ms to import, so everything here waits until it is.
"""

from __future__ import annotations

from types import ModuleType

from localaws.ministack_adapter.cloudformation import (
    alarm_types,
    cloud_control,
    exports,
    imported_buckets,
    properties,
    sagemaker_types,
    state_machines,
    supplements,
    validation,
    waiting,
)
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported

_PROVISIONERS = "ministack.services.cloudformation.provisioners"
_SERVICE = "ministack.services.cloudformation"
_RUNS_ON_THREAD = "_runs_on_worker_thread"
_STACKS = "ministack.services.cloudformation.stacks"
_ENGINE = "ministack.services.cloudformation.engine"
_HANDLERS = "ministack.services.cloudformation.handlers"
_CLOUD_CONTROL = "ministack.services.cloudcontrol"
_CHANGE_SETS = "ministack.services.cloudformation.changesets"

__all__ = ["install"]


def install(aws: EmbeddedAws) -> None:
    when_imported(_PROVISIONERS, lambda module: _extend(module, aws))
    when_imported(_ENGINE, validation.bound_templates)
    when_imported(_STACKS, _run_on_threads)
    when_imported(_STACKS, imported_buckets.register)
    when_imported(_STACKS, exports.register_stacks)
    for operations in (_HANDLERS, _CHANGE_SETS):
        when_imported(operations, validation.register)
        when_imported(operations, exports.register_operations)
    when_imported(_HANDLERS, exports.register_deletion)
    when_imported(_CLOUD_CONTROL, cloud_control.register)
    when_imported(_SERVICE, waiting.register)


def _extend(provisioners: ModuleType, aws: EmbeddedAws) -> None:
    sagemaker_types.register(provisioners, aws)
    supplements.register(provisioners)
    state_machines.register(provisioners)
    alarm_types.register(provisioners)
    properties.register(provisioners)


def _run_on_threads(stacks: ModuleType) -> None:
    """Provision what takes long (an endpoint) on threads, not on the event loop."""
    runs_on_thread = stacks.__dict__[_RUNS_ON_THREAD]

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type.startswith("AWS::SageMaker::") or bool(runs_on_thread(resource_type))

    stacks.__dict__[_RUNS_ON_THREAD] = runs_on_worker_thread
