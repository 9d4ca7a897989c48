"""How the embedded Step Functions behaves where AWS's documentation leaves it open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

FILE_NAME = "settings.json"
StoppedJob = Literal["fails", "succeeds"]


@dataclass(frozen=True)
class Settings:
    """`stopped_job`: how a `.sync` task ends whose SageMaker job ends as `Stopped`.

    AWS's documentation doesn't say whether such a task succeeds. "fails" (the default) ends it with
    `States.TaskFailed` and the Describe document as its cause, as for a job that failed; "succeeds" returns the
    Describe document, whose status says `Stopped`. A workflow should take both.
    """

    stopped_job: StoppedJob = "fails"

    @classmethod
    def read(cls, path: Path) -> Settings:
        """From `settings.json` in the state folder, `{"stopped_job": "succeeds"}`; the defaults where there is none.

        Raises ValueError that names the file, the setting and what would be right.
        """
        if not path.exists():
            return cls()
        try:
            document = json.loads(path.read_text())
        except ValueError as exc:
            raise ValueError(f"{path}: not JSON: {exc}") from exc
        unknown = set(document) - {"stopped_job"} if isinstance(document, dict) else {repr(document)}
        if unknown:
            raise ValueError(f"{path}: unknown settings {', '.join(sorted(unknown))}; there is stopped_job")
        settings = cls(**document)
        if settings.stopped_job not in get_args(StoppedJob):
            known = " or ".join(get_args(StoppedJob))
            raise ValueError(f"{path}: stopped_job: {settings.stopped_job!r}; it must be {known}")
        return settings
