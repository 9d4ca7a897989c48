"""Execution logs in CloudWatch Logs, written apart from the execution, so that no state waits for them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.ministack_adapter.ministack_platform import MiniStackPlatform
from localaws.states.execution_log import is_logged, log_line
from localaws.states.history import Event

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """Where and what of an execution is logged."""

    group: str
    stream: str
    level: str
    include_execution_data: bool


def destination(logging_configuration: Mapping[str, Any], machine_name: str, execution_name: str) -> Destination | None:
    """The destination of an execution's log; None where its machine logs nothing."""
    level = logging_configuration.get("level", "OFF")
    destinations = logging_configuration.get("destinations") or []
    if level == "OFF" or not destinations:
        return None
    arn = destinations[0]["cloudWatchLogsLogGroup"]["logGroupArn"]
    minute = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M")
    return Destination(
        group=arn.split(":log-group:", 1)[-1].removesuffix(":*"),
        stream=f"states/{machine_name}/{minute}/{execution_name}",
        level=level,
        include_execution_data=bool(logging_configuration.get("includeExecutionData")),
    )


class ExecutionLogs:
    """One thread writes the lines of all executions, in order."""

    def __init__(self, platform: MiniStackPlatform) -> None:
        self._platform = platform
        self._lines: queue.SimpleQueue[tuple[Destination, tuple[int, str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="states-logs", daemon=True)
        self._started = False

    def add(self, where: Destination, event: Event, execution_arn: str) -> None:
        if not is_logged(event["type"], where.level):
            return
        if not self._started:
            self._started = True
            self._thread.start()
        self._lines.put((where, log_line(event, execution_arn, where.include_execution_data)))

    def close(self) -> None:
        if self._started:
            self._lines.put(None)
            self._thread.join(timeout=2)

    def _write(self) -> None:
        while True:
            entry = self._lines.get()
            if entry is None:
                return
            where, line = entry
            try:
                self._platform.put_log_events(where.group, where.stream, [line])
            except Exception:
                logger.exception("execution log of %s", where.stream)
