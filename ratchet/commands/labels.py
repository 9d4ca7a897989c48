"""`labels`: which labels of a channel are probably wrong, what is right instead, and what several annotators say."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract import files, label_audits, names
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from ratchet.labels.auditing import Job, Question
    from ratchet.labels.audits import Audit
    from ratchet.labels.consolidation import Consolidation
    from ratchet.spec import PipelineSpec

Document = dict[str, Any]
_FOLDS = click.IntRange(label_audits.LEAST_FOLDS, label_audits.MOST_FOLDS)
_SUSPECTS = click.IntRange(1, label_audits.MOST_SUSPECTS)
# Suspects that people are shown in the terminal.
LISTED = 10
_FILE = click.Path(dir_okay=False, path_type=Path)


@command("labels")
@click.argument("pipeline", required=False)
@click.option("--channel", default="train", show_default=True, help="Whose labels are audited.")
@click.option(
    "--attribute", help="The label's column, key or attribute; as evaluate.label has it. With --consolidate: class."
)
@click.option(
    "--folds", type=_FOLDS, default=label_audits.FOLDS, show_default=True, help="Parts, judged by the others."
)
@click.option("--seed", type=click.IntRange(min=0), default=label_audits.SEED, show_default=True, help="Of the parts.")
@click.option("--most", type=_SUSPECTS, default=label_audits.SUSPECTS, show_default=True, help="Suspects shown.")
@click.option("--picture", metavar="HxW", help="A row's numbers are a picture of so many rows and columns, as 8x8.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="A folder; .ratchet/labels/. With --consolidate: the file."
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--apply", "corrections", type=_FILE, help="Make a channel with the corrections that the page gave.")
@click.option("--consolidate", "annotations", type=_FILE, help="Annotators' labels (CSV, JSON lines), to one each.")
@click.option("--method", type=click.Choice(["dawid-skene", "majority"]), default="dawid-skene", show_default=True)
def labels(  # noqa: PLR0913 - a command's options
    context: Context,
    pipeline: str | None,
    *,
    channel: str,
    attribute: str | None,
    folds: int,
    seed: int,
    most: int,
    picture: str | None,
    output: Path | None,
    show: bool,
    corrections: Path | None,
    annotations: Path | None,
    method: str,
) -> Answer:
    """Audit the labels of PIPELINE's data: which are probably wrong, on a page where you mark what is right.

    \b
    ratchet labels churn --open                    a job judges each example by models that haven't seen it
    ratchet labels churn --apply corrections.json  a new channel beside the old one, with what you have marked
    ratchet labels --consolidate annotations.csv --output labels.manifest   several annotators' labels, one each

    Ctrl-C stops the job.
    """
    from ratchet.errors import UserError
    from ratchet.labels.auditing import Question

    if annotations is not None:
        if pipeline is not None or corrections is not None:
            raise UserError("--consolidate reads a file of annotations, not a pipeline's data: leave the others out")
        return _consolidated(annotations, output, attribute, method)
    if pipeline is None:
        raise UserError("say whose labels: `ratchet labels PIPELINE`, or --consolidate FILE for annotators' labels")
    spec = context.spec(context.pipeline(pipeline))
    if corrections is not None:
        return _applied(context, spec, corrections)
    question = Question(channel=channel, attribute=attribute, folds=folds, seed=seed, suspects=most, picture=picture)
    return _audited(context, spec, question, output, show=show)


# --------------------------------------------------------------------------------------------------------------- audit


def _audited(context: Context, spec: PipelineSpec, question: Question, output: Path | None, *, show: bool) -> Answer:
    from ratchet.errors import INTERRUPTED
    from ratchet.followed_jobs import followed
    from ratchet.labels import auditing
    from ratchet.spec.source_package import package_of

    size = auditing.check(context.account, spec, question)
    archive = package_of(spec, context.project.models / files.TOOLKIT).archive()
    job = auditing.start(context.account, spec, question, archive=archive, size=size)
    context.say(f"{spec.name}  processing job {job.name} audits the labels of {question.channel}")
    client = context.account.client("sagemaker")
    try:
        describe = partial(client.describe_processing_job, ProcessingJobName=job.name)
        described = followed(context, names.LABELS_STEP, job.name, describe, "ProcessingJobStatus")
    except KeyboardInterrupt:
        client.stop_processing_job(ProcessingJobName=job.name)
        stopping = {"audit": job.id, "processing_job": job.name, "status": "Stopping"}
        return Answer(stopping, f"{job.name} is being stopped", INTERRUPTED)
    return _answer(context, spec, job, described, output, show=show)


def _answer(  # noqa: PLR0913 - what was asked, and what became of it
    context: Context, spec: PipelineSpec, job: Job, described: Document, output: Path | None, *, show: bool
) -> Answer:
    import webbrowser

    from rich.markup import escape

    from ratchet.errors import FAILURE
    from ratchet.followed_jobs import COMPLETED
    from ratchet.labels import auditing

    status = described["ProcessingJobStatus"]
    document: Document = {"audit": job.id, "processing_job": job.name, "status": status}
    if status != COMPLETED:
        why = described.get("ExitMessage") or described.get("FailureReason") or "it doesn't say why"
        return Answer({**document, "failure": why}, f"{status}: {escape(why)}", FAILURE)
    found = auditing.found(context.account, spec.name, job.id)
    page = _page(context, spec, job, found, output)
    if show:
        webbrowser.open(page.resolve().as_uri())
    document |= _told(found) | {"page": str(page)}
    return Answer(document, lambda: _text(found, page))


def _page(context: Context, spec: PipelineSpec, job: Job, found: Audit, output: Path | None) -> Path:
    from datetime import UTC, datetime

    from ratchet.labels import page

    folder = output or context.project.home / "labels" / spec.name
    path = folder / f"{job.id}.html"
    where = page.Where(
        pipeline=spec.name,
        environment=context.account.environment.name,
        prefix=manifest.key if (manifest := spec.data[found.channel].manifest) else str(spec.data[found.channel]),
        audit=job.id,
        at=datetime.now(UTC),
    )
    page.write(found, where, path)
    return path


def _told(found: Audit) -> Document:
    suspects = [
        {
            "place": each.place,
            "given": each.given,
            "suggested": each.suggested,
            "given_probability": each.given_probability,
            "suggested_probability": each.suggested_probability,
            "confident": each.confident,
        }
        for each in found.suspects
    ]
    return {
        "channel": found.channel,
        "examples": found.examples,
        "classes": list(found.classes),
        "learner": found.learner,
        "agreement": found.agreement,
        "estimated_errors": found.estimated_errors,
        "suspects": suspects,
    }


def _text(found: Audit, page: Path) -> Any:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("example", "labelled", "predicted", ""):
        table.add_column(title, overflow="fold")
    for each in found.suspects[:LISTED]:
        sure = f"{each.given_probability:.0%} → {each.suggested_probability:.0%}"
        table.add_row(*map(escape, (each.place, each.given, each.suggested, sure)))
    share = found.estimated_errors / found.examples if found.examples else 0
    told = f"about {found.estimated_errors:.0f} of {found.examples} labels are wrong ({share:.1%}), as far as "
    told += f"{found.learner} can tell, which predicts {found.agreement:.1%} as they are labelled"
    return Group(escape(told), table, escape(str(page)))


# --------------------------------------------------------------------------------------------------------- corrections


def _applied(context: Context, spec: PipelineSpec, path: Path) -> Answer:
    from rich.markup import escape

    from ratchet.errors import UserError
    from ratchet.labels import applying, auditing, corrections

    said = corrections.read(path)
    if said.pipeline != spec.name:
        raise UserError(f"these corrections are of the pipeline {said.pipeline}, not of {spec.name}")
    audit = auditing.found(context.account, spec.name, said.audit)
    corrections.check(said, audit, spec.name, context.account.environment.name)
    if said.channel not in spec.data:
        raise UserError(f"{spec.name} has no channel {said.channel!r} any more")
    made = applying.apply(context.account, spec.data[said.channel], audit, said)
    bucket = context.account.shared()["DataBucketName"]
    document = {
        "bucket": bucket,
        "channel": said.channel,
        "prefix": made.prefix,
        "corrected": made.corrected,
        "left_out": made.left_out,
        "written": list(made.written),
        "copied": made.copied,
        "data": {said.channel: made.channel},
    }
    lines = [
        f"{made.corrected} labels corrected, {made.left_out} examples left out: s3://{bucket}/{made.prefix}",
        f"{', '.join(made.written)} written, {made.copied} other objects copied; what was audited stays as it is",
        f"next: data: {{{said.channel}: {_flow(made.channel)}}} in {spec.folder.name}/{files.SPEC_FILE}",
    ]
    return Answer(document, escape("\n".join(lines)))


def _flow(channel: object) -> str:
    """A channel as pipeline.yaml has it, on one line."""
    if isinstance(channel, dict):
        return f"{{{', '.join(f'{name}: {_flow(value)}' for name, value in channel.items())}}}"
    return f"[{', '.join(channel)}]" if isinstance(channel, list) else str(channel)


# ------------------------------------------------------------------------------------------------------- consolidation


def _consolidated(path: Path, output: Path | None, attribute: str | None, method: str) -> Answer:
    from ratchet.errors import UserError
    from ratchet.labels import annotations, consolidation, ground_truth

    if output is None:
        raise UserError("--output is the file that the labels are written to, as labels.manifest; it is missing")
    if output.exists():
        raise UserError(f"{output} is there already; nothing is overwritten: choose another name")
    name = attribute or ground_truth.ATTRIBUTE
    ground_truth.check_attribute(name)
    found = consolidation.METHODS[method](annotations.read(path))
    text = ground_truth.consolidated(found, name)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    document = {
        "method": method,
        "items": len(found.items),
        "classes": list(found.classes),
        "ties": [item.item for item in found.items if item.tied],
        "annotators": [
            {"annotator": each.name, "accuracy": round(each.accuracy, 4), "annotations": each.annotations}
            for each in found.annotators
        ],
        "manifest": str(output),
    }
    return Answer(document, lambda: _annotators(found, output))


def _annotators(found: Consolidation, output: Path) -> Any:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("annotator", "right", "annotations"):
        table.add_column(title, justify="left" if title == "annotator" else "right")
    for each in found.annotators:
        table.add_row(escape(each.name), f"{each.accuracy:.1%}", str(each.annotations))
    ties = sum(item.tied for item in found.items)
    told = f"{len(found.items)} items of {len(found.classes)} classes, {ties} of them tied"
    return Group(table, told, escape(str(output)))
