"""One JSON object a log line, so that CloudWatch Logs Insights can ask for its fields."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from common import clock


@dataclass(frozen=True)
class Log:
    """A log whose lines all carry `fields` (the function, the run …)."""

    fields: dict[str, Any] = field(default_factory=dict)

    def bind(self, **fields: Any) -> Log:
        return Log({**self.fields, **fields})

    def info(self, event: str, **fields: Any) -> None:
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("WARNING", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("ERROR", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        line = {"time": clock.stamp(), "level": level, "event": event, **self.fields, **fields}
        sys.stdout.write(json.dumps(line, default=str) + "\n")
