"""`logs`: what a run's jobs and functions have written to CloudWatch Logs."""

from __future__ import annotations

import click

from ratchet.command import Answer, Context, command


@command("logs")
@click.argument("run")
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
def logs(context: Context, run: str, follow: bool) -> Answer:
    """Print the logs of RUN (a run's id, or a pipeline's name for its newest): its jobs' and its functions'."""
    from rich.markup import escape

    from ratchet import run_logs
    from ratchet.runs import RunTable

    names = context.pipelines()
    found = RunTable(context.account).find(names, run)
    lines: list[run_logs.Line] = []
    for line in run_logs.read(context.account, found, follow=follow):
        lines.append(line)
        told = run_logs.for_people(line.message)
        if told is not None:
            context.say_styled(f"[dim]{line.at:%H:%M:%S}[/] [cyan]{escape(line.source):<10}[/] {escape(told)}")
    if not lines:
        context.say(f"run {found.run_id} has written no logs")
    return Answer({"run_id": found.run_id, "events": [line.document() for line in lines]})
