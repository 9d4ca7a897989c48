"""An audit of a channel's labels: what is asked, the job that does it, and what it has found."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from contract import files, held_out, label_audits, manifests, names
from contract.held_out import Reading
from contract.held_out_lines import SOURCE
from ratchet import channels, processing_job
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.labels import audits
from ratchet.labels.audits import Audit
from ratchet.spec import PipelineSpec, nearest
from ratchet.spec.data import Channel
from ratchet.spec.manifest import Manifest

PROGRAM = f"{files.TOOLKIT}/audit.py"
_GONE = ("NoSuchKey", "404")
_SHAPE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is audited, and how. attribute: the label's column, key or attribute; as `evaluate` has it unless told."""

    channel: str
    attribute: str | None = None
    folds: int = label_audits.FOLDS
    seed: int = label_audits.SEED
    suspects: int = label_audits.SUSPECTS
    picture: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """The job of an audit. folder: of its code and of what it writes in the artifact bucket, with a slash."""

    id: str
    name: str
    folder: str


def check(account: Account, spec: PipelineSpec, question: Question) -> int:
    """The bytes of the channel that is asked for.

    Raises:
        UserError: it can't be audited; the message says what would have to be.
    """
    channel, pipeline = question.channel, spec.name
    if channel not in spec.data:
        raise UserError(f"{pipeline} has no channel {channel!r}{nearest(channel, list(spec.data))}")
    if channel not in spec.labels:
        said = ", ".join([*spec.labels, channel])
        deploy = account.deploy_command(pipeline)
        raise UserError(
            f"{spec.folder.name}/{files.SPEC_FILE} doesn't let {channel} be audited: write labels: [{said}] and deploy "
            f"it, `{deploy}`, so that there is a role that may read it"
        )
    if label_audits.ROLE_OUTPUT not in account.pipeline(pipeline):
        deploy = account.deploy_command(pipeline)
        raise UserError(f"{pipeline} is deployed without labels: [{channel}], so no role may audit it; `{deploy}`")
    if question.picture is not None and not _SHAPE.fullmatch(question.picture):
        raise UserError(f"--picture is {question.picture!r}; write height and width in pixels, as 8x8")
    reading(spec, question)
    channels.check_filled(account, pipeline, {channel: spec.data[channel]})
    return sum(found["bytes"] for found in channels.of_channel(account, spec.data[channel]))


def reading(spec: PipelineSpec, question: Question) -> Reading:
    """How the channel is read: as the held-out one, but for what only a gate needs, and for the label that is named; of
    a manifest, the attribute that is no object.

    Raises:
        UserError: a manifest has several, or none.
    """
    attribute, manifest = question.attribute, spec.data[question.channel].manifest
    if manifest:
        return Reading(label=attribute or _label_of(question.channel, manifest), format=held_out.MANIFEST)
    said = replace(spec.reading, segment=None, any_label=False)
    if attribute is None:
        return said
    if attribute.removeprefix("-").isdecimal():
        # A position among columns that have names, too, if the held-out ones have.
        return replace(said, label=int(attribute), header=True if said.has_header else said.header)
    return replace(said, label=attribute)


def _label_of(channel: str, manifest: Manifest) -> str:
    others = [name for name in manifest.attributes if not name.endswith((manifests.REFERENCE, manifests.METADATA))]
    labels = [name for name in others if name != SOURCE]
    if len(labels) != 1:
        told = ", ".join(labels) or "none"
        raise UserError(
            f"data.{channel} has {len(labels)} attributes that may be labels ({told}); name it: --attribute"
        )
    return labels[0]


def start(account: Account, spec: PipelineSpec, question: Question, *, archive: bytes, size: int) -> Job:
    """Starts it, with the folder's code as it is now.

    Args:
        archive: of that code. size: the channel's bytes.
    """
    outputs, shared = account.pipeline(spec.name), account.shared()
    bucket = shared["ArtifactBucketName"]
    id_ = names.run_id(datetime.now(UTC), secrets.token_hex(2))
    name = names.job(account.environment.name, spec.name, id_, names.LABELS_STEP)
    job = Job(id=id_, name=name, folder=f"{label_audits.audits_folder(spec.name)}{id_}/")
    code = f"{job.folder}{files.SOURCE_ARCHIVE}"
    asked = processing_job.Asked(
        job=job.name,
        script=PROGRAM,
        arguments=_arguments(spec, question),
        inputs={
            files.CODE_INPUT: f"s3://{bucket}/{code}",
            **_inputs(f"s3://{shared['DataBucketName']}/", spec.data[question.channel]),
        },
        output=(label_audits.OUTPUT_NAME, f"s3://{bucket}/{job.folder}".rstrip("/")),
        role=outputs[label_audits.ROLE_OUTPUT],
        size=size,
    )
    machine = account.client("stepfunctions").describe_state_machine(stateMachineArn=outputs["StateMachineArn"])
    request = processing_job.request(machine["definition"], asked)
    account.client("s3").put_object(Bucket=bucket, Key=code, Body=archive)
    account.client("sagemaker").create_processing_job(**request)
    return job


def _inputs(bucket: str, channel: Channel) -> dict[str, str]:
    """The channel's prefix; and its manifest, where that lies elsewhere."""
    manifest = channel.manifest
    return {
        (label_audits.MANIFEST_INPUT if manifest and place == manifest.key else label_audits.DATA_INPUT): bucket + place
        for place in channel.places
    }


def _arguments(spec: PipelineSpec, question: Question) -> Sequence[str]:
    told = ["--channel", question.channel, "--folds", str(question.folds), "--seed", str(question.seed)]
    told += ["--suspects", str(question.suspects)]
    told += ["--picture", question.picture] if question.picture else []
    if manifest := spec.data[question.channel].manifest:
        # Where it is among the objects, if it is.
        told += ["--manifest", manifest.key.removeprefix(manifest.objects or "")]
    return [*told, *held_out.arguments(reading(spec, question))]


def found(account: Account, pipeline: str, id_: str) -> Audit:
    """What an audit has found.

    Raises:
        UserError: it is no longer there, or isn't what an audit writes.
    """
    bucket = account.shared()["ArtifactBucketName"]
    key = f"{label_audits.audits_folder(pipeline)}{id_}/{label_audits.AUDIT}"
    where = f"s3://{bucket}/{key}"
    try:
        body = account.client("s3").get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{audits.DOCUMENT_BYTES}")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise UserError(f"there is no audit {id_} of {pipeline}'s labels: {where} doesn't exist, or is gone") from error
    return audits.read(body["Body"].read(), where)
