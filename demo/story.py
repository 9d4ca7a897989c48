"""The demo's record of what has happened, as it goes: becomes .ratchet/demo.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.runs import Run


@dataclass
class Story:
    """The phases' seconds, the runs, the requests meanwhile, the digits that were asked at the end."""

    pipeline: str
    degrees: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=lambda: {"sent": 0, "failed": 0})
    digits: list[dict[str, str]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Writes demo.json into the folder; also of a story that went wrong."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "pipeline": self.pipeline,
            "turned_degrees": self.degrees,
            "seconds": self.seconds,
            "requests": self.requests,
            "digits": self.digits,
            "runs": [_record(run) for run in self.runs],
        }
        (folder / "demo.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _record(run: Run) -> dict[str, Any]:
    figures = run.evaluation
    return {
        "run_id": run.run_id,
        "outcome": run.outcome,
        "decision": run.reason,
        "metric": run.metric,
        "scores": {"challenger": run.challenger_score, "champion": run.champion_score},
        "difference": figures.get("difference"),
        "interval": figures.get("interval"),
        "seconds": run.seconds,
    }
