"""A run's compiled model as a folder that answers on a bare Python, away from AWS."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract import compiled, files, thresholds
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.runs import Run

Document = dict[str, Any]
ANSWER, README, ENVIRONMENT = "answer.py", "README.md", "environment.json"
_TEMPLATES = Path(__file__).parent / "templates" / "export"
_GONE = ("NoSuchKey", "404")
_RUNTIME = ("onnxruntime", "numpy")
# Of the archive, what a bare machine has by itself, or installs.
_LEFT_OUT = (compiled.RUNTIME,)


@dataclass(frozen=True)
class Exported:
    """What was written where: the folder, its files' size in bytes, and how the model was made (compiled.json)."""

    folder: Path
    size: int
    figures: Document


def export(account: Account, run: Run, folder: Path) -> Exported:
    """Writes the folder.

    Raises:
        UserError: the run has no compiled model, that is gone or damaged, or the folder isn't empty.
    """
    candidate = _candidate(account, run)
    _check_free(folder)
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary, files.MODEL_ARCHIVE)
        _fetch(account, str(candidate["model_data"]), archive, run)
        unpacked = Path(temporary, "model")
        figures = _unpack(archive, unpacked)
        _complete(unpacked, run, candidate, figures)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(unpacked, folder, dirs_exist_ok=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Exported(folder, size, figures)


def _candidate(account: Account, run: Run) -> Document:
    """What the run's record says of its model."""
    candidate = dict(run.document.get("candidate") or {})
    if not candidate.get("model_data"):
        see = account.command(f"runs {run.pipeline}")
        raise UserError(f"run {run.run_id} has no model to export: it is {run.outcome}; see `{see}`")
    if not candidate.get(compiled.TRAINED_MODEL_DATA):
        start = account.command(f"run {run.pipeline} --wait")
        raise UserError(
            f"the model of run {run.run_id} isn't compiled, so it answers with its framework alone; write deploy: "
            f"{{compile: {{target: {compiled.ONNX}}}}} in its {files.SPEC_FILE}, and `{start}`"
        )
    return candidate


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder that isn't there yet, or is empty")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} isn't empty; name a folder that isn't there yet, or is empty")


def _fetch(account: Account, uri: str, archive: Path, run: Run) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise UserError(f"the model of run {run.run_id} is gone: there is nothing at {uri}") from error
    with archive.open("wb") as written:
        shutil.copyfileobj(body, written)


def _unpack(archive: Path, folder: Path) -> Document:
    """The archive's files, without the runtime, and what compiled.json says."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = [member for member in tar if member.name.partition("/")[0] not in _LEFT_OUT]
            tar.extractall(folder, members, filter="data")
        figures: Document = json.loads((folder / compiled.FIGURES_FILE).read_text(encoding="utf-8"))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UserError(f"the model's archive is damaged, or no compiled model: {error}") from error
    return figures


def _complete(folder: Path, run: Run, candidate: Document, figures: Document) -> None:
    """What stands beside the model: the script, its requirements and variables, and how to use it."""
    shutil.copyfile(_TEMPLATES / ANSWER, folder / ANSWER)
    (folder / files.REQUIREMENTS).write_text(_requirements(folder, figures), encoding="utf-8")
    threshold = candidate.get(thresholds.KEPT)
    told = {thresholds.THRESHOLD: str(threshold)} if threshold else {}
    (folder / ENVIRONMENT).write_text(json.dumps(told) + "\n", encoding="utf-8")
    environment = Environment(  # noqa: S701 - Markdown, and no page
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    text = environment.get_template(f"{README}.j2").render(
        pipeline=run.pipeline,
        run_id=run.run_id,
        python=figures["versions"]["python"],
        precision=figures["precision"],
        size=f"{figures['bytes']['compiled'] / 1e6:.3g} MB",
        examples=figures["examples"],
        equal=figures["examples"] - figures["unequal"],
        metric=candidate.get("metric", "the gate"),
        score=candidate.get("score", "unknown"),
    )
    (folder / README).write_text(text, encoding="utf-8")


def _requirements(folder: Path, figures: Document) -> str:
    """The runtime, as the model was tried with it, and what the folder's own code needs then."""
    pins = [f"{name}=={figures['versions'][name]}" for name in _RUNTIME]
    own = folder / "code" / files.REQUIREMENTS
    more = own.read_text(encoding="utf-8").splitlines() if own.is_file() else []
    return "\n".join([*pins, *more]) + "\n"
