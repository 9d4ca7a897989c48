"""A tuning job as a terminal shows it: its budget as bars, its best trial, its last trials."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from ratchet.durations import duration
from ratchet.live import first_line
from ratchet.tuning import ranges, trials
from ratchet.tuning.trials import Trial, TuningJob

# Trials that are shown: those that run, and the last that ended.
SHOWN = 15
BAR = 32
_STYLES = {
    trials.COMPLETED: "green",
    trials.STOPPED_EARLY: "yellow",
    trials.STOPPED: "yellow",
    trials.RUNNING: "blue",
    trials.FAILED: "bold red",
    trials.NO_OBJECTIVE: "red",
}


def board(job: TuningJob, now: datetime) -> RenderableType:
    """The whole job at a moment."""
    lines = [f"[bold]{escape(job.name)}[/]  {escape(job.strategy)}, to {escape(str(job.objective))}  {_status(job)}"]
    lines += [f"[red]{escape(job.failure)}[/]"] if job.failure else []
    return Group(*lines, budget(job, now), *_best(job), table(job, now))


def _status(job: TuningJob) -> str:
    style = {"Completed": "green", "Failed": "bold red"}.get(job.status, "yellow")
    return f"[{style}]{escape(job.status)}[/]{', converged' if job.converged else ''}"


def budget(job: TuningJob, now: datetime) -> Table:
    """A line a limit: how much of it is used, and what is left."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, used, limit, left in _budget(job, now):
        bar: Any = ProgressBar(total=limit, completed=min(used, limit), width=BAR) if limit else ""
        table.add_row(f"[dim]{name}[/]", bar, left)
    return table


def _budget(job: TuningJob, now: datetime) -> Iterator[tuple[str, float, float, str]]:
    """(name, used, limit, in words)"""
    limits, launched, elapsed = job.limits, len(job.trials), job.elapsed(now)
    counts = ", ".join(f"{job.count(status)} {status}" for status in _STYLES if job.count(status)) or "none yet"
    left = f" · {max(limits.trials - launched, 0)} left" if limits.trials and job.runs else ""
    of = f"{launched} of {limits.trials}" if limits.trials else str(launched)
    yield "trials", launched, limits.trials or 0, f"{of}: {counts}{left}"
    if limits.seconds:
        rest = f" · {duration(max(limits.seconds - elapsed, 0))} left" if job.runs else ""
        yield "time", elapsed, limits.seconds, f"{duration(elapsed)} of {duration(limits.seconds)}{rest}"
    else:
        yield "time", 0, 0, f"{duration(elapsed)}, {duration(job.training_seconds)} of training"
    if limits.not_improving:
        used = job.not_improving or 0
        yield "patience", used, limits.not_improving, f"{used} of {limits.not_improving} trials without improvement"
    if limits.target is not None:
        yield "target", 0, 0, f"ends at {limits.target:g}"


def _best(job: TuningJob) -> list[str]:
    best = job.best
    if best is None:
        return []
    values = "  ".join(f"[dim]{escape(name)}[/] {escape(_value(value))}" for name, value in best.values.items())
    return ["", f"best  [bold green]{best.objective:.6g}[/]  trial {best.number}  {values}", ""]


def table(job: TuningJob, now: datetime) -> Table:
    """The trials that run and the last that ended, newest first."""
    names = list(dict.fromkeys(name for trial in job.trials for name in trial.values))
    failed = any(trial.failure for trial in job.trials[-SHOWN:])
    found = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("trial", "status", job.objective.metric, "trained", *names, *(["why"] if failed else [])):
        is_number = title not in ("status", "why")
        found.add_column(escape(title), no_wrap=title != "why", justify="right" if is_number else "left")
    for trial in _newest_first(job):
        why = [escape(first_line(trial.failure, 80))] if failed else []
        found.add_row(*_row(trial, job, now), *(escape(_value(trial.values.get(name, ""))) for name in names), *why)
    return found


def _newest_first(job: TuningJob) -> list[Trial]:
    running = [trial for trial in job.trials if trial.status == trials.RUNNING]
    ended = [trial for trial in job.trials if trial.status != trials.RUNNING]
    shown = [*running, *ended[max(len(ended) - max(SHOWN - len(running), 1), 0) :]]
    return sorted(shown, key=lambda trial: trial.number, reverse=True)


def _row(trial: Trial, job: TuningJob, now: datetime) -> list[str]:
    is_best = trial is job.best
    objective = "" if trial.objective is None else f"{trial.objective:.6g}"
    seconds = trial.seconds if trial.seconds is not None or not trial.started else (now - trial.started).total_seconds()
    return [
        str(trial.number),
        f"[{_STYLES[trial.status]}]{trial.status}[/]",
        f"[bold green]{objective}[/]" if is_best else objective,
        "" if seconds is None else duration(seconds),
    ]


def _value(value: str) -> str:
    """A value as it was tried, a long fraction cut."""
    number = ranges.as_number(value) if len(value) > 8 else None
    return ranges.unquoted(value) if number is None else f"{number:.5g}"
