"""`new`: a model's folder, made from a template."""

from __future__ import annotations

from pathlib import Path

import click

from contract import files
from ratchet.command import Answer, Context, command

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
TEMPLATE, OWN_CONTAINER = TEMPLATES / "model", TEMPLATES / "own_container"
# What the templates' files call the model.
PLACEHOLDER = "my-model"
_TEXTS = (".md", ".py", ".yaml")


@command("new")
@click.argument("model")
@click.option(
    "--own-container", is_flag=True, help="With a Dockerfile, and `train` and `serve` of its own, in any language."
)
def new(context: Context, model: str, own_container: bool) -> Answer:
    """Make training_code/<MODEL>, a folder that works: `ratchet run MODEL --wait` trains, judges and serves it."""
    name = _name(model)
    folder = context.project.models / name.replace("-", "_")
    _refuse_taken(context, name, folder)
    files = _make(folder, name, _sources(own_container=own_container))
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


def _sources(*, own_container: bool) -> dict[str, Path]:
    """The template's files by their names in the folder; the sample is of both templates."""
    template = OWN_CONTAINER if own_container else TEMPLATE
    found = {path: path.relative_to(template) for path in template.rglob("*")}
    sample = {path: path.relative_to(TEMPLATE) for path in (TEMPLATE / "sample").rglob("*")}
    both = {name.as_posix(): path for path, name in {**found, **sample}.items()}
    return {name: path for name, path in sorted(both.items()) if path.is_file() and "__pycache__" not in path.parts}


def _make(folder: Path, name: str, sources: dict[str, Path]) -> list[str]:
    """Copies the template, pipeline.yaml last: a folder is a pipeline once that is there."""
    in_order = sorted(sources, key=lambda file: file == files.SPEC_FILE)
    for file in in_order:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_named(sources[file], name))
        target.chmod(sources[file].stat().st_mode)
    return in_order


def _named(source: Path, name: str) -> bytes:
    content = source.read_bytes()
    return content.replace(PLACEHOLDER.encode(), name.encode()) if source.suffix in _TEXTS else content
