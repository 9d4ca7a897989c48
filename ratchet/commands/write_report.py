"""`report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from ratchet.command import Answer, Context, command


@command("report")
@click.argument("run")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it; .ratchet/reports/.")
def report(context: Context, run: str, show: bool, output: Path | None) -> Answer:
    """Write the report of RUN (a run's id, or a pipeline's name for its newest): one self-contained HTML page."""
    import webbrowser

    from rich.markup import escape

    from ratchet import report as reports
    from ratchet.runs import RunTable

    found = RunTable(context.account).find(context.pipelines(), run)
    path = output or context.project.reports / f"{found.pipeline}-{found.run_id}.html"
    reports.write(reports.gather(context.account, found), path, context.project.home)
    if show:
        webbrowser.open(path.resolve().as_uri())
    return Answer({"run_id": found.run_id, "outcome": found.outcome, "report": str(path)}, escape(str(path)))
