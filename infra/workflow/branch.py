"""Tasks of a branch that ends well whatever happens in it: of a Parallel state, or of each of a Map state's items.

A branch can't assign the machine's variables. So what goes wrong in it is kept in a variable of its own, WRONG, which
the branch's output tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.workflow.expressions import expression
from infra.workflow.language import (
    API_CALL_SECONDS,
    RETRY_SAGEMAKER,
    RETRY_SAGEMAKER_TROUBLE,
    SAGEMAKER_LIMIT,
    State,
    States,
)
from infra.workflow.requests import Document

WRONG = "wrong"
# How long a branch pauses before it asks for instances again that aren't to be had for now.
PAUSE_SECONDS = 120


def branch_task(
    name: str,
    resource: str,
    request: Document | str,
    *,
    then: str,
    wrong: str | None,
    refused: str | None = None,
    seconds: int = API_CALL_SECONDS,
    assign: Mapping[str, Any] | None = None,
) -> States:
    """A branch's task: what goes wrong is kept in the branch's own variable, and leads to `wrong`; to `then`, and isn't
    kept, where that is None. refused: where a limit of SageMaker's leads, which may pass."""
    limit = [_caught(refused, SAGEMAKER_LIMIT)] if refused else []
    other = _caught(wrong) if wrong else {"ErrorEquals": ["States.ALL"], "Next": then}
    return {
        name: {
            "Type": "Task",
            "Resource": f"arn:aws:states:::{resource}",
            "Arguments": request,
            "TimeoutSeconds": seconds,
            "Retry": list(RETRY_SAGEMAKER_TROUBLE if refused else RETRY_SAGEMAKER),
            "Catch": [*limit, other],
            **({"Assign": dict(assign)} if assign else {}),
            "Next": then,
        }
    }


def _caught(then: str, errors: Sequence[str] = ("States.ALL",)) -> State:
    cause = expression("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''")
    wrong = {"error": expression("$states.errorOutput.Error"), "cause": cause}
    return {"ErrorEquals": list(errors), "Assign": {WRONG: wrong}, "Next": then}
