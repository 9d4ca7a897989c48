"""`new`: a model's folder, made from the template."""

from __future__ import annotations

from pathlib import Path

import click

from contract import files
from ratchet.command import Answer, Context, command

TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "model"
# What the template's files call the model.
PLACEHOLDER = "my-model"
_TEXTS = (".md", ".py", ".yaml")


@command("new")
@click.argument("model")
def new(context: Context, model: str) -> Answer:
    """Make training_code/<MODEL>, a folder that works: `ratchet run MODEL --wait` trains, judges and serves it."""
    name = _name(model)
    folder = context.project.models / name.replace("-", "_")
    _refuse_taken(context, name, folder)
    files = _make(folder, name)
    shown = folder.relative_to(context.project.root)
    document = {"pipeline": name, "folder": str(folder), "files": files}
    return Answer(document, f"{shown}  {len(files)} files\nnext  ratchet run {name} --wait")


def _name(model: str) -> str:
    """The pipeline's name, refused as pipeline.yaml would refuse it."""
    from ratchet.errors import UserError
    from ratchet.spec import check_name

    name = model.replace("_", "-")
    try:
        return check_name(name)
    except ValueError as error:
        raise UserError(f"the name {error}") from error


def _refuse_taken(context: Context, name: str, folder: Path) -> None:
    from ratchet.errors import UserError

    if folder.exists():
        raise UserError(f"{folder.relative_to(context.project.root)} is there already; choose another name")
    if name in context.project.pipelines:
        there = context.project.pipelines[name].relative_to(context.project.root)
        raise UserError(f"there is a pipeline {name} already, in {there}; choose another name")


def _make(folder: Path, name: str) -> list[str]:
    """Copies the template, pipeline.yaml last: a folder is a pipeline once that is there."""
    sources = sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    sources.sort(key=lambda path: path.name == files.SPEC_FILE)
    for source in sources:
        target = folder / source.relative_to(TEMPLATE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_named(source, name))
    return [source.relative_to(TEMPLATE).as_posix() for source in sources]


def _named(source: Path, name: str) -> bytes:
    content = source.read_bytes()
    return content.replace(PLACEHOLDER.encode(), name.encode()) if source.suffix in _TEXTS else content
