"""How the embedded Step Functions behaves where AWS's documentation leaves it open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """`stopped_job`: how a `.sync` task ends whose SageMaker job ends as `Stopped`.

    AWS's documentation doesn't say whether such a task succeeds. "fails" (the default) ends it with
    `States.TaskFailed` and the Describe document as its cause, as for a job that failed; "succeeds" returns the
    Describe document, whose status says `Stopped`. A workflow should take both.
    """

    stopped_job: Literal["fails", "succeeds"] = "fails"
