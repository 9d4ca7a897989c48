"""Script mode: the variables and arguments by which a framework container tells a script about its job. Pure.

The variables, their JSON and the arguments are those of the sagemaker-training toolkit 5.1, which all of AWS's
framework containers use; a test compares every one of them with the toolkit's own.
"""

from __future__ import annotations

import json
import re
import shlex
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from localaws.sagemaker.containers import tensorflow_training, torch_distributed
from localaws.sagemaker.containers.image_table import Start

# Hyperparameters that are meant for the container, not for the script ...
_FOR_THE_CONTAINER = "sagemaker_"
# ... and those among them that it handles itself; others of the prefix go on as framework parameters.
_HANDLED = frozenset({
    "sagemaker_program", "sagemaker_submit_directory", "sagemaker_enable_cloudwatch_metrics", "sagemaker_region",
    "sagemaker_container_log_level", "sagemaker_job_name", "sagemaker_s3_output",
    "default_user_module_name", "_tuning_objective_metric",
})  # fmt: skip
_LOG_LEVEL_INFO = 20
_GROUPS, _ENABLED = "sagemaker_distribution_instance_groups", torch_distributed.ENABLED
_ENTRY_POINT = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+/-]*")

# In the folder of the code; the serving toolkits run the same.
REQUIREMENTS_COMMAND = ("python", "-m", "pip", "install", "-r", "requirements.txt")

EntryPointType = Literal["package", "program", "command"]


class EntryPointError(Exception):
    """`sagemaker_program` is missing, names nothing inside the source directory, or nothing that could be started."""


@dataclass(frozen=True)
class Installation:
    """pip, as the toolkit runs it in the code's directory, and the toolkit's error where it fails."""

    command: Sequence[str]
    error: str


@dataclass(frozen=True)
class MachineFacts:
    """The machine's hardware, as the toolkit reads it."""

    cpus: int
    gpus: int = 0
    neurons: int = 0


@dataclass(frozen=True)
class ScriptJob:
    """A training job as its container sees it.

    base: SAGEMAKER_BASE_DIR. hyperparameters: as requested, every value a string.
    input_data_config, resource_config: the documents under input/config.
    framework_module: SAGEMAKER_TRAINING_MODULE of the image, None in images without it.
    start: how the image's toolkit starts a script, see `image_table.Image`.
    """

    name: str
    base: Path
    hyperparameters: Mapping[str, str]
    input_data_config: Mapping[str, Any]
    resource_config: Mapping[str, Any]
    machine: MachineFacts
    framework_module: str | None = None
    start: Start = "direct"

    @property
    def starts_by_shell(self) -> bool:
        """Whether a shell starts the script, unless a hyperparameter says otherwise (PyTorch's training.py alone)."""
        natively = self.framework_parameters.get("sagemaker_toolkit_native_launcher_enabled")
        return self.start == "shell" and (not natively or tensorflow_training.is_tensorflow(self.framework_module))

    @property
    def is_torch_distributed(self) -> bool:
        """Whether torchrun starts the script."""
        return torch_distributed.is_enabled(self.framework_parameters, self.framework_module)

    @property
    def decoded(self) -> dict[str, Any]:
        """Hyperparameters, each value decoded where it is JSON, as the SDK encodes them."""
        return {key: decode(value) for key, value in self.hyperparameters.items()}

    @property
    def for_script(self) -> dict[str, Any]:
        """The hyperparameters that the script gets."""
        given = {key: value for key, value in self.decoded.items() if not _is_for_container(key)}
        if not tensorflow_training.is_tensorflow(self.framework_module):
            return given
        return {**given, **tensorflow_training.model_dir(self.decoded, self.name)}

    @property
    def framework_parameters(self) -> dict[str, Any]:
        """Hyperparameters with the container's prefix that the container doesn't handle itself."""
        return {key: value for key, value in self.decoded.items() if _is_for_container(key) and key not in _HANDLED}

    @property
    def entry_point(self) -> str:
        """`sagemaker_program`. Raises EntryPointError unless it is a relative path without ``..``."""
        return check_entry_point(self.decoded.get("sagemaker_program"))

    @property
    def submit_directory(self) -> str | None:
        """`sagemaker_submit_directory`: where the source archive is, an S3 URI."""
        value = self.decoded.get("sagemaker_submit_directory")
        return None if value is None else str(value)


def decode(value: str) -> Any:
    """A hyperparameter's value, decoded if it is JSON, else itself: ``"5"`` is 5, ``"abc"`` is ``abc``."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def check_entry_point(name: object) -> str:
    """`name` if it is one that the toolkit would run. Raises EntryPointError, saying what would be right."""
    if not isinstance(name, str) or not name:
        raise EntryPointError(
            "no entry point: set the hyperparameter sagemaker_program to the script's path inside the source archive, "
            "for example train.py"
        )
    if not _ENTRY_POINT.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
        raise EntryPointError(
            f"sagemaker_program {name!r} isn't a path inside the source archive made of letters, digits and ._+-/, "
            "for example train.py"
        )
    return name


def entry_point_type(program: str, code_dir: Path) -> EntryPointType:
    """The kind of an entry point that lies in `code_dir` (the toolkit's _entry_point_type.py)."""
    if program.endswith(".sh"):
        return "command"
    if (code_dir / "setup.py").exists():
        return "package"
    return "program" if program.endswith(".py") else "command"


def command(job: ScriptJob, code_dir: Path) -> list[str]:
    """How the toolkit starts an entry point that lies in `code_dir` (process.py; XGBoost's: _modules.py).

    Raises EntryPointError where torchrun is to start what it can't.
    """
    program = job.entry_point
    arguments = user_args(job.for_script)
    kind = entry_point_type(program, code_dir)
    if job.start == "module":
        return ["python", "-m", module_name(program), *arguments]
    if job.is_torch_distributed:
        words = [*_torchrun(job, kind), program, *arguments]
    elif kind == "package":
        words = ["python", "-m", program.replace(".py", ""), *arguments]
    elif kind == "program":
        words = ["python", program, *arguments]
    else:
        told = f"./{program} {shlex.join(arguments)}"
        words = ["/bin/sh", "-c", f'"{told}"' if job.starts_by_shell else told]
    # Its words joined as they are (process.py, run_async, before 5.1.3).
    return ["/bin/sh", "-c", " ".join(words)] if job.starts_by_shell else words


def _torchrun(job: ScriptJob, kind: EntryPointType) -> list[str]:
    if kind in torch_distributed.REFUSED:
        raise EntryPointError(torch_distributed.REFUSED[kind])
    config, machine = job.resource_config, job.machine
    accelerators = machine.gpus or machine.neurons
    return torch_distributed.torchrun(job.framework_parameters, config["hosts"], config["current_host"], accelerators)


def told(job: ScriptJob, command: Sequence[str]) -> str:
    """The command in the reason of a failure: without the shell around it, of which the toolkit doesn't speak."""
    return command[-1] if job.starts_by_shell else " ".join(command)


def installation(job: ScriptJob, code_dir: Path) -> Installation | None:
    """What the toolkit installs before it starts the entry point (entry_point.py and modules.py, install)."""
    requirements = (code_dir / "requirements.txt").exists()
    kind = "program" if job.start == "module" else entry_point_type(job.entry_point, code_dir)
    if kind == "package" or ((job.start == "module") and (code_dir / "setup.py").exists()):
        words = ["python", "-m", "pip", "install", ".", *(["-r", "requirements.txt"] if requirements else [])]
        return Installation(words, "InstallModuleError")
    if kind == "program" and requirements:
        return Installation(REQUIREMENTS_COMMAND, "InstallRequirementsError")
    return None


def module_path(code_dir: Path, python: Path) -> list[str]:
    """The toolkit's path, which it hands on with the code's directory before it (environment.py, write_env_vars)."""
    library = sysconfig.get_path("stdlib")
    name = Path(library).name
    zipped, packages = Path(library).parent / f"{name.replace('.', '')}.zip", f"lib/{name}/site-packages"
    found = [code_dir, python.parent, zipped, library, f"{library}/lib-dynload", python.parent.parent / packages]
    return [str(path) for path in found]


def module_name(program: str) -> str:
    """``train.py`` as a module."""
    return program.removesuffix(".py")


def user_args(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Hyperparameters as arguments, by name: ``--n-estimators 100``; one letter gets one dash; a map ``a=1,b=2``."""
    arguments: list[str] = []
    for key in sorted(hyperparameters):
        arguments += [f"--{key}" if len(key) > 1 else f"-{key}", _argument(hyperparameters[key])]
    return arguments


def variables(job: ScriptJob) -> dict[str, str]:
    """Every ``SM_*`` variable, and those without the prefix that the toolkit sets beside them."""
    facts = _facts(job)
    named: dict[str, Any] = {name: facts[name] for name in _SINGLE_VARIABLES}
    named |= {
        "hps": job.for_script,
        "framework_params": job.framework_parameters,
        "channels": sorted(job.input_data_config),
        "training_env": facts,
        "user_args": user_args(job.for_script),
    }
    named |= {f"channel_{channel}": path for channel, path in facts["channel_input_dirs"].items()}
    named |= {f"hp_{key}": value for key, value in job.for_script.items()}
    return {f"SM_{name.upper()}": _value(value) for name, value in named.items()}


_SINGLE_VARIABLES = (
    "hosts", "network_interface_name", "user_entry_point", "resource_config", "input_data_config", "output_data_dir",
    "current_host", "current_instance_type", "current_instance_group", "current_instance_group_hosts",
    "instance_groups", "instance_groups_dict", "distribution_instance_groups", "is_hetero", "module_name", "log_level",
    "framework_module", "input_dir", "input_config_dir", "output_dir", "num_cpus", "num_gpus", "num_neurons",
    "model_dir", "module_dir", "output_intermediate_dir",
)  # fmt: skip


def _facts(job: ScriptJob) -> dict[str, Any]:
    """SM_TRAINING_ENV: all that the toolkit's Environment knows."""
    return {**_paths(job), **_cluster(job), **_program(job)}


def _paths(job: ScriptJob) -> dict[str, Any]:
    base = job.base
    return {
        "channel_input_dirs": {name: str(base / "input" / "data" / name) for name in job.input_data_config},
        "input_config_dir": str(base / "input" / "config"),
        "input_dir": str(base / "input"),
        "model_dir": str(base / "model"),
        "output_data_dir": str(base / "output" / "data"),
        "output_dir": str(base / "output"),
        "output_intermediate_dir": str(base / "output" / "intermediate"),
    }


def _cluster(job: ScriptJob) -> dict[str, Any]:
    config = job.resource_config
    groups = {group["instance_group_name"]: group for group in config["instance_groups"]}
    hosts: Sequence[str] = config["hosts"]
    distributing = _distributing_groups(job)
    return {
        "current_host": config["current_host"],
        "current_instance_group": config["current_group_name"],
        "current_instance_group_hosts": groups[config["current_group_name"]]["hosts"],
        "current_instance_type": config["current_instance_type"],
        "distribution_hosts": [host for name in groups if name in distributing for host in groups[name]["hosts"]],
        "distribution_instance_groups": distributing,
        "hosts": hosts,
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_master": config["current_host"] == hosts[0],
        "master_hostname": hosts[0],
        "network_interface_name": config["network_interface_name"],
        "num_cpus": job.machine.cpus,
        "num_gpus": job.machine.gpus,
        "num_neurons": job.machine.neurons,
        "resource_config": config,
        "topology": [],
    }


def _distributing_groups(job: ScriptJob) -> list[str]:
    """Of which groups the toolkit distributes training to, which it does with parameters of other images, too."""
    given = job.framework_parameters
    return list(given.get(_GROUPS, [job.resource_config["current_group_name"]] if given.get(_ENABLED) else []))


def _program(job: ScriptJob) -> dict[str, Any]:
    return {
        "additional_framework_parameters": job.framework_parameters,
        "framework_module": job.framework_module,
        "hyperparameters": job.for_script,
        "input_data_config": job.input_data_config,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": job.name,
        "log_level": job.decoded.get("sagemaker_container_log_level", _LOG_LEVEL_INFO),
        "module_dir": job.submit_directory or str(job.base / "code"),
        "module_name": module_name(job.entry_point),
        "user_entry_point": job.entry_point,
    }


def _is_for_container(key: str) -> bool:
    return key in _HANDLED or key.startswith(_FOR_THE_CONTAINER)


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
