"""The models' folders of a checkout: each folder with a pipeline.yaml is a pipeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from contract import files
from ratchet.spec import yaml_lines
from ratchet.spec.champions_among import check_among, declared_champions
from ratchet.spec.errors import ConfigurationError, SpecError, nearest
from ratchet.spec.loading import load
from ratchet.spec.pipeline import PipelineSpec


def find_pipelines(training_code: Path, only: Collection[str] | None = None) -> list[PipelineSpec]:
    """The pipelines of a folder's folders, by name; `only` those of these names: another's mistakes are none of theirs.

    Raises:
        SpecError: a pipeline.yaml is wrong, two have one name, or one begins with a champion that there can't be.
        ConfigurationError: no folder has one of the names.
    """
    found: dict[str, PipelineSpec] = {}
    for folder in _folders(training_code) if only is None else _chosen(training_code, only):
        spec = load(folder / files.SPEC_FILE)
        if spec.name in found:
            other = found[spec.name].folder / files.SPEC_FILE
            raise spec.error("name", f"is {spec.name!r}, which {other} has already; each needs its own")
        found[spec.name] = spec
    if any(spec.data.champions for spec in found.values()):
        everyone = ((_declared_name(folder), _read(folder)) for folder in _folders(training_code))
        check_among([*found.values()], {name: declared_champions(told.get("data")) for name, told in everyone})
    return [found[name] for name in sorted(found)]


def _chosen(training_code: Path, only: Collection[str]) -> list[Path]:
    names = {folder: _declared_name(folder) for folder in _folders(training_code)}
    for name in sorted(set(only) - set(names.values())):
        raise ConfigurationError(f"there is no pipeline {name!r} in {training_code}{nearest(name, [*names.values()])}")
    return [folder for folder, name in names.items() if name in only]


def named_folders(training_code: Path) -> dict[str, Path]:
    """Pipeline name → the model's folder, whether its pipeline.yaml can be used or not."""
    return {_declared_name(folder): folder for folder in _folders(training_code)}


def without(training_code: Path, error: SpecError) -> str:
    """A line on how the cdk command goes on without the pipeline of an error; empty if there is no other."""
    others = sorted(name for name, folder in named_folders(training_code).items() if folder not in error.path.parents)
    return f"\n(without it: -c pipelines={','.join(others)})" if others else ""


def _folders(training_code: Path) -> list[Path]:
    return sorted(path.parent for path in training_code.glob(f"*/{files.SPEC_FILE}"))


def _declared_name(folder: Path) -> str:
    """`name:` of a folder's pipeline.yaml; the folder's own name, with hyphens, where it can't be read."""
    name = _read(folder).get("name")
    return name if isinstance(name, str) else folder.name.replace("_", "-")


def _read(folder: Path) -> Mapping[str, Any]:
    """A folder's pipeline.yaml, right or wrong; nothing where it can't be read or is no mapping."""
    try:
        data = yaml_lines.read(folder / files.SPEC_FILE).data
    except (OSError, yaml_lines.YamlError):
        return {}
    return data if isinstance(data, dict) else {}
