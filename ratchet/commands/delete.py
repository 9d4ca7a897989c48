"""`delete`: a pipeline's stack, and with it what its runs have made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from contract import files, names, refusals
from ratchet.command import Answer, Context, command
from ratchet.terminal import shown

if TYPE_CHECKING:
    from ratchet.account import Account

POLL_SECONDS = 1.0
_GONE, _FAILED = "DELETE_COMPLETE", "DELETE_FAILED"


@command("delete")
@click.argument("pipeline")
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(context: Context, pipeline: str, yes: bool) -> Answer:
    """Take PIPELINE down: its stack, its endpoint, its models; a run on its way is stopped.

    Its data, its runs' records and artifacts, and its folder stay: `ratchet run`, or cdk deploy, brings it back.
    """
    from rich.markup import escape

    name = context.project.pipeline(pipeline)
    stack = _stack(context, name)
    stays = _stays(context, name)
    told = [f"{stack['StackName']} goes, with the endpoint and the models of {name}", *_stays_text(stays)]
    if not yes:
        click.echo(shown("\n".join(told)), err=True)
        click.confirm(f"Take {name} down?", abort=True, err=True)
    context.account.client("cloudformation").delete_stack(StackName=stack["StackName"])
    with context.console.status(f"deleting {stack['StackName']}"):
        _wait(context.account, stack)
    document = {"pipeline": name, "deleted": stack["StackName"], "stays": stays}
    return Answer(document, escape("\n".join([f"deleted         {stack['StackName']}", *_stays_text(stays)])))


def _stack(context: Context, name: str) -> dict[str, Any]:
    """The pipeline's stack, also one whose creation failed.

    Raises:
        UserError: there is none, or it is protected.
    """
    from ratchet.errors import UserError

    account = context.account
    stack = account.stack(name)
    # The shared stack is no pipeline's, though its name looks like one.
    found = None if name == names.SHARED else _described(account, stack)
    if found is None:
        context.pipeline(name)
        raise UserError(f"{name} isn't deployed: there is no stack {stack}")
    if found.get("EnableTerminationProtection"):
        raise UserError(
            f"{stack} is protected (removal: retain in cdk.json); if you mean it, run `aws cloudformation "
            f"update-termination-protection --no-enable-termination-protection --stack-name {stack}` first"
        )
    return found


def _described(account: Account, stack: str) -> dict[str, Any] | None:
    client = account.client("cloudformation")
    try:
        found: dict[str, Any] = client.describe_stacks(StackName=stack)["Stacks"][0]
    except client.exceptions.ClientError as error:
        if refusals.says_missing(error.response["Error"].get("Message")):
            return None
        raise
    return found


def _stays(context: Context, name: str) -> dict[str, str]:
    """The things that are left, and where."""
    shared = context.account.shared()
    stays = {
        "data": f"s3://{shared['DataBucketName']}, under its channels' prefixes",
        "artifacts": f"s3://{shared['ArtifactBucketName']}/{files.runs_folder(name)}",
        "records": f"of its runs: {context.account.command(f'runs {name}')}",
    }
    if context.environment.removal == "retain":
        stays["models"] = "its model package group, with every version that was judged"
    if name in context.project.pipelines:
        stays["folder"] = str(context.project.pipelines[name])
    return stays


def _stays_text(stays: dict[str, str]) -> list[str]:
    return [f"stays           {what}: {where}" for what, where in stays.items()]


def _wait(account: Account, stack: dict[str, Any]) -> None:
    """Waits until the stack is gone. By its id: a deleted one has no name any more.

    Raises:
        UserError: it can't be deleted; the message holds what CloudFormation says.
    """
    from ratchet.errors import UserError

    while True:
        found = _described(account, stack["StackId"])
        if found is None or found["StackStatus"] == _GONE:
            return
        if found["StackStatus"] == _FAILED:
            events = account.client("cloudformation").describe_stack_events(StackName=stack["StackId"])["StackEvents"]
            told = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
                for event in events
                if event["ResourceStatus"] == _FAILED
            ]
            raise UserError(f"{stack['StackName']} can't be deleted:\n" + "\n".join(told))
        time.sleep(POLL_SECONDS)
