"""States of a JSONata state machine as plain documents: tasks that time out, retry and record their failures.

What a run learns is kept in variables (`Assign`); the state's output passes the run's own input on, so that no state
comes near the 256 KiB that a payload may have (Step Functions Developer Guide, "Step Functions service quotas").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract.states import BUSY_ERROR, RECORD
from infra.workflow.expressions import composed, expression

State = dict[str, Any]
States = dict[str, State]

API_CALL_SECONDS = 60

# Whatever isn't in SageMaker's model, throttling among it, is called AmazonSageMakerException by the optimized
# integration and SageMakerException by the SDK one. That takes in errors that stay (a wrong request): few tries.
_SAGEMAKER_TROUBLE = ("SageMaker.AmazonSageMakerException", "SageMaker.SageMakerException")
# Other jobs have the instances for now, or the account has no quota for them (`instances` tells which).
SAGEMAKER_LIMIT = ("SageMaker.ResourceLimitExceededException", "SageMaker.ResourceLimitExceeded")
# Throttling; and errors that stay.
_CLOUDWATCH_TROUBLE = ("CloudWatch.CloudWatchException", "CloudWatch.InternalServiceException")
# Step Functions Developer Guide, "Handle transient Lambda service exceptions"; the last is our functions' own.
_LAMBDA_TROUBLE = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    BUSY_ERROR,
)
# The optimized integration's names for what SQS answers, and for what keeps it from answering.
_SQS_TROUBLE = ("SQS.AmazonSQSException", "SQS.SdkClientException")
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


RETRY_SAGEMAKER_TROUBLE = (retry(_SAGEMAKER_TROUBLE, interval=1, attempts=3),)
RETRY_SAGEMAKER = (*RETRY_SAGEMAKER_TROUBLE, retry(SAGEMAKER_LIMIT, interval=30, attempts=4, longest=240))
# For a call whose refusal is an answer ("already exists", "could not find"), which mustn't wait for useless tries; the
# choice that reads the answer knows throttling by its cause.
RETRY_EXPECTED = (retry(SAGEMAKER_LIMIT, interval=30, attempts=4, longest=240),)
RETRY_CLOUDWATCH = (retry(_CLOUDWATCH_TROUBLE, interval=1, attempts=3),)
RETRY_LAMBDA = (retry(_LAMBDA_TROUBLE, interval=1, attempts=6),)
RETRY_SQS = (retry(_SQS_TROUBLE, interval=1, attempts=6),)
RETRY_DYNAMODB = (retry(_DYNAMODB_TROUBLE, interval=1, attempts=6),)
# For the one call whose failure nobody would learn of.
RETRY_ANYTHING = retry(["States.ALL"], interval=1, attempts=2)


def task(
    name: str,
    resource: str,
    arguments: Mapping[str, Any] | str,
    *,
    then: str,
    timeout: int = API_CALL_SECONDS,
    retries: Sequence[State] = RETRY_SAGEMAKER,
    assign: Mapping[str, Any] | None = None,
    catches: Sequence[State] = (),
    on_failure: str = RECORD,
) -> States:
    """A task that gives up after `timeout` seconds an attempt, and whose failure is kept in `$failure`.

    resource: what follows `arn:aws:states:::`. arguments: a document, or its expression. catches: where single
    errors lead, before all others.
    """
    state: State = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments if isinstance(arguments, str) else dict(arguments),
        "TimeoutSeconds": timeout,
        "Retry": list(retries),
        "Catch": [*catches, caught(name, on_failure)],
        "Output": expression("$states.input"),
        "Next": then,
    }
    return {name: _assigning(state, assign)}


def caught(
    name: str, then: str, errors: Sequence[str] = ("States.ALL",), assign: Mapping[str, Any] | None = None
) -> State:
    """Keeps the failure of state `name`, and goes on to `then`."""
    error = expression("$states.errorOutput.Error")
    cause = expression("$exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : ''")
    return {
        "ErrorEquals": list(errors),
        "Assign": {"failure": {"state": name, "error": error, "cause": cause}, **(assign or {})},
        "Output": expression("$states.input"),
        "Next": then,
    }


def read_item(name: str, table: str, key: Mapping[str, Any], *, then: str, assign: Mapping[str, Any]) -> States:
    """Reads an item of a table as it is now."""
    arguments = {"TableName": table, "Key": key, "ConsistentRead": True}
    return task(name, "dynamodb:getItem", arguments, then=then, retries=RETRY_DYNAMODB, assign=assign)


def choice(name: str, ways: Sequence[State], *, default: str, assign: Mapping[str, Any] | None = None) -> States:
    """Goes the first way whose condition holds, else to `default`, assigning `assign` on that way."""
    return {name: _assigning({"Type": "Choice", "Choices": list(ways), "Default": default}, assign)}


def when(condition: str, then: str, assign: Mapping[str, Any] | None = None) -> State:
    """A way out of a choice; `condition` is JSONata text that must be true or false."""
    return _assigning({"Condition": expression(condition), "Next": then}, assign)


def failure(state: str, error: str, cause: str) -> State:
    """The value of `$failure` for what AWS doesn't call an error; `cause` may hold `<$variables>`."""
    return {"state": state, "error": error, "cause": composed(cause)}


def assigning(name: str, assign: Mapping[str, Any], *, then: str) -> States:
    """A state that only sets variables."""
    return {name: {"Type": "Pass", "Assign": dict(assign), "Next": then}}


def waiting_until(name: str, milliseconds: str, *, then: str) -> States:
    """A wait for a time, JSONata text of milliseconds since 1970."""
    return {name: {"Type": "Wait", "Timestamp": expression(f"$fromMillis({milliseconds})"), "Next": then}}


def waiting_for(name: str, seconds: int, *, then: str) -> States:
    return {name: {"Type": "Wait", "Seconds": seconds, "Next": then}}


def _assigning(state: State, assign: Mapping[str, Any] | None) -> State:
    return {**state, "Assign": dict(assign)} if assign else state
