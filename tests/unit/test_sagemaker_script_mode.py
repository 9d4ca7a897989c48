"""Script mode: the variables and arguments of a training script.

tests/local/test_toolkit_contract.py compares them with those of AWS's toolkit.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.containers import script_mode
from localaws.sagemaker.containers.script_mode import EntryPointError, MachineFacts, ScriptJob
from localaws.sagemaker.jobs.training_request import resource_config

CHANNEL = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}


def job(hyperparameters: dict[str, str]) -> ScriptJob:
    return ScriptJob(
        name="digits-1",
        base=Path("/opt/ml"),
        hyperparameters={"sagemaker_program": '"train.py"', **hyperparameters},
        input_data_config={"train": CHANNEL, "extra": CHANNEL},
        resource_config=resource_config("ml.m5.large"),
        machine=MachineFacts(cpus=2),
    )


@pytest.mark.fidelity(
    "Containers",
    "Hyperparameters become SM_HP_…, SM_HPS and arguments, each as the toolkit writes it.",
    "aws/sagemaker-training-toolkit, environment.py and mapping.py: to_cmd_args",
)
def test_hyperparameters_become_variables_and_arguments() -> None:
    given = job({"n-estimators": "100", "criterion": "gini", "flag": "true", "c": "0.5", "map": '{"b": 2, "a": 1}'})
    variables = script_mode.variables(given)
    assert variables["SM_HP_N-ESTIMATORS"] == "100"
    assert variables["SM_HP_CRITERION"] == "gini"
    assert json.loads(variables["SM_HPS"]) == {
        "n-estimators": 100, "criterion": "gini", "flag": True, "c": 0.5, "map": {"a": 1, "b": 2}
    }  # fmt: skip
    assert script_mode.user_args(given.for_script) == [
        "-c", "0.5", "--criterion", "gini", "--flag", "True", "--map", "a=1,b=2", "--n-estimators", "100"
    ]  # fmt: skip
    assert json.loads(variables["SM_USER_ARGS"]) == script_mode.user_args(given.for_script)


@pytest.mark.fidelity(
    "Containers",
    "SM_MODEL_DIR, SM_OUTPUT_DATA_DIR, SM_CHANNELS and SM_CHANNEL_… name the folders.",
    "aws/sagemaker-training-toolkit, environment.py and params.py",
)
def test_paths_and_channels() -> None:
    variables = script_mode.variables(job({}))
    assert variables["SM_MODEL_DIR"] == "/opt/ml/model"
    assert variables["SM_OUTPUT_DATA_DIR"] == "/opt/ml/output/data"
    assert variables["SM_CHANNEL_TRAIN"] == "/opt/ml/input/data/train"
    assert variables["SM_CHANNELS"] == '["extra","train"]'


@pytest.mark.fidelity(
    "Containers",
    "Hyperparameters that begin with sagemaker_ are the container's and don't reach the script.",
    "aws/sagemaker-training-toolkit, environment.py: split_by_criteria",
)
def test_the_containers_own_hyperparameters_are_kept_from_the_script() -> None:
    given = job({"sagemaker_submit_directory": '"s3://b/k"', "sagemaker_custom": "3", "_tuning_objective_metric": "f1"})
    assert given.for_script == {}
    assert given.framework_parameters == {"sagemaker_custom": 3}
    assert given.submit_directory == "s3://b/k"


@pytest.mark.parametrize("name", ["", None, 5, "/bin/sh", "../train.py", "a/./b.py", "-c", "train.py; rm x", "a b.py"])
def test_an_entry_point_outside_the_source_directory_is_refused(name: Any) -> None:
    with pytest.raises(EntryPointError, match=r"train\.py"):
        script_mode.check_entry_point(name)


@pytest.mark.fidelity(
    "Containers",
    "A .py runs with python, a folder with setup.py by python -m, anything else by a shell.",
    "aws/sagemaker-training-toolkit, process.py: _create_command",
)
def test_scripts_packages_and_commands_are_started_as_the_toolkit_does(tmp_path: Path) -> None:
    assert script_mode.command(job({"a": "1"}), tmp_path) == ["python", "train.py", "-a", "1"]
    shell = script_mode.command(job({"sagemaker_program": "run.sh", "ab": "x y"}), tmp_path)
    assert shell == ["/bin/sh", "-c", './"$0" "$@"', "run.sh", "--ab", "x y"]
    (tmp_path / "setup.py").touch()
    assert script_mode.command(job({}), tmp_path) == ["python", "-m", "train"]
