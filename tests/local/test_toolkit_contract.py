"""A script's environment, variable by variable, against that of AWS's own sagemaker-training toolkit.

The toolkit has an environment of its own (.venvs/toolkits).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from image_uris import SKLEARN

from localaws.sagemaker.containers import script_mode
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.containers.script_mode import EntryPointError, MachineFacts, ScriptJob
from localaws.sagemaker.jobs.hosts import resource_config
from localaws.sagemaker.jobs.training_channels import input_data_config

HOME = Path(__file__).parents[2] / ".venvs" / "toolkits"
ASK = """
import json
from sagemaker_training import environment
found = environment.Environment()
print("ANSWER" + json.dumps({"variables": found.to_env_vars(), "arguments": found.to_cmd_args()}))
"""
START = """
import json, os, shlex, sys
from sagemaker_training import entry_point, environment, modules, process
installed = []
process.check_error = lambda command, error, *_, **__: installed.append([command, error.__name__])
found = environment.Environment()
entry_point.install(found.user_entry_point)
environment.write_env_vars({})
command = process.ProcessRunner(found.user_entry_point, found.to_cmd_args(), {}, 1)._create_command()
print("ANSWER" + json.dumps({"installed": installed, "command": command, "path": os.environ["PYTHONPATH"].split(":"),
                             "python": sys.executable, "own": sys.path[1]}))
"""
SOURCE = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://bucket/key/sourcedir.tar.gz"'}


@pytest.fixture(scope="session")
def toolkit() -> Path:
    """The Python that has the toolkit."""
    if not (HOME / "stamp").exists():
        pytest.skip("AWS's toolkits (.venvs/toolkits) come with `make test-all`")
    return HOME / "bin" / "python"


def channels(*names: str) -> list[dict[str, object]]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}
    return [{"ChannelName": name, "DataSource": source} for name in names]


@pytest.mark.fidelity(
    "Containers",
    "Every SM_ variable and argument of a script is the one that AWS's toolkit gives.",
    "aws/sagemaker-training-toolkit itself, run beside",
)
@pytest.mark.parametrize(
    ("hyperparameters", "channel_names", "framework_module", "hosts"),
    [
        ({}, [], None, 1),
        (
            {"n-estimators": "100", "c": "0.5", "criterion": '"gini"', "plain": "text", "flag": "true", "none": "null"},
            ["train"],
            "sagemaker_sklearn_container.training:main",
            1,
        ),
        (
            {"list": "[1, 2]", "map": '{"b": 1, "a": {"x": 2}}', "empty": '""', "quoted": '"5"', "ünï": "ø"},
            ["train", "validation", "My.Channel_2"],
            "sagemaker_pytorch_container.training:main",
            1,
        ),
        (
            {
                "sagemaker_container_log_level": "10",
                "sagemaker_region": '"eu-west-1"',
                "sagemaker_job_name": '"j"',
                "sagemaker_custom_setting": '{"a": 1}',
                "_tuning_objective_metric": '"f1"',
                "sagemaker_enable_cloudwatch_metrics": "false",
            },
            ["train"],
            None,
            1,
        ),
        ({"lr": "0.1"}, ["train"], "sagemaker_sklearn_container.training:main", 11),
        (
            {"lr": "0.1", "sagemaker_torch_distributed_enabled": "true", "sagemaker_instance_type": '"ml.m5.large"'},
            ["train"],
            "sagemaker_pytorch_container.training:main",
            2,
        ),
    ],
    ids=["nothing", "sdk", "odd values", "container settings", "several hosts", "torchrun"],
)  # fmt: skip
def test_every_variable_and_argument_is_the_toolkits(
    toolkit: Path,
    tmp_path: Path,
    hyperparameters: dict[str, str],
    channel_names: list[str],
    framework_module: str | None,
    hosts: int,
) -> None:
    request = {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "InputDataConfig": channels(*channel_names),
    }
    job = ScriptJob(
        name="digits-1",
        base=tmp_path,
        hyperparameters={**SOURCE, **hyperparameters},
        input_data_config=input_data_config(request),
        resource_config=resource_config("ml.m5.large", hosts, hosts),
        machine=MachineFacts(cpus=os.cpu_count() or 1),
        framework_module=framework_module,
    )
    theirs = ask(toolkit, job, ASK)
    ours = script_mode.variables(job)
    assert sorted(ours) == sorted(theirs["variables"])
    for name, value in theirs["variables"].items():
        assert _decoded(ours[name]) == _decoded(value), name
    assert script_mode.user_args(job.for_script) == theirs["arguments"]


@pytest.mark.fidelity(
    "Training jobs",
    "The toolkit installs, starts the entry point and sets PYTHONPATH by its kind: command, package or script.",
    "aws/sagemaker-training-toolkit 5.1.4: entry_point.install, process.ProcessRunner, environment.write_env_vars",
)
@pytest.mark.parametrize(
    ("program", "files"),
    [
        ("train.py", ()),
        ("train.py", ("requirements.txt",)),
        ("src/train.py", ("pyproject.toml", "setup.cfg")),
        ("train.py", ("setup.py",)),
        ("train.py", ("setup.py", "requirements.txt")),
        ("train.sh", ("setup.py", "requirements.txt")),
        ("train", ("requirements.txt",)),
        ("train", ("setup.py",)),
    ],
)
def test_it_is_installed_and_started_as_the_toolkit_does(
    toolkit: Path, tmp_path: Path, program: str, files: tuple[str, ...]
) -> None:
    code = tmp_path / "code"
    for name in (program, *files):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    job = a_job(tmp_path, program)
    theirs = ask(toolkit, job, START)
    python = theirs["python"]
    ours = script_mode.installation(job, code)
    words = [[python if word == "python" else word for word in ours.command], ours.error] if ours else []
    assert theirs["installed"] == ([words] if ours else [])
    # Started without the quotes (process.check_error); "--" is 5.1.4's, for names that look like options.
    *before, last = [word for word in theirs["command"] if word != "--"]
    ours_started = [python if word == "python" else word for word in script_mode.command(job, code)]
    assert [*before, last.strip('"')] == ours_started
    path = script_mode.module_path(code, Path(python))
    assert theirs["path"] == [theirs["own"] if entry == str(Path(python).parent) else entry for entry in path]


@pytest.mark.parametrize(("program", "files"), [("train.py", ()), ("train.py", ("setup.py",)), ("train.sh", ())])
def test_before_5_1_3_a_shell_gets_the_joined_words(tmp_path: Path, program: str, files: tuple[str, ...]) -> None:
    """The toolkit of the scikit-learn image, 4.8.0."""
    python = Images(HOME.parents[1] / ".ratchet" / "images").environment(SKLEARN, print).python
    for name in (program, *files):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / name).touch()
    job = a_job(tmp_path, program)
    theirs = ask(python, job, START)
    joined = " ".join(theirs["command"]).replace(theirs["python"], "python")
    assert script_mode.command(replace(job, start="shell"), tmp_path / "code") == ["/bin/sh", "-c", joined]


TORCHRUN = """
import json
from sagemaker_training import environment, errors, runner
found = environment.Environment()
chosen = runner.get(runner.TorchDistributedRunnerType, found.user_entry_point, found.to_cmd_args(), {}, {})
try:
    print("ANSWER" + json.dumps({"command": chosen._create_command()}))
except errors.ClientError as error:
    print("ANSWER" + json.dumps({"refused": str(error)}))
"""


@pytest.mark.fidelity(
    "Training jobs",
    "torchrun's words are the toolkit's; it refuses entry points that aren't Python scripts in the same words.",
    "aws/sagemaker-training-toolkit 5.1.4, run beside: torch_distributed.TorchDistributedRunner",
)
@pytest.mark.parametrize(
    ("hosts", "program", "file", "more"),
    [
        (1, "train.py", "train.py", {}),
        (2, "train.py", "train.py", {"sagemaker_mpi_num_of_processes_per_host": "4"}),
        (11, "src/train.py", "src/train.py", {}),
        (2, "train.py", "setup.py", {}),
        (2, "train.sh", "train.sh", {}),
    ],
)
def test_torchrun_is_started_as_the_toolkit_does(
    toolkit: Path, tmp_path: Path, hosts: int, program: str, file: str, more: dict[str, str]
) -> None:
    (tmp_path / "code" / file).parent.mkdir(parents=True)
    (tmp_path / "code" / file).touch()
    parameters = {"sagemaker_torch_distributed_enabled": "true", "n": "3", **more}
    before = a_job(tmp_path, program)
    job = replace(
        before,
        hyperparameters={**before.hyperparameters, **parameters},
        resource_config=resource_config("ml.m5.large", hosts, hosts),
        framework_module="sagemaker_pytorch_container.training:main",
    )
    theirs = ask(toolkit, job, TORCHRUN)
    try:
        ours = {"command": script_mode.command(job, tmp_path / "code")}
    except EntryPointError as error:
        ours = {"refused": str(error)}
    assert ours == theirs


def a_job(base: Path, program: str) -> ScriptJob:
    """A job whose arguments a shell would read in a way of its own."""
    return ScriptJob(
        name="digits-1",
        base=base,
        hyperparameters={**SOURCE, "sagemaker_program": json.dumps(program), "note": "it's a", "n": "3"},
        input_data_config={},
        resource_config=resource_config("ml.m5.large"),
        machine=MachineFacts(cpus=1),
    )


def ask(toolkit: Path, job: ScriptJob, script: str) -> Any:
    """The answer of a script in the toolkit's environment that finds a job's configuration files."""
    config = job.base / "input" / "config"
    config.mkdir(parents=True)
    (job.base / "ask.py").write_text(script)
    documents: Mapping[str, object] = {
        "hyperparameters": job.hyperparameters,
        "inputdataconfig": job.input_data_config,
        "resourceconfig": job.resource_config,
    }
    for name, document in documents.items():
        (config / f"{name}.json").write_text(json.dumps(document))
    environment = {
        "PATH": os.environ["PATH"],
        "SAGEMAKER_BASE_DIR": str(job.base),
        "TRAINING_JOB_NAME": job.name,
        "AWS_DEFAULT_REGION": "us-east-1",
        **({"SAGEMAKER_TRAINING_MODULE": job.framework_module} if job.framework_module else {}),
    }
    asked = subprocess.run(
        [str(toolkit), str(job.base / "ask.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=job.base,
    )
    line = next(line for line in asked.stdout.splitlines() if line.startswith("ANSWER"))
    return json.loads(line.removeprefix("ANSWER"))


def _decoded(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
