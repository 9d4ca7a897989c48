"""Alarm states by datapoints and missing data, and metric math."""

from __future__ import annotations

import pytest

from localaws.metric_alarms import (
    ALARM,
    INSUFFICIENT_DATA,
    OK,
    Threshold,
    UnsupportedAlarmError,
    check_statistic,
    evaluate,
    is_too_small,
    state,
)
from localaws.ministack_adapter.alarm_evaluation import Look


def threshold(treat: str = "missing", periods: int = 3, datapoints: int = 2) -> Threshold:
    return Threshold("GreaterThanThreshold", 10.0, periods, datapoints, treat)


POINTS: dict[str, float | None] = {"X": 11.0, "0": 1.0, "-": None}
"""As the guide's tables have them: breaching, not breaching, missing."""


@pytest.mark.fidelity(
    "CloudWatch",
    "M of N datapoints of an evaluation range, and missing data as missing, breaching, notBreaching or ignore say.",
    "CloudWatch User Guide, Configuring how CloudWatch alarms treat missing data: both tables",
)
@pytest.mark.parametrize(
    ("datapoints", "series", "missing", "ignore", "breaching", "not_breaching"),
    [
        (3, "0 - X - X", OK, OK, OK, OK),
        (3, "- - - - 0", OK, OK, OK, OK),
        (3, "- - - - -", INSUFFICIENT_DATA, None, ALARM, OK),
        (3, "0 X X - X", ALARM, ALARM, ALARM, ALARM),
        (3, "- - X - -", ALARM, None, ALARM, OK),
        (2, "0 - X - X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 - X - -", OK, OK, ALARM, OK),
        (2, "- - - - 0", OK, OK, ALARM, OK),
        (2, "- - - X -", ALARM, None, ALARM, OK),
    ],
)
def test_awss_tables_of_missing_data(
    datapoints: int,
    series: str,
    missing: str,
    ignore: str | None,
    breaching: str,
    not_breaching: str,
) -> None:
    for current in (OK, ALARM, INSUFFICIENT_DATA):
        expected = {
            "missing": missing, "ignore": ignore or current, "breaching": breaching, "notBreaching": not_breaching,
        }  # fmt: skip
        points = [POINTS[point] for point in series.split()]
        found = {treat: state(threshold(treat, 3, datapoints), points, current) for treat in expected}
        assert found == expected


@pytest.mark.parametrize(
    ("series", "treat", "current", "expected"),
    [
        ([11, 12, 1], "missing", OK, ALARM),
        ([11, 1, 1], "missing", OK, OK),
        ([99, 99, 99, 11, 1, 1], "missing", OK, OK),
        ([None, None, None], "notBreaching", ALARM, OK),
        ([None, None, None], "ignore", ALARM, ALARM),
        ([None, 11, 12], "notBreaching", OK, ALARM),
        ([None, None, 11], "notBreaching", OK, OK),
        ([None, None, 11], "breaching", OK, ALARM),
        ([None, 11, 1], "missing", ALARM, OK),
        ([None, 1, 1], "missing", ALARM, OK),
    ],
)
def test_state(series: list[float | None], treat: str, current: str, expected: str) -> None:
    assert state(threshold(treat), series, current) == expected


@pytest.mark.fidelity(
    "CloudWatch",
    "DatapointsToAlarm is EvaluationPeriods unless given.",
    "CloudWatch API, PutMetricAlarm",
)
def test_of_a_request_needs_all_datapoints_unless_told_and_refuses_bands() -> None:
    request = {"ComparisonOperator": "LessThanThreshold", "Threshold": "5", "EvaluationPeriods": 2}
    assert Threshold.of(request) == Threshold("LessThanThreshold", 5.0, 2, 2, "missing")
    with pytest.raises(UnsupportedAlarmError, match="anomaly detection"):
        Threshold.of({**request, "ComparisonOperator": "LessThanLowerThreshold"})


@pytest.mark.fidelity(
    "CloudWatch",
    "Metric math: arithmetic, FILL, MAX; a division by zero gives no datapoint.",
    "CloudWatch User Guide, Using math expressions with CloudWatch metrics",
)
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b * 2", [21.0, None]),
        ("FILL(a, 7) / 2", [0.5, 3.5]),
        ("100 * a / FILL(b, 0)", [10.0, None]),
        ("MAX([a, b])", [10.0, 0.0]),
        ("a / 0", [None, None]),
    ],
)
def test_metric_math(expression: str, expected: list[float | None]) -> None:
    assert list(evaluate(expression, {"a": [1.0, None], "b": [10.0, 0.0]})) == expected


@pytest.mark.parametrize("expression", ["ANOMALY_DETECTION_BAND(a)", "a if b else 1", "c", "a +", "__import__('os')"])
def test_metric_math_that_is_not_here_is_refused(expression: str) -> None:
    with pytest.raises(UnsupportedAlarmError, match="not supported here"):
        evaluate(expression, {"a": [1.0], "b": [1.0]})


def test_periods_end_now_and_pass_as_fast_as_the_clock_says() -> None:
    assert Look(2, 1000.0).windows(60) == [(880.0, 940.0), (940.0, 1000.0)]
    assert Look(2, 1000.0, 60.0).windows(300) == [(990.0, 995.0), (995.0, 1000.0)]
    assert Look(1, 1000.0, 3600.0).windows(60) == [(999.5, 1000.0)], "no shorter than metrics come"


def test_statistics_that_are_not_computed_are_refused_by_name() -> None:
    for known in ("Average", "Sum", "p50", "p99.9", "p100"):
        check_statistic(known)
    for unknown in ("tm90", "IQM", "p101", "average", "PR(:300)"):
        with pytest.raises(UnsupportedAlarmError, match="not supported here: the statistic "):
            check_statistic(unknown)


@pytest.mark.fidelity(
    "CloudWatch",
    "A percentile is significant with 10/(1-percentile) samples, below the median with 10/percentile.",
    "CloudWatch User Guide, Percentile-based alarms and low data samples",
)
def test_percentiles_of_few_samples() -> None:
    limits = {"p99": 1000, "p90": 100, "p50": 20, "p10": 100}
    assert all(is_too_small(name, limit - 1) and not is_too_small(name, limit) for name, limit in limits.items())
    assert not is_too_small("Average", 1)
