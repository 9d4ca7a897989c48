"""CloudWatch: periods, windows and datapoints of alarms. Pure."""

from __future__ import annotations

from localaws.ministack_adapter.limits.refusals import Document, Refusal

_DAY, _WEEK, _HOUR = 86_400, 604_800, 3_600
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")


def refusal(alarm: Document) -> Refusal | None:
    """Of PutMetricAlarm, as the API and CloudFormation send it."""
    told = _of_period(alarm) or _of_datapoints(alarm)
    return Refusal("ValidationError", told) if told else None


def _of_period(alarm: Document) -> str:
    if not alarm.get("Period"):
        return ""
    period = int(alarm["Period"])
    window = period * int(alarm.get("EvaluationPeriods") or 1)
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        return "Period must be 10, 20, 30 or a multiple of 60"
    if period < _HOUR and window > _DAY:
        return (
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for alarms "
            "using period < 3600"
        )
    if window > _WEEK:
        return (
            "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800) for "
            "alarms using period >= 3600"
        )
    return ""


def _of_datapoints(alarm: Document) -> str:
    needed, periods = alarm.get("DatapointsToAlarm"), alarm.get("EvaluationPeriods")
    if needed and periods and int(needed) > int(periods):
        return "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    if alarm.get("Statistic") and alarm.get("ExtendedStatistic"):
        return "Statistic and ExtendedStatistic can't both be given"
    treatment = alarm.get("TreatMissingData")
    if treatment and treatment not in _TREATMENTS:
        return f"Option {treatment} not supported for parameter TreatMissingData"
    return ""
