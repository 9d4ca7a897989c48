"""The command line: `ratchet --help` lists the commands, each in its module of `ratchet.commands`.

Exit codes: 0 done; 1 it couldn't be done, with a sentence on standard error; 2 wrong usage; 3 the run that was waited
for ended Failed, RolledBack, Stopped or StoppedByRule; 130 interrupted.
"""

from __future__ import annotations

import importlib

import click

from contract.suggestions import near

# Command → (its module in ratchet.commands, one line of help). Listed here, so that help needs to import none of them.
_COMMANDS = {
    "up": ("embedded_aws", "Start the embedded AWS and deploy the stacks to it."),
    "down": ("embedded_aws", "Stop the embedded AWS and everything that it started."),
    "env": ("embedded_aws", 'Print what points aws, boto3 and cdk to it: eval "$(ratchet env)".'),
    "doctor": ("doctor", "Check what Ratchet needs, and say what to do about what is missing."),
    "new": ("new", "Make a model's folder from a template that works."),
    "run": ("start_run", "Start a run of a pipeline; --wait follows it state by state."),
    "train": ("train", "Run just a pipeline's training job, and follow its log."),
    "rollback": ("start_run", "Bring back an earlier champion's model."),
    "repair": ("start_run", "Put a pipeline's endpoint back to its champion."),
    "approve": ("approve", "Let the model of a run that waits for approval serve."),
    "reject": ("approve", "Keep a run's model from serving, or take the champion's approval back."),
    "runs": ("show_runs", "List the last runs."),
    "status": ("show_runs", "Say what serves, what runs and what waits."),
    "data": ("data", "List, put and remove a pipeline's data."),
    "labels": ("labels", "Audit a channel's labels, correct them, or make one of several annotators'."),
    "delete": ("delete", "Take a pipeline down: its stack, its endpoint, its models."),
    "logs": ("logs", "Print the logs of a run's jobs and functions."),
    "watch": ("watch", "Follow a run's views: their newest pictures, as files and on a page."),
    "tune": ("tune", "Show tuning jobs: report (pages, pictures), status, list."),
    "report": ("write_report", "Write a run's report, one HTML page."),
    "view": ("view", "Draw a view of what a run's training has saved, and fetch the pictures."),
    "export": ("export", "Write a run's compiled model as a folder that answers on a bare Python."),
    "invoke": ("invoke", "Send a file to a pipeline's endpoint."),
}


class _Commands(click.Group):
    """Imports a command's module when the command is called, so that help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"ratchet.commands.{_COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}{_nearest(args[0])}")
        return super().resolve_command(ctx, args)


def _nearest(name: str) -> str:
    meant = near(name, _COMMANDS)
    return f"; did you mean {meant}?" if meant else f"; there are {', '.join(_COMMANDS)}"


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 it couldn't be done, 2 wrong usage, 3 the run ended Failed, RolledBack or Stopped…",
)
@click.version_option(package_name="ratchet", prog_name="ratchet")
def main() -> None:
    """Continuous training and deployment for every model, on SageMaker and on an AWS embedded in your laptop.

    Every command takes --environment/-e (cdk.json's; default local), --json and --debug.
    """
