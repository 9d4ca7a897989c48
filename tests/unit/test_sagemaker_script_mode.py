"""Script mode: the variables and arguments of a training script.

tests/local/test_toolkit_contract.py compares them with those of AWS's toolkit.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localaws.sagemaker.containers import script_mode
from localaws.sagemaker.containers.script_mode import EntryPointError, MachineFacts, ScriptJob
from localaws.sagemaker.jobs.hosts import resource_config

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
    "Training jobs",
    "A .sh is a command, a directory with setup.py a package whatever it holds besides, a .py a script.",
    "aws/sagemaker-training-toolkit, _entry_point_type.py and process.py",
)
def test_scripts_packages_and_commands_are_started_as_the_toolkit_does(tmp_path: Path) -> None:
    assert script_mode.command(job({"a": "1"}), tmp_path) == ["python", "train.py", "-a", "1"]
    shell = script_mode.command(job({"sagemaker_program": "run.sh", "ab": "x y"}), tmp_path)
    assert shell == ["/bin/sh", "-c", "./run.sh --ab 'x y'"]
    (tmp_path / "setup.py").touch()
    assert script_mode.command(job({}), tmp_path) == ["python", "-m", "train"]
    assert script_mode.command(job({"sagemaker_program": "run.sh"}), tmp_path)[0] == "/bin/sh"
    assert script_mode.command(job({"sagemaker_program": "trainer"}), tmp_path) == ["python", "-m", "trainer"]


@pytest.mark.fidelity(
    "Training jobs",
    "setup.py is installed with its requirements, requirements.txt alone beside a .py; nothing beside a .sh.",
    "aws/sagemaker-training-toolkit, entry_point.py and modules.py, install",
)
@pytest.mark.parametrize(
    ("program", "files", "installed"),
    [
        ("train.py", [], None),
        ("train.py", ["pyproject.toml"], None),
        ("train.py", ["requirements.txt"], "InstallRequirementsError: pip install -r requirements.txt"),
        ("train.py", ["setup.py"], "InstallModuleError: pip install ."),
        ("train.py", ["setup.py", "requirements.txt"], "InstallModuleError: pip install . -r requirements.txt"),
        ("run.sh", ["setup.py", "requirements.txt"], None),
        ("run", ["requirements.txt"], None),
    ],
)
def test_what_is_installed_is_what_the_toolkit_installs(
    tmp_path: Path, program: str, files: list[str], installed: str | None
) -> None:
    for name in files:
        (tmp_path / name).touch()
    found = script_mode.installation(job({"sagemaker_program": json.dumps(program)}), tmp_path)
    assert (found and f"{found.error}: {' '.join(found.command)}") == (
        installed and installed.replace("pip", "python -m pip", 1)
    )


def test_the_command_in_the_reason_of_a_failure_has_no_shell_around_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    for start, program, told in (
        ("direct", "train.py", "python train.py --ab 1"),
        ("direct", "run.sh", "/bin/sh -c ./run.sh --ab 1"),
        ("module", "train.py", "python -m train --ab 1"),
        ("shell", "train.py", "python train.py --ab 1"),
        ("shell", "run.sh", '/bin/sh -c "./run.sh --ab 1"'),
    ):
        given = replace(job({"sagemaker_program": program, "ab": "1"}), start=start)
        assert script_mode.told(given, script_mode.command(given, tmp_path)) == told


@pytest.mark.fidelity(
    "Training jobs",
    "PyTorch's images up to 2.9 start the script by a shell, which takes the arguments apart once more.",
    "aws/sagemaker-training-toolkit issue 128 (changed in 5.1.3); aws/sagemaker-pytorch-training-toolkit, training.py",
)
def test_a_shell_takes_arguments_apart_where_errors_are_captured(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys; print(sys.argv[1:])")
    (tmp_path / "run.sh").write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n')
    (tmp_path / "run.sh").chmod(0o755)

    def run(program: str, **hyperparameters: str) -> subprocess.CompletedProcess[str]:
        given = replace(job({"sagemaker_program": program, **hyperparameters}), start="shell")
        command = [sys.executable if word == "python" else word for word in script_mode.command(given, tmp_path)]
        path = f"{Path(sys.executable).parent}:{os.defpath}"
        return subprocess.run(
            command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=20
        )

    assert (
        run("train.py", note='"a b"', layers="[64, 32]").stdout == "['--layers', '[64,', '32]', '--note', 'a', 'b']\n"
    )
    assert run("train.py", note='"$PATH;"').returncode == 0
    apostrophe = run("train.py", note='"it\'s"')
    assert apostrophe.returncode != 0
    assert "nterminated quoted string" in apostrophe.stderr or "unexpected EOF" in apostrophe.stderr
    assert run("run.sh", note='"a b"').stdout == "<--note>\n<a b>\n"
    natively = run("train.py", note='"a b"', sagemaker_toolkit_native_launcher_enabled="true")
    assert natively.stdout == "['--note', 'a b']\n"


@pytest.mark.fidelity(
    "Training jobs",
    "The XGBoost image runs every entry point as a module.",
    "aws/sagemaker-xgboost-container, training.py; sagemaker-containers, _modules.py",
)
def test_xgboost_runs_modules(tmp_path: Path) -> None:
    given = replace(job({"a": "1"}), start="module")
    assert script_mode.command(given, tmp_path) == ["python", "-m", "train", "-a", "1"]
    (tmp_path / "requirements.txt").touch()
    installed = script_mode.installation(given, tmp_path)
    assert installed is not None and list(installed.command[3:]) == ["install", "-r", "requirements.txt"]
