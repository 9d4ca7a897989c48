"""What a rule's evaluation status says (DebugRuleEvaluationStatus, API reference).

StatusDetails is JSON where the open rules judge, a sentence where SageMaker Debugger does: "RuleEvaluationConditionMet:
Evaluation of the rule VanishingGradient at step 500 resulted in the condition being met".
"""

from __future__ import annotations

import json
import re
from typing import Any

Document = dict[str, Any]

_STEP = re.compile(r"\bat step (\d+) resulted in the condition being met")


def details(text: str | None) -> Document:
    """What StatusDetails says: "reason", and "step", "value" and "at" where it says them."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    step = _STEP.search(str(text))
    return {"reason": str(text).strip(), **({"step": int(step[1])} if step else {})}
