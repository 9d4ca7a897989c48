"""CloudWatch alarms: MiniStack keeps them, and `localaws.metric_alarms` computes their states.

MiniStack looks at all dimensions of a metric together, at one sum over all periods, only when a metric is written, and
drops metric math. Here each alarm is evaluated by period, when metrics are written and a few times a minute (missing
data are a state too), and a change of state is an event on the default bus. Queues that an alarm watches get their
metrics written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from localaws.metric_alarms import (
    Series,
    Threshold,
    UnsupportedAlarmError,
    check_expression,
    check_statistic,
    evaluate,
    is_too_small,
    state,
)
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.limits import alarms
from localaws.ministack_adapter.ministack_platform import put_event
from localaws.server_file import ACCOUNT, REGION
from localaws.settings import FILE_NAME, Settings

logger = logging.getLogger(__name__)

Document = dict[str, Any]
EVALUATE_EVERY_SECONDS = 10.0
# However much `clock_scale` shortens them: metrics of endpoints are written up to ten times a second.
SHORTEST_PERIOD_SECONDS, SHORTEST_PAUSE_SECONDS = 0.5, 0.25
_QUEUE_METRICS = ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
LOW_SAMPLES = "EvaluateLowSampleCountPercentile"
# What a metric-math alarm hasn't: its metrics each have their own.
_OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit", "Dimensions")


def install(aws: EmbeddedAws) -> None:
    from ministack.services import cloudwatch

    evaluated = Alarms(aws)
    cloudwatch._evaluate_alarm = evaluated.evaluate
    cloudwatch._put_metric_alarm = _keeping_metric_math(cloudwatch._put_metric_alarm)
    aws.when_ready(evaluated.start)
    aws.when_closing(evaluated.close)


class RefusedAlarmError(ValueError):
    """An alarm that AWS refuses; its text is CloudWatch's."""


def check(alarm: Document) -> None:
    """Raise RefusedAlarmError for what AWS refuses, UnsupportedAlarmError for what can't be evaluated here."""
    if refusal := alarms.refusal(alarm):
        raise RefusedAlarmError(refusal.message)
    Threshold.of(alarm)
    if alarm.get("ExtendedStatistic"):
        check_statistic(str(alarm["ExtendedStatistic"]))
    queries = alarm.get("Metrics") or []
    ids = {query["Id"] for query in queries}
    for query in queries:
        if "Expression" in query:
            check_expression(query["Expression"], ids)
        if "MetricStat" in query:
            check_statistic(str(query["MetricStat"]["Stat"]))


def with_metric_math(alarm: Document, metrics: list[Document]) -> Document:
    """MiniStack's record of an alarm over these metrics (MetricDataQuery documents)."""
    return {**{key: value for key, value in alarm.items() if key not in _OF_ONE_METRIC}, "Metrics": metrics}


class Alarms:
    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._scale = Settings.read(aws.state_dir / FILE_NAME).clock_scale
        self._closing = threading.Event()
        # A topic that an alarm tells has metrics too, and may have alarms on them.
        self._lock = threading.RLock()

    def start(self) -> None:
        threading.Thread(target=self._look_again, name="alarms", daemon=True).start()

    def close(self) -> None:
        self._closing.set()

    def evaluate(self, alarm: Document) -> None:
        """Bring one alarm to the state that its metrics say, with history, actions and event."""
        if not alarm.get("MetricName") and not alarm.get("Metrics"):
            return
        with self._lock:
            previous, look = alarm["StateValue"], Look(0, time.time(), self._scale)
            try:
                threshold = Threshold.of(alarm)
                look = replace(look, periods=threshold.evaluation_range)
                if _waits_for_samples(alarm, replace(look, periods=threshold.evaluation_periods)):
                    return
                series = _series(alarm, look)
            except UnsupportedAlarmError as exc:
                logger.warning("alarm %s: %s", alarm["AlarmName"], exc)
                return
            current = state(threshold, series, previous)
            if current != previous:
                self._change(alarm, previous, current, _reason(threshold, series))

    def _change(self, alarm: Document, previous: str, current: str, reason: str) -> None:
        from ministack.services import cloudwatch

        event = _event(alarm, previous, current, reason)
        alarm.update(StateValue=current, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], previous, current, reason)
        cloudwatch._dispatch_alarm_actions(alarm, previous, current, reason)
        cloudwatch._evaluate_parent_alarms(alarm)
        self._aws.changed("cloudwatch")
        self._put_event(alarm["AlarmArn"], event)

    def _put_event(self, arn: str, detail: Document) -> None:
        try:
            put_event(self._aws, "aws.cloudwatch", "CloudWatch Alarm State Change", detail, [arn])
        except Exception:
            logger.exception("no event for %s", arn)

    def _look_again(self) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        pause = max(EVALUATE_EVERY_SECONDS / self._scale, SHORTEST_PAUSE_SECONDS)
        while not self._closing.wait(pause):
            with request_scope(self._aws.account, self._aws.region):
                try:
                    self._write_queue_metrics(list(cloudwatch._alarms.values()))
                    cloudwatch._evaluate_all_alarms()
                except Exception:
                    logger.exception("evaluating alarms failed")

    def _write_queue_metrics(self, watching: list[Document]) -> None:
        """Write the metrics of AWS/SQS that an alarm watches; AWS writes them every minute."""
        from ministack.services import cloudwatch, sqs

        watched = {_queue_name(alarm) for alarm in watching if alarm.get("MetricName") in _QUEUE_METRICS}
        queues = [queue for queue in sqs._queues.values() if queue["name"] in watched]
        for queue in queues:
            now = time.time()
            visible = [message for message in queue["messages"] if message.get("visible_at", 0) <= now]
            oldest = min((message["sent_at"] for message in visible), default=now)
            for metric, value, unit in zip(
                _QUEUE_METRICS, (len(visible), now - oldest), ("Count", "Seconds"), strict=True
            ):
                cloudwatch.record_metric("AWS/SQS", metric, value, unit, {"QueueName": queue["name"]})


def _queue_name(alarm: Document) -> str | None:
    return next((d["Value"] for d in alarm.get("Dimensions") or [] if d["Name"] == "QueueName"), None)


def _keeping_metric_math(put: Callable[..., Any]) -> Callable[..., Any]:
    """PutMetricAlarm that keeps `Metrics` and EvaluateLowSampleCountPercentile, which MiniStack drops."""

    def put_metric_alarm(params: Document, data: Document | None, is_cbor: bool, is_json: bool = False) -> Any:
        from ministack.services import cloudwatch

        document = data or {}
        metrics, low_samples = document.get("Metrics"), document.get(LOW_SAMPLES)
        try:
            if document.get("ComparisonOperator"):
                check(document)
        except (RefusedAlarmError, UnsupportedAlarmError) as exc:
            return cloudwatch._error("ValidationError", str(exc), 400, use_json=is_json, use_cbor=is_cbor)
        answer = put(params, data, is_cbor, is_json)
        if answer[0] < 400 and (metrics or low_samples):
            name = document["AlarmName"]
            kept = cloudwatch._alarms[name] | ({LOW_SAMPLES: low_samples} if low_samples else {})
            cloudwatch._alarms[name] = with_metric_math(kept, metrics) if metrics else kept
            cloudwatch._evaluate_alarm(cloudwatch._alarms[name])
        return answer

    return put_metric_alarm


@dataclass(frozen=True)
class Look:
    """What an alarm looks at: so many periods up to now, which pass `scale` times as fast as they say."""

    periods: int
    now: float
    scale: float = 1.0

    def windows(self, period: int) -> list[tuple[float, float]]:
        """Begin and end of each period, the oldest first."""
        seconds = max(period / self.scale, min(period, SHORTEST_PERIOD_SECONDS))
        return [(self.now - seconds * (back + 1), self.now - seconds * back) for back in reversed(range(self.periods))]


def latest(alarm: Document, look: Look) -> float | None:
    """The last value of an alarm's metric, as far back as `look` goes."""
    from ministack.core.responses import request_scope

    with request_scope(ACCOUNT, REGION):
        known = [value for value in _series(alarm, look) if value is not None]
    return known[-1] if known else None


def _series(alarm: Document, look: Look) -> Series:
    """The alarm's own series; of metric math, that of the query that returns data."""
    if not alarm.get("Metrics"):
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
        return _statistics(alarm, int(alarm.get("Period") or 60), str(statistic), look)
    known: dict[str, Series] = {}
    queries = alarm["Metrics"]
    for query in queries:
        if "MetricStat" in query:
            stat = query["MetricStat"]
            known[query["Id"]] = _statistics(stat["Metric"], int(stat["Period"]), stat["Stat"], look)
    returned = next(query for query in queries if query.get("ReturnData", True))
    return _evaluated(returned["Id"], {query["Id"]: query for query in queries}, known)


def _evaluated(name: str, queries: dict[str, Document], known: dict[str, Series]) -> Series:
    """The series of a query, for which those of all other expressions are evaluated first."""
    for query in queries.values():
        if "Expression" in query and query["Id"] != name:
            known = {**known, query["Id"]: evaluate(query["Expression"], known)}
    return known[name] if name in known else evaluate(queries[name]["Expression"], known)


def _waits_for_samples(alarm: Document, look: Look) -> bool:
    """Whether an alarm of a percentile keeps its state, since there are too few samples to tell."""
    if alarm.get(LOW_SAMPLES) != "ignore" or not alarm.get("ExtendedStatistic"):
        return False
    counts = _statistics(alarm, int(alarm.get("Period") or 60), "SampleCount", look)
    return is_too_small(str(alarm["ExtendedStatistic"]), sum(count or 0.0 for count in counts))


def _statistics(metric: Document, period: int, statistic: str, look: Look) -> Series:
    """One metric's statistic for each of the periods, the oldest first."""
    windows = look.windows(period)
    points = list(_points(metric, windows[0][0]))
    return [_statistic([p for p in points if start < p["Timestamp"] <= end], statistic) for start, end in windows]


def _statistic(points: list[Document], statistic: str) -> float | None:
    from ministack.services import cloudwatch

    stats = cloudwatch._calc_stats(points)
    value = cloudwatch._stat_value(stats, statistic, points) if stats else None
    return None if value is None else float(value)


def _points(metric: Document, since: float) -> Iterator[Document]:
    """The datapoints of exactly this metric; its dimensions are part of what names it."""
    from ministack.services import cloudwatch

    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(metric.get("Dimensions") or []))
    points = cloudwatch._metrics.get((metric["Namespace"], metric["MetricName"], dimensions)) or []
    # A metric may be written while this reads; a point of the present second has not passed yet.
    return (point for point in list(points) if point["Timestamp"] > since)


def _reason(threshold: Threshold, series: Series) -> str:
    known = [value for value in list(series)[-threshold.evaluation_periods :] if value is not None]
    if not known:
        return "No datapoints were received for the evaluated periods"
    shown = ", ".join(f"{value:g}" for value in known)
    return f"Threshold Crossed: the last datapoints [{shown}], {threshold.comparison} ({threshold.value:g})"


def _event(alarm: Document, previous: str, current: str, reason: str) -> Document:
    """The detail of an alarm's change of state (CloudWatch User Guide, "Alarm events and EventBridge")."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
    return {
        "alarmName": alarm["AlarmName"],
        "configuration": {"description": alarm.get("AlarmDescription", ""), "metrics": _metrics_of(alarm)},
        "previousState": {"value": previous, "reason": alarm.get("StateReason", ""), "timestamp": now},
        "state": {"value": current, "reason": reason, "timestamp": now},
    }


def _metrics_of(alarm: Document) -> list[Document]:
    if alarm.get("Metrics"):
        return [{"id": query["Id"], "returnData": query.get("ReturnData", True)} for query in alarm["Metrics"]]
    dimensions = {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []}
    metric = {"namespace": alarm["Namespace"], "name": alarm["MetricName"], "dimensions": dimensions}
    stat = {"metric": metric, "period": alarm.get("Period"), "stat": alarm.get("Statistic")}
    return [{"id": "m1", "metricStat": stat, "returnData": True}]
