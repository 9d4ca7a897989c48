"""The state of a CloudWatch metric alarm: datapoints by period, missing data, metric math (CloudWatch User Guide,
"Alarm evaluation", "Configuring how CloudWatch alarms treat missing data", "Using math expressions with metrics").

Pure: metrics come in as functions of time, states go out.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
Datapoint = float | None
_SIGNIFICANT = 10 - 1e-9  # samples beyond a percentile
# How far behind the evaluation periods CloudWatch looks for datapoints in place of missing ones: with three periods it
# retrieves five, in the guide's examples; it tells no other numbers.
SPARE_PERIODS = 2
Series = Sequence[Datapoint]
"""Values by period, the oldest first; None where there is no data."""

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


_STATISTICS = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})
_PERCENTILE = re.compile(r"p(100|\d{1,2}(\.\d{1,10})?)")


class UnsupportedAlarmError(ValueError):
    """An alarm that AWS takes and that can't be evaluated here; the message says what."""


@dataclass(frozen=True)
class Threshold:
    """The condition of an alarm: `datapoints_to_alarm` of `evaluation_periods` datapoints breach."""

    comparison: str
    value: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str

    @property
    def evaluation_range(self) -> int:
        """The number of datapoints that are looked at."""
        return self.evaluation_periods + SPARE_PERIODS

    @classmethod
    def of(cls, alarm: Mapping[str, Any]) -> Threshold:
        """The condition in a PutMetricAlarm document. Raises UnsupportedAlarmError."""
        comparison = str(alarm["ComparisonOperator"])
        if comparison not in COMPARISONS:
            raise UnsupportedAlarmError(f"not supported here: the comparison {comparison} (anomaly detection)")
        periods = int(alarm["EvaluationPeriods"])
        return cls(
            comparison=comparison,
            value=float(alarm["Threshold"]),
            evaluation_periods=periods,
            datapoints_to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
            treat_missing_data=str(alarm.get("TreatMissingData") or "missing"),
        )


def check_statistic(statistic: str) -> None:
    """Raise UnsupportedAlarmError for a statistic that isn't computed here: the trimmed ones, say."""
    if statistic not in _STATISTICS and not _PERCENTILE.fullmatch(statistic):
        raise UnsupportedAlarmError(f"not supported here: the statistic {statistic}")


def is_too_small(statistic: str, samples: float) -> bool:
    """Whether a percentile of so few samples isn't significant ("Percentile-based alarms and low data samples")."""
    if statistic in _STATISTICS:
        return False
    percentile = float(statistic[1:]) / 100
    rarer = min(percentile, 1 - percentile)
    return samples * rarer < _SIGNIFICANT if rarer > 0 else False


def state(threshold: Threshold, series: Series, current: str) -> str:
    """The alarm's state after looking at the `evaluation_range` last datapoints of `series`.

    Datapoints that are missing are replaced by older ones of that range, as far as there are any; how missing data are
    treated decides for the rest of them alone.
    """
    breaches, treatment = COMPARISONS[threshold.comparison], threshold.treat_missing_data
    recent = list(series)[-threshold.evaluation_range :]
    known = [(age, breaches(value, threshold.value)) for age, value in enumerate(reversed(recent)) if value is not None]
    known = known[: threshold.evaluation_periods]
    missing = threshold.evaluation_periods - len(known)
    if not known and treatment in ("missing", "ignore"):
        return current if treatment == "ignore" else INSUFFICIENT_DATA
    breaching = sum(is_breach for _, is_breach in known) + (missing if treatment == "breaching" else 0)
    if breaching >= threshold.datapoints_to_alarm:
        return ALARM
    if missing and treatment in ("missing", "ignore") and _is_premature(threshold, known):
        return current if treatment == "ignore" else ALARM
    return OK


def _is_premature(threshold: Threshold, known: Sequence[tuple[int, bool]]) -> bool:
    """ "Avoiding premature transitions to alarm state": all that is known breaches, and the oldest of it is as old as
    DatapointsToAlarm."""
    return all(is_breach for _, is_breach in known) and known[-1][0] + 1 >= threshold.datapoints_to_alarm


# --- metric math ---

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "MAX": max,
    "MIN": min,
    "AVG": lambda values: sum(values) / len(values),
}


def check_expression(expression: str, ids: set[str]) -> None:
    """Raise UnsupportedAlarmError unless `evaluate` can take it with series for these ids."""
    evaluate(expression, {name: [1.0] for name in ids})


def evaluate(expression: str, series: Mapping[str, Series]) -> Series:
    """The expression by period: numbers, + - * /, FILL(m, number), and SUM, MAX, MIN, AVG of [m1, m2, ...].

    A period in which an operand has no data has none in the result. Raises UnsupportedAlarmError.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError as exc:
        raise UnsupportedAlarmError(f"not supported here: the metric math expression '{expression}'") from exc
    length = max((len(values) for values in series.values()), default=0)
    return [_value(tree, {name: values[period] for name, values in series.items()}) for period in range(length)]


def _value(node: ast.expr, at: Mapping[str, Datapoint]) -> Datapoint:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in at:
        return at[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _combined(_BINARY[type(node.op)], _value(node.left, at), _value(node.right, at))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node.func.id, node.args, at)
    raise UnsupportedAlarmError(f"not supported here: '{ast.unparse(node)}' in a metric math expression")


def _combined(combine: Callable[[float, float], float], left: Datapoint, right: Datapoint) -> Datapoint:
    if left is None or right is None:
        return None
    try:
        return combine(left, right)
    except ZeroDivisionError:
        return None


def _called(name: str, arguments: list[ast.expr], at: Mapping[str, Datapoint]) -> Datapoint:
    if name == "FILL" and len(arguments) == 2:
        value = _value(arguments[0], at)
        return _value(arguments[1], at) if value is None else value
    if name in _AGGREGATES and len(arguments) == 1 and isinstance(arguments[0], ast.List):
        values = [_value(element, at) for element in arguments[0].elts]
        known = [value for value in values if value is not None]
        return _AGGREGATES[name](known) if known else None
    raise UnsupportedAlarmError(f"not supported here: the metric math function {name}")
