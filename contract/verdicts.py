"""Rules' verdicts on a training job, as they travel: events in the shape of SageMaker Debugger's, and metrics.

Sources: DebugRuleEvaluationStatus (API reference); "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import json
import re
from typing import Any

# PutEvents refuses customers' events whose source begins with aws: the open rules' come under a name of their own.
SOURCE = "ratchet.rules"
SAGEMAKER_SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Training Job State Change"
METRICS_NAMESPACE = "Ratchet/Rules"

IN_PROGRESS, NO_ISSUES, ISSUES_FOUND, ERROR, STOPPED = "InProgress", "NoIssuesFound", "IssuesFound", "Error", "Stopped"
# SageMaker Debugger may evaluate on when training has ended.
EVALUATING = (IN_PROGRESS, "Stopping")

_STEP = re.compile(r"\bat step (\d+) resulted in the condition being met")


def details(text: str | None) -> dict[str, Any]:
    """The content of StatusDetails: "reason", and "step", "value" and "at" where it says them.

    It is JSON where the open rules judge, a sentence where SageMaker Debugger does: "RuleEvaluationConditionMet:
    Evaluation of the rule VanishingGradient at step 500 resulted in the condition being met".
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    step = _STEP.search(str(text))
    return {"reason": str(text).strip(), **({"step": int(step[1])} if step else {})}
