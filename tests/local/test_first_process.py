"""A training container's first process on the embedded AWS: what SIGTERM does to it, and what runs behind it."""

from __future__ import annotations

from typing import Any

import pytest
from image_uris import SKLEARN_1_4
from job_kit import Jobs
from running_aws import Aws

WAITS = "echo ready; for i in $(seq 15); do sleep 0.1; done; echo went on to its end"
TRAPS = "trap 'echo trapped; exit 0' TERM; echo ready; while true; do sleep 0.1; done"
# Blocks the signal and looks for it now and then. Of ContainerEntrypoint's words each is one line of 256 characters.
LOOKS = (
    "import signal as s, time; s.pthread_sigmask(s.SIG_BLOCK, [15]); print('ready', flush=True); "
    "looks = (s.sigtimedwait([15], 0) or time.sleep(0.2) for _ in range(500)); "
    "print('took', next(filter(None, looks)).si_signo)"
)
LISTENS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("told"))
print("ready", flush=True)
time.sleep(1.5)
print("went on to its end", flush=True)
"""


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


def start(jobs: Jobs, entrypoint: list[str] | None = None, program: str = "train.py", **files: str) -> str:
    """A training job's name; with a source archive, where there are files (``_`` for a dot)."""
    request = jobs.training_request("")
    request["HyperParameters"] = jobs.script_mode(jobs.source(LISTENS, **files), program) if files else {}
    algorithm: dict[str, Any] = {"TrainingImage": SKLEARN_1_4, "TrainingInputMode": "File"}
    request["AlgorithmSpecification"] = {**algorithm, **({"ContainerEntrypoint": entrypoint} if entrypoint else {})}
    jobs.sagemaker.create_training_job(**request)
    return str(request["TrainingJobName"])


def said_when_stopped(jobs: Jobs, name: str) -> list[str]:
    jobs.until_logged(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    return jobs.log_lines(name)


@pytest.mark.fidelity(
    "Training jobs",
    "A stopped job in a framework image goes on for its 120 seconds: neither a Python nor a shell entry point is told.",
    "aws/sagemaker-training-toolkit, issues 125 and 173",
)
def test_a_script_behind_aws_s_train_is_not_told(jobs: Jobs) -> None:
    for program, more in (("go.sh", {"go_sh": f"#!/bin/bash\n{WAITS}\n"}), ("train.py", {"notes_txt": ""})):
        said = said_when_stopped(jobs, start(jobs, program=program, **more))
        assert "went on to its end" in said


@pytest.mark.fidelity(
    "Containers",
    "A framework image's `train` is process 1 of its container, and the script is its child.",
    "developer guide, How Amazon SageMaker AI Runs Your Training Image: `docker run image train`",
)
def test_the_image_s_train_is_process_1(jobs: Jobs) -> None:
    script = "import os; print('below', os.getppid(), 'of', len([n for n in os.listdir('/proc') if n.isdigit()]))"
    for text in (script, f"import subprocess\npip = 'which no script that begins warm speaks of'\n{script}"):
        name = start(jobs, fit_py=text, program="fit.py")
        assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
        assert "below 1 of 2" in jobs.log_lines(name)


@pytest.mark.fidelity(
    "Containers",
    "A container's first process gets SIGTERM where it handles or blocks it; else it goes on until SIGKILL.",
    "Linux man-pages, pid_namespaces(7): the namespace's init gets only signals for which it has a handler",
)
def test_an_own_first_process_is_told_where_it_listens(jobs: Jobs) -> None:
    assert "trapped" in said_when_stopped(jobs, start(jobs, ["/bin/bash", "-c", TRAPS]))
    assert "took 15" in said_when_stopped(jobs, start(jobs, ["python3", "-c", LOOKS]))
    assert "went on to its end" in said_when_stopped(jobs, start(jobs, ["/bin/bash", "-c", WAITS]))


@pytest.mark.fidelity(
    "Training jobs",
    "ContainerEntrypoint takes the place of the image's entry point; `train` is there for it to call.",
    "developer guide, How Amazon SageMaker AI Runs Your Training Image; AlgorithmSpecification, API reference",
)
def test_an_own_first_process_may_run_the_image_s_train(jobs: Jobs) -> None:
    runs = ["/bin/sh", "-c", 'cd /; echo before; train; echo "after $? in $(pwd)"']
    script = "import os, sys; print(os.getcwd(), os.environ['SM_MODEL_DIR'], flush=True); sys.exit(3)\n"
    name = start(jobs, runs, program="fit.py", fit_py=script)
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed", "its own exit code counts"
    said = [line for line in jobs.log_lines(name) if line.startswith(("before", "after", "/opt"))]
    assert said == ["before", "/opt/ml/code /opt/ml/model", "after 1 in /"], "the toolkit's exit code for any failure"


def test_what_is_wrong_with_the_script_is_told_by_train_where_it_is_asked_for(jobs: Jobs) -> None:
    name = start(jobs, ["train"], program="absent.py", fit_py="")
    job = jobs.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "sagemaker_program 'absent.py' isn't in the source archive" in job["FailureReason"]
    request = jobs.training_request("", HyperParameters={"sagemaker_program": "/etc/fit.py"})
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["train"]
    jobs.sagemaker.create_training_job(**request)
    reason = jobs.ended(request["TrainingJobName"])["FailureReason"]
    assert "sagemaker_program '/etc/fit.py' isn't a path inside the source archive" in reason
    unasked = start(jobs, ["echo", "not asked for"], program="absent.py", fit_py="")
    assert jobs.ended(unasked)["TrainingJobStatus"] == "Completed"


@pytest.mark.fidelity(
    "Training jobs",
    "An entry point of one's own that fails is told by its exit code, as Docker has it, and by no toolkit's error.",
    "SDK 3's driver in Docker: `AlgorithmError: , exit code: 2`; Docker's reference, docker run: exit status",
)
def test_an_own_first_process_that_fails_is_told_by_its_exit_code(jobs: Jobs) -> None:
    runs = {
        "fails": ["/bin/sh", "-c", "echo no pump today; exit 9"],
        "cannot run": ["/opt/ml/input"],
        "no": ["nonesuch"],
    }
    reasons = {name: jobs.ended(start(jobs, command))["FailureReason"] for name, command in runs.items()}
    assert reasons["fails"] == "AlgorithmError: no pump today, exit code: 9"
    assert reasons["cannot run"].endswith(", exit code: 126")
    assert reasons["no"].endswith(", exit code: 127")
