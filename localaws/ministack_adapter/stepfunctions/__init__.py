"""Step Functions: our interpreter (localaws.states) in the place of MiniStack's own.

MiniStack keeps the API, the stores and JSONPath's helpers. Ours are the checks at CreateStateMachine, the run of an
execution, task tokens, execution logs, and every task's call, which is authorized by the state machine's role.

    machines.py         CreateStateMachine, UpdateStateMachine, ValidateStateMachineDefinition
    start_requests.py   what StartExecution refuses
    executions.py       StartExecution, StopExecution, the run, SendTask*
    status_events.py    status changes, on the event bus and as metrics
    integrations.py     which resource ARNs are supported, and who serves them
    sagemaker_tasks.py  sagemaker:* and aws-sdk:sagemaker:*, with .sync
    wire_tasks.py       every other service, over the wire with the role's credentials
    roles.py            the role's session: credentials, and checks that have no request of their own
    jsonata.py, jsonpath.py, logs.py
"""

from __future__ import annotations

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.stepfunctions import executions, machines
from localaws.ministack_adapter.stepfunctions.integrations import Integrations
from localaws.settings import FILE_NAME, Settings

__all__ = ["install"]


def install(aws: EmbeddedAws) -> None:
    """Put our parts into `ministack.services.stepfunctions`."""
    integrations = Integrations(aws, Settings.read(aws.state_dir / FILE_NAME))
    machines.install(integrations)
    executions.install(aws, integrations)
