"""Status changes of executions, on the event bus and as metrics."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.ministack_platform import MiniStackPlatform, put_event

logger = logging.getLogger(__name__)

Record = dict[str, Any]


class StatusEvents:
    """Tells the event bus and CloudWatch of new statuses, apart from the execution's own thread."""

    def __init__(self, aws: EmbeddedAws, platform: MiniStackPlatform) -> None:
        self._aws = aws
        self._platform = platform

    def emit(self, record: Record) -> None:
        if record.get("sync"):
            return
        detail = status_detail(record)
        work = contextvars.copy_context().run
        threading.Thread(target=work, args=(self._put, detail), name="states-status", daemon=True).start()

    def _put(self, detail: Record) -> None:
        arn = detail["executionArn"]
        try:
            put_event(self._aws, "aws.states", "Step Functions Execution Status Change", detail, [arn])
            self._platform.put_metric_data("AWS/States", status_metrics(detail))
        except Exception:
            logger.exception("the status of %s was not told", arn)


def status_detail(record: Mapping[str, Any]) -> Record:
    """The detail of a status change event (Developer Guide, "Automating Step Functions event delivery with
    EventBridge"); input and output above 248 KiB are left out."""
    status = record["status"]
    failed = status in ("FAILED", "TIMED_OUT", "ABORTED")
    output = record.get("output") if status == "SUCCEEDED" else None
    return {
        "executionArn": record["executionArn"],
        "stateMachineArn": record["stateMachineArn"],
        "name": record["name"],
        "status": status,
        "startDate": _milliseconds(record.get("startDate")),
        "stopDate": _milliseconds(record.get("stopDate")),
        **_payload("input", record.get("input")),
        **_payload("output", output),
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE" if failed else "NOT_REDRIVABLE",
        "redriveStatusReason": None if failed else f"Execution is {status} and cannot be redriven",
        "error": record.get("error") if failed else None,
        "cause": record.get("cause") if failed else None,
    }


_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def status_metrics(detail: Mapping[str, Any]) -> list[Record]:
    """The metrics of a status change (Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch").

    ExecutionTime is in milliseconds.
    """
    dimensions = [{"Name": "StateMachineArn", "Value": detail["stateMachineArn"]}]
    data = [{"MetricName": _METRICS[detail["status"]], "Value": 1, "Unit": "Count", "Dimensions": dimensions}]
    if detail["stopDate"] is not None:
        milliseconds = detail["stopDate"] - detail["startDate"]
        data.append(
            {"MetricName": "ExecutionTime", "Value": milliseconds, "Unit": "Milliseconds", "Dimensions": dimensions}
        )
    return data


_MAX_EVENT_PAYLOAD_BYTES = 248 * 1024


def _payload(name: str, text: str | None) -> Record:
    if text is None:
        return {name: None, f"{name}Details": None}
    included = len(text.encode()) <= _MAX_EVENT_PAYLOAD_BYTES
    return {name: text if included else None, f"{name}Details": {"included": included}}


def _milliseconds(iso: str | None) -> int | None:
    return int(datetime.fromisoformat(iso).astimezone(UTC).timestamp() * 1000) if iso else None
