"""A Lambda function that takes part in a run, declared once by the step that calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.states import RECORD
from infra.declared_function import DeclaredFunction
from infra.workflow.expressions import expression
from infra.workflow.language import RETRY_LAMBDA, State, States, task
from infra.workflow.surroundings import placeholder

# A task waits for its function's own time limit, and a little for the call around it.
CALL_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class RunFunction(DeclaredFunction):
    """A function that the state machine calls.

    execution_actions: what it may do to the machine's executions; granted when there is a machine, which needs the
        function first.
    """

    execution_actions: Sequence[str] = ()

    @property
    def arn_name(self) -> str:
        """The name of its ARN in the definition."""
        return f"{self.folder}_arn"


def invoke(
    name: str,
    function: RunFunction,
    payload: Mapping[str, Any],
    *,
    then: str,
    result: str | None = None,
    assign: Mapping[str, Any] | None = None,
    retries: Sequence[State] = RETRY_LAMBDA,
    on_failure: str = RECORD,
) -> States:
    """Invokes a function; its answer is kept in the variable `result`, or taken apart by `assign`."""
    answer = {result: expression("$states.result.Payload")} if result else {}
    return task(
        name,
        "lambda:invoke",
        {"FunctionName": placeholder(function.arn_name), "Payload": dict(payload)},
        then=then,
        timeout=function.seconds + CALL_SECONDS,
        retries=retries,
        assign={**answer, **(assign or {})},
        on_failure=on_failure,
    )
