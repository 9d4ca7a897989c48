"""AWS::CloudWatch::Alarm over metric math, which MiniStack's provisioner refuses."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from localaws.ministack_adapter import alarm_evaluation

Document = dict[str, Any]
_RECORD = "_cw_metric_alarm_record"


def register(provisioners: ModuleType) -> None:
    record: Callable[[str, Document], Document] = provisioners.__dict__[_RECORD]

    def metric_alarm_record(name: str, props: Document) -> Document:
        metrics = props.get("Metrics")
        if not metrics:
            alarm = record(name, props)
        else:
            rest = {key: value for key, value in props.items() if key != "Metrics"}
            alarm = record(name, {**rest, "MetricName": "of Metrics", "Namespace": "of Metrics"})
            alarm = alarm_evaluation.with_metric_math(alarm, metrics)
        if low_samples := props.get(alarm_evaluation.LOW_SAMPLES):
            alarm = {**alarm, alarm_evaluation.LOW_SAMPLES: low_samples}
        alarm_evaluation.check(alarm)
        return alarm

    provisioners.__dict__[_RECORD] = metric_alarm_record
