"""Calls that take instances: a run waits where others have them, and ends at once where the account has no quota.

ResourceLimitExceeded is one error for both; a retrier sees its name alone, so a choice reads its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.states import RECORD
from infra.workflow.conditions import all_of, is_not, says_quota_too_small
from infra.workflow.expressions import expression
from infra.workflow.language import (
    API_CALL_SECONDS,
    RETRY_SAGEMAKER_TROUBLE,
    SAGEMAKER_LIMIT,
    States,
    caught,
    choice,
    task,
    waiting_until,
    when,
)

# How often a run has been refused; the variable is the whole run's.
REFUSALS = "refusals"
MOST_REFUSALS = 6
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30, 240


def taking_instances(
    name: str,
    resource: str,
    arguments: Mapping[str, Any] | str,
    *,
    then: str,
    timeout: int = API_CALL_SECONDS,
    assign: Mapping[str, Any] | None = None,
    on_failure: str = RECORD,
) -> States:
    """A task like `language.task`, with what becomes of it when SageMaker has no instances for it."""
    refused, wait = f"{name}Refused", f"{name}Waits"
    once_more = {REFUSALS: expression(f"${REFUSALS} + 1")}
    busy = all_of(is_not(says_quota_too_small()), f"${REFUSALS} <= {MOST_REFUSALS}")
    return {
        **task(
            name,
            resource,
            arguments,
            then=then,
            timeout=timeout,
            retries=RETRY_SAGEMAKER_TROUBLE,
            assign=assign,
            catches=[caught(name, refused, SAGEMAKER_LIMIT, once_more)],
            on_failure=on_failure,
        ),
        **choice(refused, [when(busy, wait, {"failure": None})], default=on_failure),
        **waiting_until(wait, f"$floor($millis() + {_pause()})", then=name),
    }


def _pause() -> str:
    """Milliseconds, doubled with each refusal up to the longest, half of it jitter: many runs may wait together."""
    doubled = f"{SHORTEST_PAUSE_SECONDS} * $power(2, ${REFUSALS} - 1)"
    return f"$min([{LONGEST_PAUSE_SECONDS}, {doubled}]) * (500 + 500 * $random())"
