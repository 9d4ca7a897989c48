"""The program `train` of a framework image: what it leaves when the script fails. It runs as it does in a container."""

import subprocess
import sys
from pathlib import Path

import pytest

from localaws.sagemaker.containers import train_command
from localaws.sagemaker.containers.train_command import Install, Plan
from localaws.sagemaker.jobs.training_output import with_message


def failed(tmp_path: Path, script: str, **more: object) -> tuple[int, str]:
    """The exit code of `train`, and the reason that it leaves."""
    reason_file = tmp_path / "failure"
    plan = Plan(
        command=["python3", "-c", script],
        told="python train.py --a 5",
        reason_file=str(reason_file),
        cwd=str(tmp_path),
        **more,  # type: ignore[arg-type]
    )
    train_command.install(tmp_path / "tools", plan, Path(sys.executable))
    ended = subprocess.run([str(tmp_path / "tools" / train_command.NAME)], check=False)
    return ended.returncode, reason_file.read_text() if reason_file.exists() else ""


@pytest.mark.fidelity(
    "Training jobs",
    "The exit code of a framework image is 1 for any failure; the script's own is ExitCode in the reason, below 0 "
    "where a signal ended it, and 137 has the ExtraInfo OutOfMemory.",
    "aws/sagemaker-training-toolkit, trainer.py (DEFAULT_FAILURE_CODE), process.py (check_error), errors.py (4.8.0)",
)
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit(3)", 'ExitCode 3\nErrorMessage ""\nCommand "python train.py --a 5"'),
        ("import os; os.kill(os.getpid(), 9)", 'ExitCode -9\nErrorMessage ""\nCommand "python train.py --a 5"'),
        (
            "raise SystemExit(137)",
            'ExitCode 137\nErrorMessage ""\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"\n'
            'Command "python train.py --a 5"',
        ),
    ],
)
def test_a_failing_script_leaves_the_toolkits_reason(tmp_path: Path, script: str, reason: str) -> None:
    assert failed(tmp_path, script) == (1, f"ExecuteUserScriptError:\n{reason}")


def test_a_script_that_ends_well_leaves_none(tmp_path: Path) -> None:
    assert failed(tmp_path, "print('well')") == (0, "")


def test_a_reason_of_the_scripts_own_stays(tmp_path: Path) -> None:
    script = "open('failure', 'w').write('upside down'); raise SystemExit(42)"
    assert failed(tmp_path, script) == (1, "upside down")


def test_an_installation_that_fails_is_the_reason_and_no_script_runs(tmp_path: Path) -> None:
    says = "import sys; sys.stderr.write('ERROR: no such thing\\n'); sys.exit(2)"
    install = Install(["python3", "-c", says], "InstallRequirementsError")
    code, reason = failed(tmp_path, "open('ran', 'w')", install=install)
    assert (code, (tmp_path / "ran").exists()) == (1, False)
    assert reason.startswith('InstallRequirementsError:\nExitCode 2\nErrorMessage "ERROR: no such thing"\nCommand ')


def test_what_the_job_said_last_is_the_message_of_a_reason_without_one() -> None:
    reason = 'ExecuteUserScriptError:\nExitCode 1\nErrorMessage ""\nCommand "python train.py"'
    assert with_message(reason, "ValueError: x") == reason.replace('""', '"ValueError: x"')
    told = with_message(reason.replace("train.py", "train.py " + "--a 5 " * 300), "KeyError: " + "c" * 690)
    assert told.startswith('ExecuteUserScriptError:\nExitCode 1\nErrorMessage "KeyError: ccc')
    assert 900 < len(f"AlgorithmError: {told}, exit code: 1") <= 1024, "the command gives way"


@pytest.mark.parametrize("reason", ["upside down", 'InstallModuleError:\nExitCode 1\nErrorMessage "no"\nCommand "pip"'])
def test_other_reasons_stay_as_they_are(reason: str) -> None:
    assert with_message(reason, "ValueError: x") == reason
