"""`train`: a pipeline's training job alone, for the edit–run loop."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from contract import files, names, run_table
from contract.compiled import trained_model
from contract.tuning import TUNED
from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from pathlib import Path

    from ratchet.spec import PipelineSpec

Document = dict[str, Any]


@command("train")
@click.argument("pipeline")
@click.option("--candidate", help="Which, of a pipeline that trains several (`candidates` of pipeline.yaml).")
def train(context: Context, pipeline: str, candidate: str | None) -> Answer:
    """Run just the training job of PIPELINE with the folder's code as it is, and follow its log; no model is judged.

    Image, instance, role and rules are those of the deployed pipeline; code, hyperparameters and metrics the folder's.
    Its rules judge, but stop nothing, since there is no run. Exits with 3 unless the job completes; Ctrl-C stops it.
    """
    from ratchet.errors import INTERRUPTED, RUN_FAILED
    from ratchet.followed_jobs import COMPLETED, followed

    name, spec = _deployed(context, pipeline)
    job = _start(context, spec, name, candidate)
    client = context.account.client("sagemaker")
    try:
        describe = partial(client.describe_training_job, TrainingJobName=job)
        described = followed(context, names.TRAIN_STEP, job, describe, "TrainingJobStatus")
    except KeyboardInterrupt:
        client.stop_training_job(TrainingJobName=job)
        stopping = _document(client.describe_training_job(TrainingJobName=job))
        return Answer(stopping, f"{job} is being stopped", INTERRUPTED)
    document = {**_document(described), **({"views": _pictures(context, name, job)} if spec.views else {})}
    return Answer(document, lambda: _text(document), 0 if document["status"] == COMPLETED else RUN_FAILED)


def _deployed(context: Context, pipeline: str) -> tuple[str, PipelineSpec]:
    """The pipeline's name and spec; locally it is deployed if it never was, but not anew: that would start a run."""
    from ratchet.commands.start_run import prepare
    from ratchet.errors import UserError
    from ratchet.spec import load

    name = context.pipeline(pipeline)
    folder = context.project.pipelines.get(name)
    if folder is None:
        raise UserError(f"{name} has no folder in this checkout, so there is no train.py to run")
    spec = load(folder / files.SPEC_FILE)
    if context.is_local and context.account.stack_outputs(name) is None:
        prepare(context, name)
    context.account.pipeline(name)
    return name, spec


def _start(context: Context, spec: PipelineSpec, name: str, candidate: str | None) -> str:
    """Starts the job; its name."""
    from ratchet import channels, training_job
    from ratchet.runs import RunTable

    account, shared = context.account, context.account.shared()
    bucket, s3 = shared["DataBucketName"], account.client("s3")
    channels.check_filled(account, name, spec.training_channels)
    run_id = names.run_id(datetime.now(UTC), secrets.token_hex(2))
    package = _package(spec, context.project.models / files.TOOLKIT)
    key = f"{files.tries_folder(name)}{run_id}/{files.SOURCE_ARCHIVE}"
    machine = account.pipeline(name)["StateMachineArn"]
    definition = account.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"]
    code = f"s3://{shared['ArtifactBucketName']}/{key}"
    champion = RunTable(account).state(name).get(run_table.CHAMPION) or {}
    request = training_job.request(
        definition,
        spec,
        run_id=run_id,
        bucket=bucket,
        code=code,
        tuned=champion.get(TUNED),
        champions=_models(context, spec),
        candidate=candidate,
    )
    s3.put_object(Bucket=shared["ArtifactBucketName"], Key=key, Body=package)
    account.client("sagemaker").create_training_job(**request)
    image = ", in the image that is deployed" if spec.is_own_container else ""
    context.say(f"{name}  training job {request['TrainingJobName']} started{image}")
    return str(request["TrainingJobName"])


def _models(context: Context, spec: PipelineSpec) -> dict[str, str]:
    """The S3 URIs of the models with which it begins, other pipelines' champions as they are now, by channel."""
    from ratchet.errors import UserError
    from ratchet.runs import RunTable

    table, found = RunTable(context.account), dict[str, str]()
    for channel, pipeline in spec.data.champions.items():
        champion = table.state(pipeline).get(run_table.CHAMPION)
        if not champion:
            first = context.account.command(f"run {pipeline} --wait")
            raise UserError(f"data.{channel} is the champion of {pipeline}, which has none yet: `{first}` first")
        found[channel] = trained_model(champion)
    return found


def _package(spec: PipelineSpec, toolkit: Path) -> bytes:
    from ratchet.spec.source_package import package_of

    return package_of(spec, toolkit).archive()


def _pictures(context: Context, pipeline: str, job: str) -> list[Document]:
    """The newest picture of each of its views, fetched, and what went wrong last."""
    from ratchet import trainings, views
    from ratchet.view_pages import saving
    from ratchet.view_pages.vega import Drawer

    bucket, found = context.account.shared()["ArtifactBucketName"], list[Document]()
    training = trainings.tried(context.account, [pipeline], job)
    if training is None:
        return []
    with Drawer() as drawer:
        for view in views.read(context.account, bucket, training.tensors):
            told: Document = {"view": view.name, "problem": view.problems[-1].reason if view.problems else None}
            if newest := view.newest:
                content = views.content(context.account, bucket, training.tensors, newest)
                path = saving.place(context.project.home, training.id, training.tensors, newest.file)
                told |= {"step": newest.step, "path": str(saving.save(content, path, drawer)) if content else None}
            found.append(told)
    return found


def _document(described: Document) -> Document:
    return {
        "training_job": described["TrainingJobName"],
        "status": described["TrainingJobStatus"],
        "failure": described.get("FailureReason"),
        "seconds": described.get("TrainingTimeInSeconds"),
        "metrics": {each["MetricName"]: each["Value"] for each in described.get("FinalMetricDataList", [])},
        "model": described.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
    }


def _text(document: Document) -> str:
    from rich.markup import escape

    from ratchet.durations import duration
    from ratchet.live import first_line

    seconds = document["seconds"]
    took = "" if seconds is None else f" after {duration(seconds)}"
    metrics = [f"  {escape(name):<15} {value:g}" for name, value in document["metrics"].items()]
    model = [f"  model           {escape(document['model'])}"] if document["model"] else []
    why = [f"  {escape(document['failure'])}"] if document["failure"] else []
    drawn = [
        f"  {escape(view['view']):<15} "
        + escape(view.get("path") or first_line(view["problem"]) or "no picture was due")
        for view in document.get("views", ())
    ]
    return "\n".join([f"{document['status']}{took}", *why, *metrics, *model, *drawn])
