"""States of a JSONata state machine as plain documents: tasks that time out, retry and record their failures.

What a run learns is kept in variables (`Assign`); the state's output passes the run's own input on, so that no state
comes near the 256 KiB that a payload may have (Step Functions Developer Guide, "Step Functions service quotas").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contract.states import BUSY_ERROR

State = dict[str, Any]
States = dict[str, State]

# Where every failure goes: the recorder says what it was.
RECORD = "Record"

API_CALL_SECONDS = 60

# Whatever isn't in SageMaker's model, throttling among it, is called AmazonSageMakerException by the optimized
# integration and SageMakerException by the SDK one. That takes in errors that stay (a wrong request): few tries.
_SAGEMAKER_TROUBLE = ("SageMaker.AmazonSageMakerException", "SageMaker.SageMakerException")
# Other jobs have the instances for now; they may end.
_SAGEMAKER_LIMIT = ("SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded")
# Step Functions Developer Guide, "Handle transient Lambda service exceptions"; BusyError is our functions' own.
_LAMBDA_TROUBLE = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    BUSY_ERROR,
)
_DYNAMODB_TROUBLE = (
    "DynamoDB.ProvisionedThroughputExceededException",
    "DynamoDB.RequestLimitExceeded",
    "DynamoDB.ThrottlingException",
    "DynamoDB.InternalServerError",
    "DynamoDB.AmazonDynamoDBException",
)


def retry(errors: Sequence[str], *, interval: int, attempts: int, longest: int = 60) -> State:
    """A retrier: `interval` seconds, doubled each time up to `longest`, all of it jitter."""
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": interval,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }


RETRY_SAGEMAKER = [
    retry(_SAGEMAKER_TROUBLE, interval=1, attempts=3),
    retry(_SAGEMAKER_LIMIT, interval=30, attempts=4, longest=240),
]
# For a call whose refusal is an answer ("already exists", "could not find"), which mustn't wait for useless tries; the
# choice that reads the answer knows throttling by its cause.
RETRY_EXPECTED = [retry(_SAGEMAKER_LIMIT, interval=30, attempts=4, longest=240)]
THROTTLED = "($contains($failure.cause, 'Throttling') or $contains($failure.cause, 'Rate exceeded'))"
RETRY_LAMBDA = [retry(_LAMBDA_TROUBLE, interval=1, attempts=6)]
RETRY_DYNAMODB = [retry(_DYNAMODB_TROUBLE, interval=1, attempts=6)]


def expression(text: str) -> str:
    """A JSONata expression as a field's value."""
    return "{% " + text + " %}"


def is_expression(value: object) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def jsonata(document: Any) -> str:
    """The JSONata text of a document that may hold expressions, to use it inside a larger expression."""
    if is_expression(document):
        return f"({document[2:-2].strip()})"
    if isinstance(document, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {jsonata(value)}" for key, value in document.items()) + "}"
    if isinstance(document, list | tuple):
        return "[" + ", ".join(jsonata(value) for value in document) + "]"
    return json.dumps(document)


def task(
    name: str,
    resource: str,
    arguments: Mapping[str, Any],
    *,
    then: str,
    timeout: int,
    retries: Sequence[State],
    assign: Mapping[str, Any] | None = None,
    on_failure: str = RECORD,
) -> States:
    """A task that gives up after `timeout` seconds an attempt, and whose failure is kept in `$failure`."""
    state: State = {
        "Type": "Task",
        "Resource": resource,
        "Arguments": dict(arguments),
        "TimeoutSeconds": timeout,
        "Retry": list(retries),
        "Catch": [catch(name, on_failure)],
        "Output": expression("$states.input"),
        "Next": then,
    }
    if assign:
        state["Assign"] = dict(assign)
    return {name: state}


def catch(name: str, then: str) -> State:
    """Keeps what went wrong in state `name`, and goes on to `then`."""
    error = expression("$states.errorOutput.Error")
    cause = expression("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''")
    return {
        "ErrorEquals": ["States.ALL"],
        "Assign": {"failure": {"state": name, "error": error, "cause": cause}},
        "Output": expression("$states.input"),
        "Next": then,
    }


def invoke(
    name: str,
    function_arn: str,
    payload: Mapping[str, Any],
    *,
    then: str,
    timeout: int,
    result: str,
    assign: Mapping[str, Any] | None = None,
    on_failure: str = RECORD,
) -> States:
    """Invokes a Lambda function; what it returns is kept in the variable `result`."""
    return task(
        name,
        "arn:aws:states:::lambda:invoke",
        {"FunctionName": function_arn, "Payload": dict(payload)},
        then=then,
        timeout=timeout,
        retries=RETRY_LAMBDA,
        assign={result: expression("$states.result.Payload"), **(assign or {})},
        on_failure=on_failure,
    )


def choice(name: str, rules: Sequence[State], *, default: str, assign: Mapping[str, Any] | None = None) -> States:
    """Goes to the first rule that holds, else to `default`, assigning `assign` on that way."""
    state: State = {"Type": "Choice", "Choices": list(rules), "Default": default}
    if assign:
        state["Assign"] = dict(assign)
    return {name: state}


def rule(condition: str, then: str, assign: Mapping[str, Any] | None = None) -> State:
    """One rule of a choice; `condition` is JSONata text that must be true or false."""
    document: State = {"Condition": expression(condition), "Next": then}
    if assign:
        document["Assign"] = dict(assign)
    return document


def failure(state: str, error: str, cause: str) -> State:
    """The value of `$failure` for what AWS doesn't call an error; `cause` is JSONata text."""
    return {"state": state, "error": error, "cause": expression(cause)}


def machine(*parts: States, comment: str) -> State:
    """The machine of all parts' states; it starts at the first.

    Raises:
        ValueError: two parts have a state of the same name.
    """
    states: States = {}
    for part in parts:
        twice = sorted(states.keys() & part.keys())
        if twice:
            raise ValueError(f"two states are called {', '.join(twice)}")
        states.update(part)
    return {"Comment": comment, "QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
