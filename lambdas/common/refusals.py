"""SageMaker's answer to a question about something that isn't there."""

from __future__ import annotations

from botocore.exceptions import ClientError

from contract import refusals

# SageMaker has a modelled error for few of these (API reference, DescribeTrainingJob), and answers most with the other,
# which says much else besides.
_MODELLED, _UNMODELLED = "ResourceNotFound", "ValidationException"


def is_missing(error: ClientError) -> bool:
    """Whether a describe or list operation failed because the thing, or its group, isn't there."""
    refusal = error.response["Error"]
    if refusal.get("Code") == _MODELLED:
        return True
    return refusal.get("Code") == _UNMODELLED and refusals.says_missing(refusal.get("Message", ""))
