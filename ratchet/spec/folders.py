"""The models' folders of a checkout: each folder with a pipeline.yaml is a pipeline."""

from __future__ import annotations

from pathlib import Path

from contract import files
from ratchet.spec import yaml_lines
from ratchet.spec.loading import load
from ratchet.spec.pipeline import PipelineSpec


def find_pipelines(training_code: Path) -> list[PipelineSpec]:
    """The pipelines of a folder's folders, by name.

    Raises:
        SpecError: a pipeline.yaml is wrong, or two have one name.
    """
    found: dict[str, PipelineSpec] = {}
    for folder in _folders(training_code):
        spec = load(folder / files.SPEC_FILE)
        if spec.name in found:
            other = found[spec.name].folder / files.SPEC_FILE
            raise spec.error("name", f"is {spec.name!r}, which {other} has already; each needs its own")
        found[spec.name] = spec
    return [found[name] for name in sorted(found)]


def named_folders(training_code: Path) -> dict[str, Path]:
    """Pipeline name → the model's folder, whether its pipeline.yaml can be used or not."""
    return {_declared_name(folder): folder for folder in _folders(training_code)}


def _folders(training_code: Path) -> list[Path]:
    return sorted(path.parent for path in training_code.glob(f"*/{files.SPEC_FILE}"))


def _declared_name(folder: Path) -> str:
    """`name:` of a folder's pipeline.yaml; the folder's own name, with hyphens, where it can't be read."""
    fallback = folder.name.replace("_", "-")
    try:
        data = yaml_lines.read(folder / files.SPEC_FILE).data
    except (OSError, yaml_lines.YamlError):
        return fallback
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else fallback
