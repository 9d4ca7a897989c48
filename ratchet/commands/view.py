"""`view`: pictures of what a finished training has saved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract import files, names
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratchet.drawing import Code, Job
    from ratchet.spec.views import View
    from ratchet.trainings import Training
    from ratchet.views import View as Drawn

Document = dict[str, Any]
# What couldn't be drawn is told at the end, by step.
_TOLD_LATER = ("views: ",)


@command("view")
@click.argument("run")
@click.argument("name")
@click.option("--step", "steps", type=click.IntRange(min=0), multiple=True, help="A training step; all that are due.")
@click.option("--every", help="Due every so many training steps, or `evaluation`; as the run's own pictures.")
@click.option("--round", "round_", type=click.IntRange(min=1), help="Of a training in rounds; the one that was chosen.")
@click.option("--current-code", is_flag=True, help="Draw with the folder's code as it is now, not with the run's own.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="A folder; .ratchet/views/<run>/.")
def view(  # noqa: PLR0913 - a command's options
    context: Context,
    run: str,
    name: str,
    *,
    steps: tuple[int, ...],
    every: str | None,
    round_: int | None,
    current_code: bool,
    output: Path | None,
) -> Answer:
    """Draw the view NAME of what RUN's training has saved, in a job of its own, and fetch the pictures.

    RUN is a run's id, a pipeline's name for its newest, or the job of a `ratchet train`. NAME is one of the run's
    views, or any view of its code or of the toolkit's. Exits with 1 where something couldn't be drawn; Ctrl-C stops
    the job.
    """
    from ratchet import drawing, trainings
    from ratchet.errors import INTERRUPTED
    from ratchet.followed_jobs import followed

    training = trainings.find(context.account, context.pipelines(), run, round_)
    drawing.check_drawable(context.account, training.pipeline)
    size = trainings.size(context.account, training)
    code = _current_code(context, training) if current_code else drawing.own_code(context.account, training)
    known = _known(context, training, the_folders_first=current_code)
    told = drawing.meant(name, code, known, _every(every))
    job = drawing.start(context.account, training, code=code, view=told, steps=steps or None, size=size)
    context.say(f"{training.pipeline}  processing job {job.name} draws {told['name']} of {training.id}")
    client = context.account.client("sagemaker")
    try:
        describe = partial(client.describe_processing_job, ProcessingJobName=job.name)
        described = followed(
            context, names.VIEW_STEP, job.name, describe, "ProcessingJobStatus", told_later=_TOLD_LATER
        )
    except KeyboardInterrupt:
        client.stop_processing_job(ProcessingJobName=job.name)
        stopping = {"run_id": training.id, "processing_job": job.name, "status": "Stopping"}
        return Answer(stopping, f"{job.name} is being stopped", INTERRUPTED)
    return _answer(context, training, job, described, output)


def _every(text: str | None) -> int | str | None:
    return int(text) if text and text.isdecimal() else text


def _folder(context: Context, training: Training) -> Path | None:
    return context.project.pipelines.get(training.pipeline)


def _current_code(context: Context, training: Training) -> Code:
    from ratchet.drawing import Code
    from ratchet.errors import UserError
    from ratchet.spec import load
    from ratchet.spec.source_package import package_of

    folder = _folder(context, training)
    if folder is None:
        raise UserError(f"{training.pipeline} has no folder in this checkout, so there is no other code than the run's")
    package = package_of(load(folder / files.SPEC_FILE), context.project.models / files.TOOLKIT)
    return Code(archive=package.archive())


def _known(context: Context, training: Training, *, the_folders_first: bool) -> Sequence[View]:
    """The views that have names: those that the training has drawn, and those of the folder's pipeline.yaml."""
    from ratchet import drawing
    from ratchet.spec import SpecError, load

    beside = drawing.drawn_beside(context.account, training)
    folder = _folder(context, training)
    try:
        said = list(load(folder / files.SPEC_FILE).views) if folder else []
    except SpecError:
        said = []  # it is of no use here, and of no harm
    return [*said, *beside] if the_folders_first else [*beside, *said]


def _answer(context: Context, training: Training, job: Job, described: Document, output: Path | None) -> Answer:
    from rich.markup import escape

    from ratchet import views
    from ratchet.errors import FAILURE, UserError
    from ratchet.followed_jobs import COMPLETED

    status = described["ProcessingJobStatus"]
    document: Document = {"run_id": training.id, "processing_job": job.name, "status": status}
    if status != COMPLETED:
        why = described.get("ExitMessage") or described.get("FailureReason") or "it doesn't say why"
        return Answer({**document, "failure": why}, f"{status}: {escape(why)}", FAILURE)
    bucket = context.account.shared()["ArtifactBucketName"]
    (drawn,) = views.read(context.account, bucket, job.folder) or (None,)
    if drawn is None:
        raise UserError(f"{job.name} has drawn, but you may not read it, or it is gone: s3://{bucket}/{job.folder}/")
    fetched = _fetched(context, training, job, drawn, output)
    problems = [{"step": problem.step, "reason": problem.reason} for problem in drawn.problems]
    document |= {"view": drawn.name, "pictures": fetched, "problems": problems, "failed": drawn.failed}
    return Answer(document, lambda: _text(document), FAILURE if drawn.failed or not fetched else 0)


def _fetched(context: Context, training: Training, job: Job, drawn: Drawn, output: Path | None) -> list[Document]:
    """The pictures as files: each one's step, and the path of what a person opens."""
    from ratchet import views
    from ratchet.view_pages import saving
    from ratchet.view_pages.vega import Drawer

    bucket, found = context.account.shared()["ArtifactBucketName"], list[Document]()
    with Drawer() as drawer:
        for picture in drawn.pictures:
            content = views.content(context.account, bucket, job.folder, picture)
            usual = saving.place(context.project.home, training.id, training.tensors, picture.file)
            path = output / usual.name if output else usual
            if content is not None:
                found.append({"step": picture.step, "path": str(saving.save(content, path, drawer))})
    return found


def _text(document: Document) -> str:
    from rich.markup import escape

    pictures = [escape(found["path"]) for found in document["pictures"]]
    problems = [
        f"[yellow]{'' if (step := found['step']) is None else f'step {step}: '}{escape(found['reason'])}[/]"
        for found in document["problems"]
    ]
    return "\n".join([*pictures, *problems])
