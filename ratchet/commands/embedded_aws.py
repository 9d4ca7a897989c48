"""`up`, `down`, `env`: the embedded AWS. The only commands that import localaws."""

from __future__ import annotations

import contextlib
import shlex
import time
from typing import TYPE_CHECKING, Any

import click

from contract import names
from ratchet.command import Answer, Context, command
from ratchet.terminal import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ratchet.account import Account, Server


@command("up")
@click.option("--no-deploy", is_flag=True, help="Only start the embedded AWS.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Where to listen: 4566, or a free one, unless told; 0 is any."
)
def up(context: Context, no_deploy: bool, port: int | None) -> Answer:
    """Start the embedded AWS and deploy the stacks to it.

    What runs already and hasn't changed is left as it is, so that it may be called at any time. A pipeline whose
    pipeline.yaml is wrong is left out: the others are deployed, what is wrong is said, and the exit code is 1. One that
    builds an image of its own is deployed first by `ratchet run`: its base image may be a download of gigabytes.
    """
    _require_local(context)
    started = time.monotonic()
    server, was_running = _start(context, port)
    context.say(f"embedded AWS  {server.endpoint_url}  {'was running' if was_running else 'started'}")
    unusable = {} if no_deploy else context.project.unusable()
    unbuilt = [] if no_deploy else _unbuilt(context, server, without=unusable)
    deployed = [] if no_deploy else _deploy_all(context, server, without=[*unusable, *unbuilt])
    for name, problems in unusable.items():
        click.echo(f"ratchet: {name} is left out:\n{shown(problems)}", err=True)
    left = [] if no_deploy else _left_behind(context, server)
    waiting = {} if no_deploy else _waiting(context, server, without=[*unusable, *unbuilt])
    seconds = round(time.monotonic() - started, 1)
    document = {
        "endpoint_url": server.endpoint_url,
        "started": not was_running,
        "deployed": deployed,
        "pipelines": sorted(context.project.pipelines),
        "left_out": unusable,
        "unbuilt": unbuilt,
        "without_folder": left,
        "waiting_for_data": waiting,
        "seconds": seconds,
    }
    return Answer(document, lambda: _up_text(document, no_deploy), 1 if unusable else 0)


def _require_local(context: Context) -> None:
    from ratchet.errors import UserError

    if not context.is_local:
        how = f"cdk bootstrap and cdk deploy -c environment={context.environment_name} --all"
        raise UserError(f"the environment {context.environment_name} is an account of AWS's; deploy there with {how}")


def _start(context: Context, port: int | None) -> tuple[Server, bool]:
    from localaws import supervisor
    from ratchet.account import read_server
    from ratchet.errors import UserError

    project = context.project
    known = read_server(project.aws_state)
    if known is not None and known.answers:
        known.check_awake()
    was_running = supervisor.status(project.aws_state) is not None
    try:
        supervisor.start(project.aws_state, port=port, images=project.images, rule_evaluator=project.rule_evaluator)
    except supervisor.StartError as error:
        raise UserError(str(error)) from error
    server = read_server(project.aws_state)
    if server is None:
        raise UserError(f"the embedded AWS ended as soon as it had started; see {project.aws_state / 'server.log'}")
    return server, was_running


def _unbuilt(context: Context, server: Server, without: Collection[str]) -> list[str]:
    """The pipelines with a Dockerfile that haven't been deployed yet."""
    from contract import files
    from ratchet import account as accounts
    from ratchet.spec import load

    account = accounts.of_server(context.environment, server)
    folders = {name: folder for name, folder in context.project.pipelines.items() if name not in without}
    building = [name for name, folder in folders.items() if load(folder / files.SPEC_FILE).dockerfile is not None]
    return [name for name in building if account.stack_outputs(name) is None]


def _deploy_all(context: Context, server: Server, without: Collection[str]) -> list[str]:
    from ratchet import account as accounts
    from ratchet import deploying

    account = accounts.of_server(context.environment, server)
    if not deploying.is_bootstrapped(account):
        _with_progress(
            context, "cdk bootstrap", lambda heard: deploying.bootstrap(context.project, account, server, heard)
        )
    return deploy_stale(context, account, server, [name for name in context.project.pipelines if name not in without])


def deploy_stale(context: Context, account: Account, server: Server, pipelines: list[str]) -> list[str]:
    """Deploys the stacks that aren't deployed as the checkout has them; their names.

    Where a pipeline's can't be, the shared one is there at least: the other pipelines' runs need no more.
    """
    from ratchet import deploying
    from ratchet.errors import UserError

    stacks = deploying.stale(context.project, account, server, pipelines)
    shared = [account.stack(names.SHARED)]
    try:
        _deploy(context, account, server, stacks)
    except UserError:
        account.forget_outputs()
        if shared != stacks and account.stack_outputs(names.SHARED) is None:
            with contextlib.suppress(UserError):
                _deploy(context, account, server, shared)
        raise
    return stacks


def _deploy(context: Context, account: Account, server: Server, stacks: list[str]) -> None:
    from ratchet import deploying

    if stacks:
        title = f"cdk deploy {' '.join(stacks)}"
        _with_progress(context, title, lambda heard: deploying.deploy(context.project, account, server, stacks, heard))


def _with_progress(context: Context, title: str, work: Callable[[Callable[[str], None]], None]) -> None:
    """Runs a cdk command with its progress in one moving line (a line a stack where there is no terminal)."""
    started = time.monotonic()
    with context.console.status(f"{title}: synthesizing") as status:
        work(_Progress(context, title, status.update))
    context.say(f"{title}  {time.monotonic() - started:.1f} s")


class _Progress:
    """Hears the cdk command's lines, and shows where it is."""

    def __init__(self, context: Context, title: str, update: Callable[[str], Any]) -> None:
        self._context = context
        self._title = title
        self._update = update

    def __call__(self, line: str) -> None:
        from rich.markup import escape

        from ratchet import deploying

        step = deploying.step(line)
        if step is None:
            return
        of = f"/{step.of}" if step.of else ""
        self._update(escape(f"{step.stack}  {step.done}{of}  {step.status.lower()}  {step.resource}"))
        if step.status.endswith("FAILED"):
            self._context.say(line)


def _left_behind(context: Context, server: Server) -> list[str]:
    """The deployed pipelines without a folder, each told on standard error."""
    from ratchet import account as accounts
    from ratchet import left_behind

    account = accounts.of_server(context.environment, server)
    found = left_behind.without_folder(context.project, account)
    for name in found:
        click.echo(f"ratchet: {shown(left_behind.told(account, name))}", err=True)
    return found


def _waiting(context: Context, server: Server, without: Collection[str]) -> dict[str, list[str]]:
    """The pipelines with channels that have no data yet."""
    from contract import files
    from ratchet import account as accounts
    from ratchet import channels
    from ratchet.spec import load

    account = accounts.of_server(context.environment, server)
    if account.stack_outputs(names.SHARED) is None:
        return {}
    folders = {name: folder for name, folder in context.project.pipelines.items() if name not in without}
    empty = {name: channels.empty(account, load(path / files.SPEC_FILE).data) for name, path in folders.items()}
    return {name: found for name, found in empty.items() if found}


def _up_text(document: dict[str, Any], no_deploy: bool) -> str:
    deployed, unbuilt, waiting = document["deployed"], document["unbuilt"], document["waiting_for_data"]
    done = (
        "nothing deployed"
        if no_deploy
        else f"deployed {', '.join(deployed)}"
        if deployed
        else "all stacks are up to date"
    )
    pipelines = ", ".join(document["pipelines"]) or "none yet: ratchet new MODEL"
    images = f"\nimages        {', '.join(unbuilt)}: `ratchet run` builds one and deploys" if unbuilt else ""
    then = 'eval "$(ratchet env)" · ratchet run PIPELINE --wait'
    told = "; ".join(f"{name}: {', '.join(channels)}" for name, channels in waiting.items())
    how = "\n              ratchet data PIPELINE put FILE… CHANNEL; `ratchet run` brings a model's sample"
    empty = f"\nno data yet   {told}{how}" if told else ""
    seconds = document["seconds"]
    return f"ready in {seconds} s: {done}\npipelines     {pipelines}{images}{empty}\nnext          {then}"


@command("down")
@click.option("--wipe", is_flag=True, help="Also forget its state: stacks, data, models, runs. Cached images stay.")
def down(context: Context, wipe: bool) -> Answer:
    """Stop the embedded AWS and everything that it started."""
    from localaws import supervisor
    from ratchet.errors import UserError

    _require_local(context)
    try:
        stopped = supervisor.stop(context.project.aws_state)
    except supervisor.StopError as error:
        raise UserError(str(error)) from error
    if wipe:
        supervisor.wipe(context.project.aws_state)
        (context.project.home / "deployed.json").unlink(missing_ok=True)
    said = "stopped" if stopped else "it wasn't running"
    return Answer({"stopped": stopped, "wiped": wipe}, f"embedded AWS  {said}{'; its state is gone' if wipe else ''}")


@command("env")
@click.option("--profile", metavar="NAME", help="Print it as a profile of ~/.aws/config, for rehearsing an account.")
def env(context: Context, profile: str | None) -> Answer:
    """Print what points aws, boto3, the SageMaker SDK and cdk to the embedded AWS.

    For a POSIX shell: eval "$(ratchet env)"
    """
    import os

    from ratchet import tools
    from ratchet.account import read_server
    from ratchet.errors import UserError

    _require_local(context)
    server = read_server(context.project.aws_state)
    if server is None or not server.answers:
        raise UserError("the embedded AWS isn't running; start it with `ratchet up`")
    if profile:
        lines = tools.profile(profile, server)
        if context.for_people:
            click.echo("\n".join(lines))
        return Answer({"profile": lines})
    exports = tools.exports(context.project, server, os.environ)
    unset = tools.unset(os.environ)
    lines = [f"unset {' '.join(unset)}", *(f"export {name}={shlex.quote(value)}" for name, value in exports.items())]
    if context.for_people:
        click.echo("\n".join(lines))
    return Answer({"export": exports, "unset": unset})
