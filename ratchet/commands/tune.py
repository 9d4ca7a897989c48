"""`tune`: what tuning jobs found, as pages and pictures, and what they do now."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from rich.table import Table

    from ratchet.tuning.study import Study
    from ratchet.tuning.trials import TuningJob

Document = dict[str, Any]
POLL_SECONDS = 1.0
# Files of the pins that hold what draws.
PICTURES = "requirements/pictures.txt"


@click.group("tune", epilog="Each takes --environment/-e, --json and --debug, as every command does.")
def tune() -> None:
    """Show what tuning jobs found, and what they do now; any of the environment's, whoever started it."""


@command("report")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@click.option("--png", is_flag=True, help="Also one PNG of the same pictures, beside the page.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it; .ratchet/reports/.")
def report(context: Context, jobs: tuple[str, ...], png: bool, show: bool, output: Path | None) -> Answer:
    """Write a page of one or several tuning JOBs, with their parents: one self-contained HTML file.

    \b
    ratchet tune report digits-1                     what it found, trial by trial
    ratchet tune report digits-bayes digits-random   which strategy was better: each in a colour of its own
    """
    import webbrowser

    from rich.markup import escape

    page = _drawing(context)
    study, at = _study(context, jobs), datetime.now(UTC)
    path = output or context.project.reports / f"tuning-{'-'.join(jobs)[:120]}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.render(study, _where(context, at)), encoding="utf-8")
    written = [path]
    if png:
        written.append(path.with_suffix(".png"))
        written[1].write_bytes(page.picture(study, at))
    if show:
        webbrowser.open(path.resolve().as_uri())
    document = {**_told(study), "report": str(path), "png": str(written[1]) if png else None}
    return Answer(document, "\n".join(escape(str(each)) for each in written))


def _drawing(context: Context) -> Any:
    """The module that draws, whose libraries only this command needs.

    Raises:
        UserError: they aren't installed.
    """
    import importlib
    import sys

    from ratchet.errors import UserError

    try:
        return importlib.import_module("ratchet.tuning.page")
    except ModuleNotFoundError as error:
        if error.name not in ("altair", "vl_convert"):
            raise
        how = f"{sys.executable} -m pip install -r {context.project.root / PICTURES}"
        raise UserError(f"the pictures need Altair, which isn't installed: `{how}`") from error


def _study(context: Context, names: tuple[str, ...]) -> Study:
    from ratchet.errors import UserError
    from ratchet.tuning import reading, study

    jobs, gone = reading.with_parents(context.account, names)
    if not any(job.trials for job in jobs):
        raise UserError(f"{' and '.join(dict.fromkeys(names))} started no trials yet: there is nothing to draw")
    curves = [curve for job in jobs for curve in reading.curves(context.account, job)]
    return study.of_jobs(jobs, asked=names, curves=curves, gone=gone)


def _where(context: Context, at: datetime) -> Any:
    from ratchet.tuning.page import Where

    environment = context.account.environment
    account = context.account.client("sts").get_caller_identity()["Account"]
    return Where(environment.name, account, environment.region, at)


def _told(found: Study) -> Document:
    """A study for `--json`: its jobs' best trials, and what decided."""
    return {
        "objective": {"metric": found.objective.metric, "maximize": found.objective.maximize},
        "jobs": [_job_document(job, datetime.now(UTC)) for job in found.jobs],
        "importance": [
            {"name": each.name, "share": told.share, "interval": [told.low, told.high]}
            for each, told in found.importances
        ],
    }


# -------------------------------------------------------------------------------------------------------------- status


@command("status")
@click.argument("job", required=False)
@click.option("--once", is_flag=True, help="Don't follow it to its end, as is done in a terminal.")
def status(context: Context, job: str | None, once: bool) -> Answer:
    """Show the trials of a tuning JOB (the newest, unless named), live: the best, the budget, and what is left of it.

    In a terminal it goes on until the job has ended; Ctrl-C ends the looking, not the job.
    """
    name = job or _newest(context)
    found = _look(context, name)
    if found.runs and not once and context.for_people and context.console.is_terminal:
        found = _followed(context, found)
        return Answer(_document(found), "")
    return Answer(_document(found), lambda: _shown(found))


def _newest(context: Context) -> str:
    from ratchet.errors import UserError
    from ratchet.tuning import reading

    found = reading.newest(context.account, 1)
    if not found:
        raise UserError("there has been no tuning job; `tune:` in pipeline.yaml makes a pipeline tune")
    return str(found[0]["HyperParameterTuningJobName"])


def _look(context: Context, name: str) -> TuningJob:
    from ratchet.tuning import reading

    return reading.job(context.account, name)


def _followed(context: Context, found: TuningJob) -> TuningJob:
    """Shows the job until it has ended."""
    from rich.live import Live

    with Live(_shown(found), console=context.console, auto_refresh=False) as live:
        while found.runs:
            time.sleep(POLL_SECONDS)
            found = _look(context, found.name)
            live.update(_shown(found), refresh=True)
    return found


def _shown(found: TuningJob) -> Any:
    from ratchet.tuning import board

    return board.board(found, datetime.now(UTC))


def _document(found: TuningJob) -> Document:
    trials = [
        {
            "name": trial.name,
            "status": trial.status,
            "objective": trial.objective,
            "seconds": trial.seconds,
            "hyperparameters": dict(trial.values),
            "failure": trial.failure or None,
        }
        for trial in found.trials
    ]
    return {**_job_document(found, datetime.now(UTC)), "trials": trials}


def _job_document(found: TuningJob, now: datetime) -> Document:
    best = found.best
    return {
        "name": found.name,
        "status": found.status,
        "strategy": found.strategy,
        "objective": {"metric": found.objective.metric, "maximize": found.objective.maximize},
        "best": best and {"name": best.name, "objective": best.objective, "hyperparameters": dict(best.values)},
        "launched": len(found.trials),
        "max_jobs": found.limits.trials,
        "seconds": found.elapsed(now),
        "max_seconds": found.limits.seconds,
        "training_seconds": found.training_seconds,
        "parents": list(found.parents),
        "failure": found.failure or None,
    }


# ---------------------------------------------------------------------------------------------------------------- list


@command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
def list_(context: Context, limit: int) -> Answer:
    """List the last tuning jobs, newest first."""
    from ratchet.tuning import reading

    found = reading.newest(context.account, limit)
    return Answer({"tuning_jobs": found}, lambda: _listed(found) if found else "no tuning jobs yet")


def _listed(found: list[Document]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("tuning job", "strategy", "status", "trials", "created"):
        table.add_column(title, no_wrap=True, justify="right" if title == "trials" else "left")
    for each in found:
        trials = f"{sum(each['TrainingJobStatusCounters'].values())}"
        limit = (each.get("ResourceLimits") or {}).get("MaxNumberOfTrainingJobs")
        table.add_row(
            escape(each["HyperParameterTuningJobName"]),
            escape(each["Strategy"]),
            escape(each["HyperParameterTuningJobStatus"]),
            f"{trials} of {limit}" if limit else trials,
            f"{each['CreationTime'].astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        )
    return table


tune.add_command(report)
tune.add_command(status)
tune.add_command(list_)
