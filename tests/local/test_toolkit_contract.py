"""A script's environment, variable by variable, against that of AWS's own sagemaker-training toolkit.

The toolkit has an environment of its own (.venvs/toolkits).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from localaws.sagemaker.containers import script_mode
from localaws.sagemaker.containers.script_mode import MachineFacts, ScriptJob
from localaws.sagemaker.jobs.training_request import input_data_config, resource_config

HOME = Path(__file__).parents[2] / ".venvs" / "toolkits"
ASK = """
import json
from sagemaker_training import environment
found = environment.Environment()
print("ANSWER" + json.dumps({"variables": found.to_env_vars(), "arguments": found.to_cmd_args()}))
"""
SOURCE = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://bucket/key/sourcedir.tar.gz"'}


@pytest.fixture(scope="session")
def toolkit() -> Path:
    """The Python that has the toolkit."""
    if not (HOME / "stamp").exists():
        pytest.skip("AWS's toolkits aren't there; `make test` makes them (.venvs/toolkits)")
    return HOME / "bin" / "python"


def channels(*names: str) -> list[dict[str, object]]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}
    return [{"ChannelName": name, "DataSource": source} for name in names]


@pytest.mark.parametrize(
    ("hyperparameters", "channel_names", "framework_module"),
    [
        ({}, [], None),
        (
            {"n-estimators": "100", "c": "0.5", "criterion": '"gini"', "plain": "text", "flag": "true", "none": "null"},
            ["train"],
            "sagemaker_sklearn_container.training:main",
        ),
        (
            {"list": "[1, 2]", "map": '{"b": 1, "a": {"x": 2}}', "empty": '""', "quoted": '"5"', "ünï": "ø"},
            ["train", "validation", "My.Channel_2"],
            "sagemaker_pytorch_container.training:main",
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
        ),
    ],
    ids=["nothing", "sdk", "odd values", "container settings"],
)  # fmt: skip
def test_every_variable_and_argument_is_the_toolkits(
    toolkit: Path,
    tmp_path: Path,
    hyperparameters: dict[str, str],
    channel_names: list[str],
    framework_module: str | None,
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
        resource_config=resource_config("ml.m5.large"),
        machine=MachineFacts(cpus=os.cpu_count() or 1),
        framework_module=framework_module,
    )
    theirs = ask(toolkit, job)
    ours = script_mode.variables(job)
    assert sorted(ours) == sorted(theirs["variables"])
    for name, value in theirs["variables"].items():
        assert _decoded(ours[name]) == _decoded(value), name
    assert script_mode.user_args(job.for_script) == theirs["arguments"]


def ask(toolkit: Path, job: ScriptJob) -> dict[str, dict[str, str]]:
    """The toolkit's variables and arguments, made from a job's configuration files."""
    config = job.base / "input" / "config"
    config.mkdir(parents=True)
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
        [str(toolkit), "-c", ASK], env=environment, capture_output=True, text=True, check=True, cwd=job.base
    )
    line = next(line for line in asked.stdout.splitlines() if line.startswith("ANSWER"))
    answer: dict[str, dict[str, str]] = json.loads(line.removeprefix("ANSWER"))
    return answer


def _decoded(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
