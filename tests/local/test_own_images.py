"""Jobs in images of one's own: what their programs find, how they begin and end, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from image_kit import OwnImages
from job_kit import ALL_THAT_JOBS_NEED, Jobs
from running_aws import Aws

from localaws.sagemaker.containers import container

PROCESSING_LOG = "/aws/sagemaker/ProcessingJobs"
TRAIN = r"""#!/bin/sh
echo "ARGUMENTS $#"
echo "ME $$ $(id -u):$(id -g) $(id -G) in $PWD at $HOME named $(uname -n)"
echo "HYPERPARAMETERS $(cat /opt/ml/input/config/hyperparameters.json)"
echo "DATA $(cat /opt/ml/input/data/train/part-1.csv)"
echo "VARIABLES $MINE $THEIRS $TRAINING_JOB_NAME $CURRENT_HOST $PATH"
echo "OTHERS ${SM_MODEL_DIR-none} ${SAGEMAKER_BASE_DIR-none} ${PYTHONUNBUFFERED-none}"
echo "ROOT $(ls -m / | tr -d '\n')"
echo "PROCESSES $(ls -m /proc | tr -d ' \n')"
echo "HOSTS $(cat /etc/hosts | head -1 | tr '\t' ' ') $(cat /etc/hostname)"
echo "PYTHONS $(ls -d /usr/lib/python* PYTHON_OF_THIS_MACHINE 2>/dev/null)"
echo "CODE $(cat /opt/ml/code/mine.txt) beside $(ls -m /opt/ml)"
echo "ENDPOINT ${AWS_ENDPOINT_URL:+there} ${AWS_ACCESS_KEY_ID:+there}"
touch /left /etc/left && echo "WRITES $(ls /left /etc/left | tr '\n' ' ')"
echo 'a model' > /opt/ml/model/model.txt
"""
ENDS = r"""#!/bin/sh
case "$(cat /opt/ml/input/config/hyperparameters.json)" in
  *code*) echo "it went wrong"; exit 7;;
  *reason*) echo -n "because of the data" > /opt/ml/output/failure; exit 3;;
  *signal*) kill -9 $$; sleep 5 & exec sleep 5;;
esac
"""


@pytest.fixture(scope="module")
def own(aws: Aws) -> Iterator[OwnImages]:
    if container.isolation() == "none":
        pytest.skip("this kernel allows no mount namespaces, and an image of one's own needs them")
    images = OwnImages(Jobs(aws))
    yield images
    images.forget()


def line(lines: list[str], marker: str) -> str:
    return next((each.removeprefix(f"{marker} ") for each in lines if each.startswith(f"{marker} ")), "")


@pytest.fixture(scope="module")
def trained(own: OwnImages) -> tuple[dict[str, Any], list[str]]:
    """A job of an image with a `train` in its PATH, as a user sees it who makes one from AWS's pages."""
    train = TRAIN.replace("PYTHON_OF_THIS_MACHINE", str(Path(os.__file__).parent))
    image = own.push(
        "plain",
        {"opt/program/train": train, "home/app/.keep": "", "opt/ml/code/mine.txt": "the image's code"},
        Env=["PATH=/opt/program:/bin", "MINE=of the image", "THEIRS=of the image"],
        WorkingDir="/opt/program",
        Cmd=["never", "started"],
    )
    return own.train(image, HyperParameters={"depth": "3"}, Environment={"THEIRS": "of the job"})


@pytest.mark.fidelity(
    "Containers",
    "An image of one's own runs as `docker run IMAGE train` does: not CMD; PATH, ENV, WORKDIR are the image's.",
    "developer guide, How Amazon SageMaker AI Runs Your Training Image",
)
def test_an_image_s_own_train_runs_in_its_own_files(trained: tuple[dict[str, Any], list[str]], own: OwnImages) -> None:
    job, lines = trained
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    assert line(lines, "ARGUMENTS") == "0"
    assert line(lines, "ME") == "1 0:0 0 in /opt/program at /root named algo-1"
    assert json.loads(line(lines, "HYPERPARAMETERS")) == {"depth": "3"}
    assert line(lines, "DATA") == "1,1"
    variables = line(lines, "VARIABLES")
    assert variables == f"of the image of the job {job['TrainingJobName']} algo-1 /opt/program:/bin"
    assert line(lines, "OTHERS") == "none none none", "what only a framework's image or its toolkit sets"
    assert line(lines, "ENDPOINT") == "there there"
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model.tar.gz")


@pytest.mark.fidelity(
    "Containers",
    "What an image has in /opt/ml/code is there beside SageMaker's folders.",
    "developer guide, Adapting your own Docker container to work with SageMaker: COPY train.py /opt/ml/code/train.py",
)
def test_an_image_s_code_in_opt_ml_stays(trained: tuple[dict[str, Any], list[str]]) -> None:
    told = line(trained[1], "CODE")
    assert told.startswith("the image's code beside ")
    assert set(told.partition("beside ")[2].split(", ")) == {"checkpoints", "code", "input", "model", "output"}


def test_a_container_of_an_own_image_has_what_docker_gives_it_and_nothing_of_this_machine(
    trained: tuple[dict[str, Any], list[str]],
) -> None:
    _, lines = trained
    assert set(line(lines, "ROOT").split(", ")) <= {
        "bin", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "sys", "tmp", "usr",
    }  # fmt: skip
    processes = [name for name in line(lines, "PROCESSES").split(",") if name.isdigit()]
    assert processes[0] == "1"
    assert len(processes) <= 4, "the program is process 1, and what it started runs beside it"
    assert line(lines, "HOSTS") == "127.0.0.1 localhost algo-1"
    assert line(lines, "PYTHONS") == ""
    assert line(lines, "WRITES").split() == ["/etc/left", "/left"]


def test_an_image_is_unpacked_once_and_no_container_changes_it(
    trained: tuple[dict[str, Any], list[str]], own: OwnImages
) -> None:
    first, lines = trained
    assert any("Making the file system of image" in text for text in lines)
    image = first["AlgorithmSpecification"]["TrainingImage"]
    job, lines = own.train(
        image,
        AlgorithmSpecification={
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": ["echo NOW $(ls / /etc)"],
        },
    )
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    assert not any("Making the file system" in text for text in lines)
    assert "left" not in line(lines, "NOW").split()


@pytest.mark.fidelity(
    "Training jobs",
    "A container whose image has no `train` ends with 127, and its log says which file isn't found in $PATH.",
    "aws/sagemaker-python-sdk #222 and aws/amazon-sagemaker-examples #3650, logs; docker run: exit status 127",
)
def test_an_image_without_train_fails_in_dockers_words(own: OwnImages) -> None:
    job, lines = own.train(own.push("nothing", {"some/file": ""}))
    told = 'exec: "train": executable file not found in $PATH'
    assert told in lines
    assert job["FailureReason"] == f"AlgorithmError: {told}, exit code: 127"


@pytest.mark.fidelity(
    "Training jobs",
    "Exit codes, the failure file and signals of an image's own program are told as those of any container.",
    "developer guide, How Amazon SageMaker AI Signals Algorithm Success or Failure",
)
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("code", "AlgorithmError: it went wrong, exit code: 7"),
        ("reason", "AlgorithmError: because of the data, exit code: 3"),
    ],
)
def test_how_an_own_program_ends(own: OwnImages, ending: str, way: str, reason: str) -> None:
    job, lines = own.train(ending, HyperParameters={"way": way})
    assert job["FailureReason"] == reason, lines


@pytest.fixture(scope="module")
def ending(own: OwnImages) -> str:
    """An image in ENTRYPOINT's shell form, whose user is its own."""
    return own.push("ending", {"ends.sh": ENDS}, Entrypoint=["/bin/sh", "/ends.sh"])


def test_each_host_of_a_job_has_the_image_for_itself(own: OwnImages) -> None:
    """Each writes to the same path, finds the others by their names, and reads its share from a pipe of its own."""
    script = (
        "echo SHARE $CURRENT_HOST $(cat /opt/ml/input/data/shared_0); "
        "touch /mine; echo HOST $(uname -n) $(cat /etc/hostname) $CURRENT_HOST $(ls /mine); "
        "cat /etc/hosts | tr '\\t' ' '; test $CURRENT_HOST = algo-1 || test ! -e /first; touch /first"
    )
    image = own.push("hosts", {"opt/x": ""}, Entrypoint=["/bin/sh", "-c", script])
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    shared = own.jobs.channel("shared", f"s3://{own.jobs.bucket}/train/", InputMode="Pipe")
    shared["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    job, lines = own.train(image, ResourceConfig=resources, InputDataConfig=[shared])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    shares = sorted(text for text in lines if text.startswith("SHARE "))
    assert shares == ["SHARE algo-1 0,1 2,1", "SHARE algo-2 1,1"]
    told = sorted(text for text in lines if text.startswith("HOST "))
    assert told == ["HOST algo-1 algo-1 algo-1 /mine", "HOST algo-2 algo-2 algo-2 /mine"]
    assert len({text for text in lines if text.endswith((" algo-1", " algo-2")) and text.startswith("127.")}) == 2


STOPS = r"""#!/bin/sh
trap 'echo stopping; echo "so far" > /opt/ml/model/partial.txt; exit 0' TERM
echo ready
while :; do sleep 0.05; done
"""


@pytest.mark.fidelity(
    "Training jobs",
    "SIGTERM comes to process 1 of an image of one's own, which has 120 seconds to leave a model.",
    "developer guide, How Amazon SageMaker AI Runs Your Training Image: docker stop -t120",
)
def test_an_own_program_is_stopped_by_sigterm(own: OwnImages) -> None:
    request = own.training_request(own.push("stops", {"train.sh": STOPS}, Entrypoint=["/bin/sh", "/train.sh"]))
    own.jobs.sagemaker.create_training_job(**request)
    own.jobs.until_logged(request["TrainingJobName"], "ready")
    own.jobs.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    job = own.jobs.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Stopped"
    assert "stopping" in own.jobs.log_lines(request["TrainingJobName"])
    assert "ModelArtifacts" in job


PROCESSES = r"""
echo "ARGUMENTS $# $*"
echo "ME $(id -u):$(id -g) groups $(id -G) at $HOME in $PWD"
echo "JOB $PROCESSING_JOB_NAME"
touch /opt/ml/processing/output/new || echo refused
echo "INPUT $(cat /opt/ml/processing/input/data/part-2.csv)"
"""


@pytest.mark.fidelity(
    "Processing jobs",
    "Without ContainerEntrypoint the image's ENTRYPOINT runs, with its CMD or the request's arguments, as its USER.",
    "developer guide, How Amazon SageMaker Processing Runs Your Processing Container Image; sagemaker-python-sdk #4764",
)
def test_a_processing_job_runs_what_the_image_says_as_its_user(own: OwnImages) -> None:
    image = own.push(
        "processing",
        {"p.sh": PROCESSES},
        Entrypoint=["/bin/sh", "/p.sh"],
        Cmd=["of", "the image"],
        User="app",
        WorkingDir="/work",
    )
    told = []
    for arguments in ({}, {"ContainerArguments": ["--of", "the request"]}):
        request = own.jobs.processing_request("", RoleArn=own.role, AppSpecification={"ImageUri": image, **arguments})
        own.jobs.sagemaker.create_processing_job(**request)
        job = own.jobs.processed(request["ProcessingJobName"])
        told.append(own.jobs.log_lines(request["ProcessingJobName"], PROCESSING_LOG))
        assert job["ProcessingJobStatus"] == "Completed", (job.get("FailureReason"), told)
    assert [line(lines, "ARGUMENTS") for lines in told] == ["2 of the image", "2 --of the request"]
    assert line(told[0], "ME") == "1234:2345 groups 2345 50 at /home/app in /work"
    assert line(told[0], "INPUT") == "2,1"
    assert "refused" in told[0], "in AWS too, what is root's isn't for a USER of the image's"


@pytest.mark.fidelity(
    "Training jobs",
    "A repository that isn't there, and one that the role may not pull from, are refused with SageMaker's sentences.",
    "aws/amazon-sagemaker-examples #2534 and wpilibsuite/DetectCoral #37",
)
def test_what_cannot_be_pulled_is_refused_in_awss_words(own: OwnImages, ending: str) -> None:
    sagemaker, needed = (
        own.jobs.sagemaker,
        "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer",
    )

    def refused(image: str, role: str | None = None) -> str:
        with pytest.raises(ClientError) as caught:
            sagemaker.create_training_job(**own.training_request(image, role=role))
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        return str(caught.value.response["Error"]["Message"])

    missing = refused(own.uri("not/there") + ":1")
    assert missing == (
        "Cannot find repository: not/there in registry ID: 000000000000 Please check if your ECR repository exists and "
        f"role {own.role} has proper pull permissions for SageMaker: {needed}"
    )
    untagged = ending.partition("@")[0] + ":2"
    assert refused(untagged) == f"Requested image {untagged} not found."
    cannot = own.jobs.make_role(ALL_THAT_JOBS_NEED)
    assert refused(ending, cannot) == (
        f"Access denied for repository: {own.jobs.prefix}/ending in registry ID: 000000000000. Please check if your "
        f"ECR repository and image exist and role {cannot} has proper pull permissions for SageMaker: {needed}"
    )
