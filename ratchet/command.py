"""The frame of every command: its options, how it answers (for people or as JSON), and how it fails."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from contract import environment as variables
from contract import names
from ratchet import errors
from ratchet.terminal import shown, shown_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ratchet.account import Account
    from ratchet.project import Project
    from ratchet.spec import PipelineSpec
    from ratchet.spec.environments import Environment


# A table that goes to a file or another program is never cut to a terminal's width.
WIDTH_OF_FILES = 240
# Their errors are sentences for the user.
_TELLING = ("botocore.", "boto3.", "ratchet.spec.")


@dataclass(frozen=True)
class Answer:
    """A command's answer: `document` for `--json`, `text` for people, and its exit code."""

    document: Any
    text: Callable[[], RenderableType] | str = ""
    code: int = 0


class Context:
    """The environment that a command works on, and where its progress goes."""

    def __init__(self, environment: str, *, answer_as: str, debug: bool) -> None:
        self.environment_name = environment
        self.for_people = answer_as == "text"
        self.debug = debug

    @cached_property
    def project(self) -> Project:
        from ratchet import project

        return project.find()

    @property
    def environment(self) -> Environment:
        return self.project.environment(self.environment_name)

    @property
    def is_local(self) -> bool:
        """Whether it is the embedded AWS's."""
        return self.environment.name == names.LOCAL

    @cached_property
    def account(self) -> Account:
        """The environment's AWS; raises UserError where it can't be reached."""
        from ratchet import account

        return account.connect(self.project, self.environment_name)

    @cached_property
    def console(self) -> Console:
        """Standard output for people; under --json what goes there is nobody's, so it is silent."""
        from ratchet.console import SafeConsole

        width = None if sys.stdout.isatty() else WIDTH_OF_FILES
        return SafeConsole(quiet=not self.for_people, highlight=False, soft_wrap=True, width=width)

    def say(self, text: str) -> None:
        """One line of progress, as it is."""
        self.console.print(shown(text), markup=False)

    def say_styled(self, markup: str) -> None:
        """One line of progress in Rich's markup; text from elsewhere in it is escaped."""
        self.console.print(shown(markup))

    def pipelines(self) -> list[str]:
        """The pipelines that the environment may have: those of the checkout and those deployed."""
        return sorted({*self.project.pipelines, *self.account.deployed_pipelines()})

    def pipeline(self, given: str) -> str:
        """The pipeline that a user means: by name, folder or path in the checkout, or by name in the environment.

        Raises:
            UserError: there is none; the message names the nearest, or those that there are.
        """
        from ratchet.spec import nearest

        if names.is_run_id(given):
            raise errors.UserError(f"{given!r} is a run's id, where a pipeline's name is wanted")
        name = self.project.pipeline(given)
        known = [name] if name in self.project.pipelines else self.pipelines()
        if name in known:
            return name
        hint = nearest(name, known) if known else "; make one with `ratchet new`"
        raise errors.UserError(f"there is no pipeline {given!r}, neither here nor deployed{hint}")

    def spec(self, name: str) -> PipelineSpec:
        """What the pipeline's folder says of it.

        Raises:
            UserError: it has none in this checkout.
            SpecError: its pipeline.yaml can't be used.
        """
        from contract import files
        from ratchet.spec import load

        folder = self.project.pipelines.get(name)
        if folder is None:
            see = self.account.command(f"status {name}")
            raise errors.UserError(f"{name} has no folder in this checkout, so nothing says its channels; see `{see}`")
        return load(folder / files.SPEC_FILE)


def command(name: str, **settings: Any) -> Callable[[Callable[..., Answer]], click.Command]:
    """A command from a function of a Context and its own options that returns an Answer."""

    def decorate(function: Callable[..., Answer]) -> click.Command:
        @functools.wraps(function)
        def run(environment: str, answer_as: str, debug: bool, **arguments: Any) -> None:
            context = Context(environment, answer_as=answer_as, debug=debug)
            sys.exit(_run(context, lambda: function(context, **arguments)))

        decorated: Callable[..., Any] = run
        for option in _COMMON:
            decorated = option(decorated)
        made: Callable[[Any], click.Command] = click.command(name, **settings)
        return made(decorated)

    return decorate


_COMMON = (
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    click.option("--json", "answer_as", flag_value="json", help="One JSON document on standard output, nothing else."),
    click.option("--text", "answer_as", flag_value="text", default="text", hidden=True),
    click.option(
        "-e",
        "--environment",
        default=names.LOCAL,
        envvar=variables.ENVIRONMENT,
        show_default=True,
        show_envvar=True,
        help="One of cdk.json's environments.",
    ),
)


def _run(context: Context, work: Callable[[], Answer]) -> int:
    try:
        answer = work()
    except (click.ClickException, click.Abort):
        raise
    except KeyboardInterrupt:
        click.echo("interrupted; what was started goes on", err=True)
        return 130
    except BrokenPipeError:
        return 141
    except Exception as error:
        if context.debug:
            raise
        return _refuse(context, error)
    _show(context, answer)
    return answer.code


def _show(context: Context, answer: Answer) -> None:
    if not context.for_people:
        click.echo(shown_json(json.dumps(answer.document, indent=2, default=str, ensure_ascii=False)))
        return
    text = answer.text if isinstance(answer.text, str) else answer.text()
    if text:
        context.console.print(text)


def _refuse(context: Context, error: Exception) -> int:
    """One clear sentence on standard error; with --json also a document that says the same."""
    message = errors.sentence(error)
    known = isinstance(error, errors.UserError) or type(error).__module__.startswith(_TELLING)
    if not known:
        message = f"{type(error).__name__}: {message} (--debug shows where)"
    if not context.for_people:
        click.echo(shown_json(json.dumps({"error": message}, ensure_ascii=False)))
    click.echo(f"ratchet: {shown(message)}", err=True)
    return error.exit_code if isinstance(error, errors.UserError) else errors.FAILURE
