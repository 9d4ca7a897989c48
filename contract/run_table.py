"""The run table's keys and items: a pipeline's state and its runs, in one partition.

(pipeline, "state")             the pipeline's state (lambdas/common/state.py)
(pipeline, "run#<run id>")      one run's record

"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

PARTITION_KEY, SORT_KEY = "pipeline", "item"
STATE_ITEM = "state"
RUN_ITEMS = "run#"

# Fields of the state that others than its own module read.
RUNNING, PENDING, CHAMPION, PREVIOUS_CHAMPION = "running", "pending", "champion", "previous_champion"
# When the last of the pending triggers came.
LAST_AT = "last_at"
# Whether they wait for another trigger: the run that took them was cut off too often.
HELD = "held"
# Of a run's item, only while its end is being written down: the outcome that it is to have.
ENDS = "ends"
# Of a run that the launcher had to record: {"error"?}, its own; what follows a run's end is left to a repair.
UNFINISHED = "unfinished"
# Fields of a run's item: why a rule stopped it, and every verdict that the stopper was told.
STOPPED_BY, RULE_VERDICTS = "stopped_by", "rule_verdicts"

# DynamoDB's numbers ("Supported data types and naming rules"): 38 digits, from 1E-130 to 9.9999999999999999999E+125.
_INTEGERS, _LEAST, _MOST = 10**38, 1e-130, 1e125


def run_item(run_id: str) -> str:
    """The sort key of a run's item."""
    return f"{RUN_ITEMS}{run_id}"


def run_id_of(item: str) -> str:
    """The run id in a sort key."""
    return item[len(RUN_ITEMS) :] if item.startswith(RUN_ITEMS) else item


def key(pipeline: str, item: str) -> dict[str, dict[str, str]]:
    """The key of an item, as DynamoDB's requests hold it."""
    return {PARTITION_KEY: {"S": pipeline}, SORT_KEY: {"S": item}}


def plain(value: Any) -> Any:
    """A deserialized value without DynamoDB's decimals, sets and tuples, as JSON can hold it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    return value


def is_number(value: Any) -> bool:
    """Whether DynamoDB has this number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(value, int):
        return abs(value) < _INTEGERS
    return bool(value == 0 or (math.isfinite(value) and _LEAST <= abs(value) <= _MOST))
