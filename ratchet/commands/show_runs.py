"""`runs` and `status`: what the run table and the endpoints say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from contract import chains, outcomes, run_table, thresholds
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Group
    from rich.table import Table

    from ratchet.runs import Run, RunTable


# What a line of `ratchet runs` takes besides reason and metric, with a pipeline's name of fifteen letters.
OTHER_COLUMNS = 87
SHORTEST_REASON = 30
BATCH_SOUGHT = 20  # runs among which the last batch is looked for: those without rows answer none
AT_ONCE = 8  # pipelines that are asked about: no more connections than a client keeps (botocore, max_pool_connections)

# The pipeline's state, as `status` tells it.
_STATE = (run_table.CHAMPION, run_table.PREVIOUS_CHAMPION, run_table.RUNNING, run_table.PENDING)


@command("runs")
@click.argument("pipeline", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many a pipeline."
)
def runs(context: Context, pipeline: str | None, limit: int) -> Answer:
    """List the last runs, newest first; of PIPELINE, with those that `ratchet rollback` can go back to, or of all."""
    from ratchet import left_behind
    from ratchet.runs import RunTable

    names = [context.project.pipeline(pipeline)] if pipeline else context.pipelines()
    table = RunTable(context.account)
    found = [run for name in names for run in table.runs(name, limit)]
    found.sort(key=lambda run: run.run_id, reverse=True)
    if pipeline and not found:
        # A deleted pipeline's runs stay, so only a name without any is asked for.
        context.pipeline(pipeline)
    left = [name for name in left_behind.without_folder(context.project, context.account) if name in names]
    document: dict[str, Any] = {"runs": [run.document for run in found], "without_folder": left}
    hints = [left_behind.told(context.account, name) for name in left]
    if pipeline:
        deployed = context.account.stack_outputs(names[0]) is not None
        document["rollback_to"] = earlier = _earlier_champions(found, table.state(names[0])) if deployed else []
        hints += [_rollback_text(context, names[0], earlier)] if earlier else []
    start = context.account.command(f"run {names[0]}" if pipeline else "run PIPELINE")
    return Answer(document, lambda: _runs_text(found, hints, start, context.console.width))


def _earlier_champions(found: list[Run], state: Mapping[str, Any]) -> list[str]:
    """The listed runs whose models were champion and aren't now, newest first."""
    champion = (state.get(run_table.CHAMPION) or {}).get("run_id")
    models = dict.fromkeys(run.promoted_model for run in found if run.promoted_model)
    return [run_id for run_id in models if run_id != champion]


def _rollback_text(context: Context, name: str, earlier: list[str]) -> str:
    how = context.account.command(f"rollback {name} RUN")
    return f"to bring back an earlier champion: `{how}`, RUN being {', '.join(earlier)}"


def _runs_text(found: list[Run], hints: list[str], start: str, width: int) -> Group:
    from rich.console import Group

    runs = _runs_table(found, width) if found else f"no runs yet; start one with `{start}`"
    return Group(runs, *hints)


def _runs_table(found: list[Run], width: int) -> Table:
    from rich.table import Table

    from ratchet.durations import duration
    from ratchet.live import first_line, outcome_style

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("run", "pipeline", "outcome", "trigger", "took", "score", "why"):
        table.add_column(title, no_wrap=title != "why", justify="right" if title in ("took", "score") else "left")
    metrics = max(len(run.metric) for run in found)
    for run in found:
        table.add_row(
            _plain(run.run_id),
            _plain(run.pipeline),
            f"[{outcome_style(run.outcome)}]{_plain(run.outcome)}[/]",
            _plain(f"{run.trigger}, tuned" if run.tuned else run.trigger),
            duration(run.seconds) if run.seconds is not None else "",
            _figure(run),
            _plain(first_line(_why(run), max(SHORTEST_REASON, width - OTHER_COLUMNS - metrics))),
        )
    return table


def _why(run: Run) -> str:
    """Its reason, after what it answered: that a batch came to its end is no matter of course."""
    batch = run.batch
    told = ", ".join(filter(None, [f"answered {batch.counts}", batch.without_answer])) if batch else ""
    return "; ".join(filter(None, [told, run.reason]))


def _figure(run: Run) -> str:
    """`f1_macro 0.9712`: scores of different metrics stand below each other."""
    return "" if run.challenger_score is None else _plain(f"{run.metric} {run.challenger_score:.4f}".strip())


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@command("status")
@click.argument("pipeline", required=False)
def status(context: Context, pipeline: str | None) -> Answer:
    """Say what serves, what runs and what waits; for PIPELINE, or for all that are deployed."""
    from ratchet.errors import UserError

    names = [context.pipeline(pipeline)] if pipeline else context.account.deployed_pipelines()
    if pipeline:
        context.account.pipeline(names[0])
    if not names:
        raise UserError(f"no pipeline is deployed; run `{context.account.deploy_command()}`")
    found = _statuses(context, names)
    return Answer({"environment": context.environment_name, "pipelines": found}, lambda: _status_text(context, found))


def _statuses(context: Context, names: list[str]) -> list[dict[str, Any]]:
    """Each pipeline's, in their order; several are asked for at once."""
    from concurrent.futures import ThreadPoolExecutor

    from ratchet.runs import RunTable

    table = RunTable(context.account)
    context.account.client("sagemaker")  # a session's clients are made in one thread (boto3's guide)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda name: _pipeline_status(context, table, name), names))


def _pipeline_status(context: Context, table: RunTable, name: str) -> dict[str, Any]:
    state = table.state(name)
    newest = table.runs(name, limit=1)
    folder = context.project.pipelines.get(name)
    return {
        "pipeline": name,
        "folder": folder and str(folder),
        **_serving(context, table, name),
        **{field: state.get(field) for field in _STATE},
        "last_run": newest[0].document if newest else None,
        "why": newest[0].reason if newest else "",
        "rules": newest[0].rules if newest else [],
        "spot": newest[0].spot if newest else "",
        "hosts": newest[0].hosts if newest else "",
        "tuning": newest[0].tuning if newest else "",
        "candidates": newest[0].candidates if newest else "",
        "scaling": newest[0].scaling if newest else "",
    }


def _serving(context: Context, table: RunTable, name: str) -> dict[str, Any]:
    """What answers: an endpoint, or of a pipeline for batches where its rows lie, and the last batch."""
    from ratchet import endpoints

    outputs = context.account.pipeline(name)
    rows = outputs.get("BatchInput")
    if not rows:
        endpoint = endpoints.described(context.account.client("sagemaker"), outputs["EndpointName"])
        return {"endpoint": endpoint, "batch": None}
    last = next((run.batch for run in table.runs(name, BATCH_SOUGHT) if run.batch), None)
    under = f"s3://{context.account.shared()['DataBucketName']}/{rows}"
    return {"endpoint": None, "batch": {"rows_under": under, "last": last and last.document}}


def _status_text(context: Context, found: list[dict[str, Any]]) -> str:
    from ratchet import left_behind

    return "\n\n".join(
        _pipeline_text(each, "" if each["folder"] else left_behind.told(context.account, each["pipeline"]))
        for each in found
    )


def _pipeline_text(each: dict[str, Any], without_folder: str) -> str:
    from ratchet.live import first_line, outcome_style

    champion, last = each["champion"], each["last_run"]
    lines = [f"[bold]{each['pipeline']}[/]", *_serving_lines(each["endpoint"], each["batch"])]
    lines += [f"  [yellow]folder     {without_folder}[/]"] if without_folder else []
    lines.append(f"  champion   {_plain(_champion_text(champion))}")
    if each["running"]:
        since = f"{each['running']['run_id']} since {each['running'].get('started_at', '?')}"
        lines.append(f"  running    {_plain(since)}")
    if each["pending"]:
        lines.append(f"  pending    {_plain(_pending_text(each['pending']))}")
    if last:
        outcome = str(last.get("outcome", outcomes.RUNNING))
        lines.append(f"  last run   {_plain(last['run_id'])}  [{outcome_style(outcome)}]{_plain(outcome)}[/]")
        lines += [f"             {_plain(first_line(each['why']))}"] if each["why"] else []
        lines += [f"  tuning     {_plain(each['tuning'])}"] if each["tuning"] else []
        lines += [f"  candidates {_plain(first_line(each['candidates']))}"] if each["candidates"] else []
        lines += [f"  hosts      {_plain(each['hosts'])}"] if each["hosts"] else []
        lines += [f"  spot       {_plain(each['spot'])}"] if each["spot"] else []
        lines += [f"  scaling    {_plain(first_line(each['scaling']))}"] if each["scaling"] else []
        lines += [f"  rule       {_rule_text(rule)}" for rule in each["rules"]]
    return "\n".join(lines)


def _serving_lines(endpoint: dict[str, Any] | None, batch: dict[str, Any] | None) -> Iterator[str]:
    from ratchet import endpoints
    from ratchet.batches import Batch

    if endpoint:
        yield f"  endpoint   {_plain(endpoints.sentence(endpoint))}"
    if not batch:
        return
    yield f"  batches    of the rows under {_plain(batch['rows_under'])}"
    if not batch["last"]:
        yield "  last batch none yet"
        return
    last = Batch(**batch["last"])
    yield f"  last batch {_plain(last.run_id)}  {_plain(last.sentence)}"
    if last.without_answer:
        yield f"             [yellow]{_plain(last.without_answer)}[/]"
    yield f"             {_plain(last.answers)}"


def _pending_text(pending: dict[str, Any]) -> str:
    text = f"{pending.get('count', 1)} triggers ({', '.join(pending.get('kinds', []))})"
    held = ", held: their run was cut off too often; the next trigger takes them up (`ratchet run` is one)"
    return f"{text}{held if pending.get(run_table.HELD) else ''}"


def _rule_text(rule: dict[str, Any]) -> str:
    """`LossNotDecreasing  IssuesFound at step 40: …`"""
    from ratchet.live import first_line

    step = "" if rule.get("step") is None else f" at step {rule['step']}"
    reason = f": {rule['reason']}" if rule.get("reason") else ""
    return _plain(f"{rule.get('name', '?')}  {rule.get('status', '?')}{step}{first_line(reason)}")


def _champion_text(champion: dict[str, Any] | None) -> str:
    if not champion:
        return "none yet"
    score = champion.get("score")
    figure = f"  {champion.get('metric', 'score')} {score:.4f}" if isinstance(score, (int, float)) else ""
    behind = chains.named(champion)
    through = f", through {behind}" if behind else ""
    sure = f", with the threshold {champion[thresholds.KEPT]}" if champion.get(thresholds.KEPT) else ""
    return f"of run {champion.get('run_id', '?')}{figure}{through}{sure}, since {champion.get('promoted_at', '?')}"
