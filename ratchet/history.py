"""The history of a run's execution, as Step Functions keeps it for 90 days."""

from __future__ import annotations

from contract.histories import Execution, of_events
from ratchet.account import Account


def read(account: Account, execution_arn: str) -> Execution:
    """An execution's history as it stands. Raises boto3's ExecutionDoesNotExist."""
    pages = account.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution_arn)
    return of_events([event for page in pages for event in page["events"]])
