"""A job of SageMaker's that a command has started, followed to its end: its log goes to the console meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.markup import escape

from ratchet import run_logs
from ratchet.command import Context

Document = dict[str, Any]
POLL_SECONDS = 0.5
COMPLETED = "Completed"
ENDED = (COMPLETED, "Failed", "Stopped")


def followed(  # noqa: PLR0913 - a job is known by its step, its name, and how it is described
    context: Context,
    step: str,
    job: str,
    describe: Callable[[], Document],
    status: str,
    *,
    told_later: tuple[str, ...] = (),
) -> Document:
    """The job's description when it has ended.

    Args:
        step: the run's step whose jobs are of its kind.
        status: the description's member with its status.
        told_later: how lines of the log begin that aren't shown.
    """
    seen = set[str]()
    while True:
        described = describe()
        for line in run_logs.of_job(context.account, step, job):
            if line.event_id not in seen and not line.message.startswith(told_later):
                seen.add(line.event_id)
                context.say_styled(f"[dim]{line.at:%H:%M:%S}[/] {escape(line.message)}")
        if described[status] in ENDED:
            return described
        time.sleep(POLL_SECONDS)
