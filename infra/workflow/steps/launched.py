"""Launched: an execution that the launcher hasn't started ends before it does anything, and says how runs are started.

The launcher names an execution by its run id. Past it there would be no lock, no record, and two runs at a time.
"""

from __future__ import annotations

import json

from contract import names, triggers
from infra.workflow.conditions import all_of, equals
from infra.workflow.language import choice, when
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings

_STATE, _REFUSAL = "Launched", "NotLaunched"


def launched(at: Surroundings, *, then: str) -> Step:
    by_launcher = all_of(
        equals("$states.input.pipeline", at.pipeline), "$states.input.run_id = $states.context.Execution.Name"
    )
    refusal = {"Type": "Fail", "Error": _REFUSAL, "Cause": _how_to_start(at)}
    return Step(states={**choice(_STATE, [when(by_launcher, then)], default=_REFUSAL), _REFUSAL: refusal})


def _how_to_start(at: Surroundings) -> str:
    stack, request = names.stack(at.environment, at.pipeline), json.dumps(triggers.message(triggers.MANUAL))
    return (
        f"runs are started by the launcher, not by StartExecution: invoke the Lambda function that the stack {stack} "
        f"gives as its output LauncherFunctionName, with the payload {request}; it answers with the run_id and the "
        "execution_arn to wait for"
    )
