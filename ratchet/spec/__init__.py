"""`pipeline.yaml`, the one file that says what a model's pipeline is, as frozen models: a module a section of the file.

`load(path)` reads one and refuses what could not work, all problems at once, each as `file:line: field: what is wrong
and what would be right`. Units are gone after loading: durations are whole seconds, sizes whole GiB, as AWS's requests
want them. `python -m ratchet.spec` writes the JSON Schema that editors complete from.
"""

from __future__ import annotations

from ratchet.spec.errors import ConfigurationError, SpecError, nearest
from ratchet.spec.folders import find_pipelines, named_folders, without
from ratchet.spec.image import Framework
from ratchet.spec.loading import load
from ratchet.spec.name import NAME_LENGTH, check_name
from ratchet.spec.pipeline import PipelineSpec
from ratchet.spec.rounds import Rounds

__all__ = [
    "NAME_LENGTH",
    "ConfigurationError",
    "Framework",
    "PipelineSpec",
    "Rounds",
    "SpecError",
    "check_name",
    "find_pipelines",
    "load",
    "named_folders",
    "nearest",
    "without",
]
