"""SageMaker Debugger's hook configuration, read as the probe's settings.

A training job with `DebugHookConfig` finds it in /opt/ml/input/config/debughookconfig.json, and what it leaves in
`LocalPath` is copied to S3 by SageMaker (CreateTrainingJob, API reference, DebugHookConfig). So a script with a probe
saves what the managed service was told to, and whoever evaluates those rules finds it there, in a folder of the
probe's own: beside it an image's own hook (smdebug) may write its files.

Keys of CollectionParameters and HookParameters: developer guide, "Configure tensor collections using the
CollectionConfig API". All values are text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit import lists
from toolkit.container import base_folder
from toolkit.probe.errors import ProbeError
from toolkit.probe.layers import EMBEDDING_INPUT, RELU_INPUT, RELU_OUTPUT, SIGMOID_INPUT, TANH_INPUT
from toolkit.probe.settings import BUILT_IN, INTERVAL, Settings

VARIABLE_FILE = "SMDEBUG_CONFIG_FILE_PATH"
LOCAL_PATH = "/opt/ml/output/tensors"
# Of LocalPath: the probe's own part.
FOLDER = "ratchet"

# Debugger's collections that the probe calls otherwise.
NAMES = {"optimizer_variables": "optimizer_state", "feature_importance": "importances"}
# Regular expressions of Debugger's own rule configurations, which name tensors of TensorFlow and MXNet (guide, "List of
# Debugger built-in rules"), and the probe's names for what they mean.
MEANINGS = {
    ".*relu_output": RELU_OUTPUT,
    ".*ReLU_output": RELU_OUTPUT,
    ".*relu_input": RELU_INPUT,
    ".*ReLU_input": RELU_INPUT,
    ".*tanh_input": TANH_INPUT,
    ".*sigmoid_input": SIGMOID_INPUT,
    ".*hybridsequential0_input_0": "^(model/)?input$|^images?$",
    ".*embedding0_input_0": EMBEDDING_INPUT,
    ".*labels": r"^label/|(^|[/_.])labels?$",
    ".*predictions": r"^prediction/|(^|[/_.])predictions?$",
    ".*feature_importance/weight": "importance/(weight|features)(/|$)",
}
_REDUCTIONS = {"l1_norm": "l1", "l2_norm": "norm", "abs_l1_norm": "l1", "abs_l2_norm": "norm"}
_INTERVALS = {"train": "train.save_interval", "eval": "eval.save_interval"}
_REDUCED = ("reductions", "save_histogram", "save_raw_tensor")
_NUMBERS = {"save_interval": "interval", "start_step": "start", "end_step": "end"}
# Of whole jobs, or of files that the probe doesn't write.
_WITHOUT_MEANING = ("save_all", "save_shape", "export_tensorboard", "tensorboard_dir")


def configuration(environment: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """The job's DebugHookConfig; None where it has none.

    Raises:
        ProbeError: there is one that can't be read.
    """
    variables = os.environ if environment is None else environment
    usual = base_folder(variables) / "input" / "config" / "debughookconfig.json"
    path = Path(variables.get(VARIABLE_FILE, usual))
    if not path.is_file():
        return None
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProbeError(f"{path} can't be read: {error}") from error
    return document


def directory(document: Mapping[str, Any]) -> Path:
    """The folder for the probe's tensors, by a hook configuration."""
    return Path(document.get("LocalPath") or LOCAL_PATH) / FOLDER


def settings(document: Mapping[str, Any]) -> Settings:
    """The probe's settings, by a hook configuration; nothing is copied to S3, since SageMaker does that.

    Raises:
        ProbeError: a parameter is unknown or wrong; the message names it and its collection.
    """
    common = _parameters("HookParameters", document.get("HookParameters") or {})
    collections: dict[str, Any] = {}
    for entry in document.get("CollectionConfigurations") or ():
        name = NAMES.get(entry["CollectionName"], entry["CollectionName"])
        own = _parameters(name, entry.get("CollectionParameters") or {})
        collections[name] = {**common, **own}
        if name == "all":
            collections[name].setdefault("include", [".*"])
        elif name not in BUILT_IN and "include" not in collections[name]:
            raise ProbeError(f"debughookconfig.json: {name} has no include_regex, which says what the collection holds")
    return Settings.of({"collections": collections})


def meant(regexes: str) -> list[str]:
    """The expressions of a text with commas between: Debugger's own in the probe's names, others as they are."""
    return [name for regex in lists.items(regexes) for name in _meant(regex)]


def _parameters(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a collection in the words of `probe:` in pipeline.yaml."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _NUMBERS:
            found[_NUMBERS[name]] = _number(where, value)
        elif name == "save_steps":
            found["steps"] = [_number(where, step) for step in lists.items(str(value))]
        elif name == "include_regex":
            found["include"] = meant(value)
        elif name not in (*_INTERVALS.values(), *_REDUCED, *_WITHOUT_MEANING):
            raise ProbeError(f"debughookconfig.json: {where}: the probe has nothing for {name!r}")
    return {**found, **_intervals(where, given), **_reductions(given)}


def _intervals(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """An interval for each mode, where one has its own."""
    if not any(name in given for name in _INTERVALS.values()):
        return {}
    usual = given.get("save_interval", INTERVAL)
    return {"interval": {mode: _number(where, given.get(name, usual)) for mode, name in _INTERVALS.items()}}


def _reductions(given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = [_REDUCTIONS.get(item, item) for item in lists.items(str(given.get("reductions", "")))]
    wanted += ["histogram"] if _true(given.get("save_histogram")) else []
    return {"reductions": wanted, "values": _true(given.get("save_raw_tensor"))} if wanted else {}


def _meant(regex: str) -> list[str]:
    parts = regex.split("|")
    return [MEANINGS[part] for part in parts] if all(part in MEANINGS for part in parts) else [regex]


def _number(where: str, value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise ProbeError(f"debughookconfig.json: {where}: {value!r} is no number of steps") from None


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
