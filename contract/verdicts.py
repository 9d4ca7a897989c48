"""Rules' verdicts on a training job, as they travel: events in the shape of SageMaker Debugger's, and metrics.

Anybody who may put events can put one of the open rules'. So theirs only says "look": what they have found is what the
job itself has written below its run's folder, where no other may (contract.files.verdicts).

Sources: DebugRuleEvaluationStatus (API reference); "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from contract.run_table import is_number

# PutEvents refuses customers' events whose source begins with aws: the open rules' come under a name of their own.
SOURCE = "ratchet.rules"
SAGEMAKER_SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Training Job State Change"
METRICS_NAMESPACE = "Ratchet/Rules"

IN_PROGRESS, NO_ISSUES, ISSUES_FOUND, ERROR, STOPPED = "InProgress", "NoIssuesFound", "IssuesFound", "Error", "Stopped"
# SageMaker Debugger may evaluate on when training has ended.
EVALUATING = (IN_PROGRESS, "Stopping")

# What of a verdict is stored and told of, however long a rule speaks; the whole of it stays beside the tensors.
REASON_LENGTH, WORD_LENGTH = 1000, 200
# The job's own file of all its rules' verdicts: what is longer isn't one.
FILE_BYTES = 1 << 20

_STEP = re.compile(r"\bat step (\d+) resulted in the condition being met")


def details(text: str | None) -> dict[str, Any]:
    """The content of StatusDetails: "reason", and "step", "value" and "at" where it says them.

    It is JSON where the open rules judge, a sentence where SageMaker Debugger does: "RuleEvaluationConditionMet:
    Evaluation of the rule VanishingGradient at step 500 resulted in the condition being met".
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    step = _STEP.search(str(text))
    return {"reason": str(text).strip(), **({"step": int(step[1])} if step else {})}


def short(text: Any, length: int = REASON_LENGTH) -> str:
    """A text as it is stored and told of: at most `length` characters, and nothing that UTF-8 can't hold."""
    told = _written(str, text).encode("utf-8", "replace").decode()
    if len(told) <= length:
        return told
    end = f"… ({len(told)} characters in all)"
    return told[: length - len(end)] + end


def storable(value: Any) -> int | float | str | bool | None:
    """A rule's figure as JSON and DynamoDB can hold it: as text where it is no number of theirs, or no figure."""
    if value is None or isinstance(value, bool) or is_number(value):
        return value  # type: ignore[no-any-return]
    return short(value if isinstance(value, str) else _text(value), WORD_LENGTH)


def _text(value: Any) -> str:
    return _written(json.dumps, value)


def _written(write: Callable[[Any], str], value: Any) -> str:
    """A value as `write` writes it, or what it is where that can't be written."""
    try:
        return write(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes; lists in lists in lists
        return f"{type(value).__name__} that can't be written"
