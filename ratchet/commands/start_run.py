"""`run`, `rollback` and `repair`: triggers of a person's, and following what they start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contract import files, names, outcomes, run_table, triggers
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratchet.following import Launched
    from ratchet.runs import Run


@command("run")
@click.argument("pipeline")
@click.option(
    "--wait", is_flag=True, help="Follow it state by state; exit with 3 if it ends Failed, RolledBack or Stopped."
)
@click.option("--force", is_flag=True, help="Train even if neither data nor code is new.")
@click.option(
    "--supersede",
    is_flag=True,
    help="If the champion can't answer the held-out data, let a challenger that reaches the floor take its place.",
)
@click.option("--tune", is_flag=True, help="Tune the hyperparameters first, as tune: of pipeline.yaml says.")
def run(  # noqa: PLR0913 - each option is one
    context: Context, pipeline: str, *, wait: bool, force: bool, supersede: bool, tune: bool
) -> Answer:
    """Start a run of PIPELINE (its name, or its folder).

    On the embedded AWS its stack is deployed first where that is needed, and a channel without data gets the model
    folder's sample/<channel>/. One that is still empty is named: a run would only wait for data. A run that is on its
    way is not disturbed: one further run follows it.
    """
    from ratchet import following

    name = context.pipeline(pipeline)
    if tune:
        _check_tune(context, name)
    prepared = prepare(context, name) if context.is_local else {}
    _check_channels(context, name)
    asked = {"forced": force, "supersede": supersede, "tune": tune}
    usual = prepared.get("deployed") and not any(asked.values())
    by_code = following.started_by_code(context.account, name) if usual else None
    launched = by_code or _launch(context, name, triggers.message(triggers.MANUAL, {triggers.BY: _who()}, **asked))
    if by_code:
        context.say(f"{name}  run {by_code.run_id} was started by the new code")
    return _answer(context, name, launched, wait=wait, document=prepared)


@command("rollback")
@click.argument("pipeline")
@click.argument("to", metavar="[RUN]", required=False)
@click.option(
    "--wait", is_flag=True, help="Follow it state by state; exit with 3 if it ends Failed, RolledBack or Stopped."
)
def rollback(context: Context, pipeline: str, to: str | None, wait: bool) -> Answer:
    """Bring back the model of RUN, which was champion once; without RUN, of the champion before the present one.

    It is a run like any other, without training: deployed, verified, recorded. `ratchet runs PIPELINE` says which runs
    can be chosen.
    """
    from ratchet.errors import UserError
    from ratchet.runs import RunTable

    name = context.pipeline(pipeline)
    context.account.pipeline(name)
    before = RunTable(context.account).state(name).get(run_table.PREVIOUS_CHAMPION) or {}
    if not (to or before):
        raise UserError(f"{name} has no champion before the present one to go back to")
    target = {triggers.TO: to or str(before["run_id"]), triggers.BY: _who()}
    launched = _launch(context, name, triggers.message(triggers.ROLLBACK, target))
    return _answer(context, name, launched, wait=wait)


@command("repair")
@click.argument("pipeline")
@click.option("--wait", is_flag=True, help="Follow it state by state; exit with 3 if it ends Failed or Stopped.")
def repair(context: Context, pipeline: str, wait: bool) -> Answer:
    """Put PIPELINE's endpoint back to its champion, be it Failed, OutOfService, UpdateRollbackFailed or gone.

    Every run does so first; this one does nothing else. It also deletes models, configurations and alarms that a
    run which was cut off has left.
    """
    name = context.pipeline(pipeline)
    context.account.pipeline(name)
    launched = _launch(context, name, triggers.message(triggers.REPAIR, {triggers.BY: _who()}))
    return _answer(context, name, launched, wait=wait)


def _check_channels(context: Context, name: str) -> None:
    """Refuses a run that would only wait for data. What lies in no folder of this checkout Plan alone knows."""
    from ratchet import channels
    from ratchet.spec import load

    folder = context.project.pipelines.get(name)
    if folder:
        channels.check_filled(context.account, name, load(folder / files.SPEC_FILE).data)


def _check_tune(context: Context, name: str) -> None:
    """Refuses to tune what has nothing to tune. Of a pipeline without a folder in this checkout Plan knows it."""
    from ratchet.errors import UserError
    from ratchet.spec import load

    folder = context.project.pipelines.get(name)
    if folder and load(folder / files.SPEC_FILE).tune is None:
        path = folder / files.SPEC_FILE
        raise UserError(f"{path} has no tune:, so there is nothing to tune; docs/pipeline.md says how to write it")


def _launch(context: Context, name: str, trigger: Mapping[str, Any]) -> Launched:
    from ratchet import following

    launched = following.launch(context.account, name, trigger)
    context.say(_launched_text(name, launched, trigger["kind"]))
    return launched


def _answer(
    context: Context, name: str, launched: Launched, *, wait: bool, document: dict[str, Any] | None = None
) -> Answer:
    known = {**(document or {}), "pipeline": name, "run_id": launched.run_id, "status": launched.status}
    if not wait:
        return Answer(known, f"follow it       {context.account.command(f'logs {launched.run_id} --follow')}")
    return _ended(context, known, _follow(context, name, launched))


def _who() -> str:
    import getpass

    try:
        return str(getpass.getuser())
    except (OSError, KeyError):
        return "unknown"


def _launched_text(name: str, launched: Launched, kind: str) -> str:
    if launched.status == triggers.WAITING and kind == triggers.ROLLBACK:
        return f"{name}  run {launched.run_id} is on its way; the rollback follows it"
    if launched.status == triggers.WAITING and kind == triggers.REPAIR:
        return f"{name}  run {launched.run_id} is on its way; the repair follows it"
    if launched.status == triggers.WAITING:
        return f"{name}  run {launched.run_id} is on its way; it takes this trigger over, or one further run follows"
    return f"{name}  run {launched.run_id} started"


def _follow(context: Context, name: str, launched: Launched) -> list[Run]:
    from ratchet.following import Follower
    from ratchet.live import LiveStates

    with LiveStates(context.console) as live:
        return Follower(context.account, name, live.look).to_the_end(launched)


def _ended(context: Context, document: dict[str, Any], runs: list[Run]) -> Answer:
    from ratchet.errors import RUN_FAILED

    # A run behind another that took its trigger over finds nothing new; what came out is the other's.
    last = next((each for each in reversed(runs) if each.outcome not in outcomes.IDLE), runs[-1])
    code = RUN_FAILED if any(each.failed for each in runs) else 0
    records = [each.document for each in runs]
    return Answer(
        {**document, "run_id": last.run_id, "outcome": last.outcome, "runs": records},
        lambda: "\n".join(_outcome_text(context, each) for each in runs),
        code,
    )


def _outcome_text(context: Context, run_: Run) -> str:
    from ratchet.durations import duration
    from ratchet.live import outcome_style

    took = f" after {duration(run_.seconds)}" if run_.seconds is not None else ""
    figures = "" if run_.challenger_score is None else f"  {run_.metric} {run_.challenger_score:.4f}"
    against = "" if run_.champion_score is None else f" (champion {run_.champion_score:.4f})"
    reason = f"\n  {run_.reason}" if run_.reason else ""
    return (
        f"[{outcome_style(run_.outcome)}]{_escape(run_.outcome)}[/]{took}{_escape(figures + against + reason)}\n"
        f"{_escape(_batch_text(run_))}"
        f"  report          {context.account.command(f'report {run_.run_id}')}"
    )


def _batch_text(run_: Run) -> str:
    """The lines of its batch: what was answered, what wasn't, and where the answers lie."""
    if not run_.batch:
        return ""
    told = [f"  answered {run_.batch.sentence}", run_.batch.without_answer and f"  {run_.batch.without_answer}"]
    return "".join(f"{line}\n" for line in [*told, f"  answers         {run_.batch.answers}"] if line)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def prepare(context: Context, name: str) -> dict[str, Any]:
    """Locally a run needs no command before it: deploys what has changed, and gives an empty channel its sample.

    The sample goes up before its stack does, so that a run that the new code starts finds data; a deployment that fails
    takes it back.
    """
    from ratchet import account as accounts
    from ratchet import samples
    from ratchet.commands.embedded_aws import deploy_stale
    from ratchet.errors import UserError
    from ratchet.spec import load

    folder = context.project.pipelines.get(name)
    if folder is None:
        raise UserError(
            f"{name} is deployed, but no folder in training_code/ is its; bring it back, or see `ratchet status`"
        )
    server = accounts.read_server(context.project.aws_state)
    account = context.account
    if server is None or account.stack_outputs(names.SHARED) is None:
        raise UserError("the stacks aren't deployed; run `ratchet up`")
    prefixes = load(folder / files.SPEC_FILE).data
    with samples.uploaded(account, folder, prefixes, context.say) as uploaded:
        deployed = deploy_stale(context, account, server, [name])
    return {"deployed": deployed, "uploaded": uploaded}
