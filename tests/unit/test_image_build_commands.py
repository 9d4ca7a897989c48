"""The commands of an image build as a shell runs them, with programs in the place of aws, docker and curl that keep how
they were called and answer as told."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "infra" / "constructs"
OWN = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
SAGEMAKERS = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
DIGEST = f"sha256:{'5' * 64}"
THERE = f"{DIGEST}\tapplication/vnd.docker.distribution.manifest.v2+json\n"
COUNTS = "imageScanFindings.findingSeverityCounts"
MISSING = "An error occurred (ImageNotFoundException) when calling the DescribeImages operation: no such image"
URL = "https://console/builds/p:1234"

# Answers by a file of Python: a list of [a part of the command line, standard output, standard error, exit status], of
# which the first that fits is taken away, but for the last of a kind.
PROGRAM = """#!{python}
import json, os, sys
home = {home!r}
name, called = os.path.basename(sys.argv[0]), " ".join(sys.argv[1:])
body = sys.stdin.read() if "stdin" in called or "@-" in called else ""
with open(home + "/called", "a") as log:
    log.write(json.dumps([name + " " + called, body]) + "\\n")
answers = json.load(open(home + "/answers"))
for number, (part, out, error, status) in enumerate(answers):
    if part in name + " " + called:
        if [each[0] for each in answers].count(part) > 1:
            answers.pop(number)
            json.dump(answers, open(home + "/answers", "w"))
        sys.stdout.write(out)
        sys.stderr.write(error)
        sys.exit(status)
"""


@dataclass
class Build:
    """One build's machine."""

    home: Path
    answers: list[tuple[str, str, str, int]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def runs(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        (self.home / "answers").write_text(json.dumps(self.answers))
        own = {
            "PATH": f"{self.home}/bin:/usr/bin:/bin",
            "TMPDIR": str(self.home),
            "CODEBUILD_BUILD_ID": "project:1234",
            "CODEBUILD_BUILD_URL": URL,
            "REPOSITORY": "images",
            "URI": f"{OWN}/images",
            "TAG": "t1",
            "DOCKERFILE": "docker/Dockerfile",
            "REGISTRIES": OWN,
            "FAILING": "none",
            "STACK_ID": "arn:stack",
            "REQUEST_ID": "r1",
            "LOGICAL_ID": "Built",
            "RESPONSE_URL": "https://answer",
        }
        text = (SCRIPTS / script).read_text()
        command = f"(\n{text.replace('scan_tries=120', 'scan_tries=3')})"
        environment = {**own, **self.variables, **more}
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)

    def build(self) -> subprocess.CompletedProcess[str]:
        return self.runs("image_build.sh")

    def answer(self, *, succeeding: bool) -> dict[str, Any]:
        """What CloudFormation is told."""
        assert self.runs("image_answer.sh", CODEBUILD_BUILD_SUCCEEDING=str(int(succeeding))).returncode == 0
        (document,) = [body for line, body in self._calls() if line.startswith("curl")]
        found: dict[str, Any] = json.loads(document)
        return found

    @property
    def called(self) -> list[str]:
        return [line for line, _ in self._calls()]

    def _calls(self) -> list[list[str]]:
        log = self.home / "called"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Build:
    (tmp_path / "bin").mkdir()
    for name in ("aws", "docker", "curl", "sleep"):
        program = tmp_path / "bin" / name
        program.write_text(PROGRAM.format(python="/usr/bin/env python3", home=str(tmp_path)))
        program.chmod(0o755)
    return Build(tmp_path)


def pushed(*scan: tuple[str, str, str, int]) -> list[tuple[str, str, str, int]]:
    """An image that isn't there and is, once it is pushed; its scan."""
    return [
        ("describe-images", "", MISSING, 255),
        ("describe-images", THERE, "", 0),
        ("get-login-password", "secret\n", "", 0),
        *scan,
    ]


def scanned(status: str, counts: str = "None", why: str = "None") -> list[tuple[str, str, str, int]]:
    return [
        ("imageScanStatus.status", status, "", 0),
        ("imageScanStatus.description", why, "", 0),
        (COUNTS, counts, "", 0),
    ]


CLEAN = scanned("COMPLETE", "None\tNone\t3\tNone\t1\tNone")


def test_an_image_is_built_pushed_and_named_by_its_digest(machine: Build) -> None:
    machine.answers = pushed(*CLEAN)
    ended = machine.build()
    assert ended.returncode == 0, ended.stdout
    assert [line for line in machine.called if line.startswith("docker")] == [
        f"docker login --username AWS --password-stdin {OWN}",
        f"docker build --tag {OWN}/images:t1 --file docker/Dockerfile .",
        f"docker push {OWN}/images:t1",
    ]
    assert "findings: MEDIUM 3" in ended.stdout
    assert "findings: CRITICAL 0" in ended.stdout
    assert "secret" not in ended.stdout
    answer = machine.answer(succeeding=True)
    assert answer == {
        "Status": "SUCCESS",
        "Reason": f"The image is there; its log: {URL}",
        "Data": {"Digest": DIGEST},
        "PhysicalResourceId": "images",
        "StackId": "arn:stack",
        "RequestId": "r1",
        "LogicalResourceId": "Built",
    }


def test_each_registry_is_asked_for_its_password_in_its_own_region(machine: Build) -> None:
    machine.answers = pushed(*CLEAN)
    machine.variables = {"REGISTRIES": f"{OWN} {SAGEMAKERS} public.ecr.aws"}
    assert machine.build().returncode == 0
    assert [line for line in machine.called if "login" in line] == [
        "aws ecr get-login-password --region eu-west-1",
        f"docker login --username AWS --password-stdin {OWN}",
        "aws ecr get-login-password --region us-west-2",
        f"docker login --username AWS --password-stdin {SAGEMAKERS}",
        "aws ecr-public get-login-password --region us-east-1",
        "docker login --username AWS --password-stdin public.ecr.aws",
    ]


def test_an_image_whose_tag_is_there_is_not_built_again(machine: Build) -> None:
    """As by a rollback to earlier code; the scan that it has is looked at all the same."""
    machine.answers = [("describe-images", THERE, "", 0), *CLEAN]
    assert machine.build().returncode == 0
    assert not [line for line in machine.called if line.startswith("docker")]
    assert machine.answer(succeeding=True)["Data"] == {"Digest": DIGEST}


def test_a_scan_is_waited_for(machine: Build) -> None:
    not_yet = "An error occurred (ScanNotFoundException) when calling the DescribeImageScanFindings operation: none"
    machine.answers = pushed(
        ("imageScanStatus.status", "", not_yet, 254), ("imageScanStatus.status", "IN_PROGRESS\n", "", 0), *CLEAN
    )
    assert machine.build().returncode == 0
    assert machine.called.count("sleep 5") == 2
    assert "\nscan_tries=120\n" in (SCRIPTS / "image_build.sh").read_text(), "or ten minutes, which no test waits"


FINDINGS: dict[str, tuple[list[tuple[str, str, str, int]], str, str | None]] = {
    "of the severity": (
        scanned("COMPLETE", "2\t5\tNone\tNone\tNone\tNone"),
        "CRITICAL HIGH",
        "the scan has 7 findings of the severities CRITICAL HIGH, which fail a build in this environment",
    ),
    "of a scan that goes on": (scanned("ACTIVE", "1\t0\t0\t0\t0\t0"), "CRITICAL", "the scan has 1 findings of the"),
    "below the severity": (scanned("COMPLETE", "None\t5\t9\t9\t9\t9"), "CRITICAL", None),
    "none, whatever they are": (scanned("COMPLETE", "9\t9\t9\t9\t9\t9"), "none", None),
    "none at all": (scanned("COMPLETE", "None"), "CRITICAL HIGH MEDIUM LOW INFORMATIONAL", None),
    "of an image that ECR can't scan": (scanned("UNSUPPORTED_IMAGE", why="no such OS"), "CRITICAL", None),
    "the same, as ECR said it before": (
        scanned("FAILED", why="UnsupportedImageError: The operating system and/or package manager are not supported."),
        "CRITICAL",
        None,
    ),
    "of a scan that failed": (scanned("FAILED", why="trouble"), "CRITICAL", "has no findings to tell: FAILED trouble"),
    "of a scan that failed, unasked": (scanned("FAILED", why="trouble"), "none", None),
    "of a scan that isn't done": (scanned("IN_PROGRESS"), "HIGH", "has no findings to tell: IN_PROGRESS"),
    "that can't be read": (
        [("imageScanStatus.status", "COMPLETE", "", 0), (COUNTS, "", "AccessDenied: no", 254)],
        "CRITICAL",
        "AccessDenied: no",
    ),
    "of a scan that may not be seen": ([("imageScanStatus", "", "AccessDenied: no", 254)], "none", "AccessDenied: no"),
}


@pytest.mark.fidelity(
    "Containers",
    "The scan of an image whose system ECR can't scan ends UNSUPPORTED_IMAGE, or FAILED with UnsupportedImageError.",
    "ECR API reference, ImageScanStatus; ECR user guide, Troubleshooting image scanning",
)
@pytest.mark.parametrize("what", FINDINGS)
def test_findings_fail_a_build_where_the_environment_says_so(machine: Build, what: str) -> None:
    scan, failing, wrong = FINDINGS[what]
    machine.answers = pushed(*scan)
    machine.variables = {"FAILING": failing}
    ended = machine.build()
    assert (ended.returncode == 0) == (wrong is None), ended.stdout
    if wrong:
        reason = machine.answer(succeeding=False)["Reason"]
        assert reason.startswith("The image build: scan failed: ")
        assert wrong in reason


BUILDKIT = """#1 [internal] load build definition from Dockerfile
#5 [2/2] RUN pip install "nonesuch"==1
#5 1.2 ERROR: No matching distribution found for nonesuch==1
#5 ERROR: process "/bin/sh -c pip install" did not complete successfully: exit code: 1
------
 > [2/2] RUN pip install "nonesuch"==1:
1.2 ERROR: No matching distribution found for nonesuch==1
------
Dockerfile:2
--------------------
   1 |     FROM python:3.12
   2 | >>> RUN pip install "nonesuch"==1
--------------------
ERROR: failed to solve: process "/bin/sh -c pip install" did not complete successfully: exit code: 1
"""
BUILDAH = """STEP 1/2: FROM scratch
STEP 2/2: RUN make
make: *** No rule to make target "all". \\ \u00fc Stop.
Error: building at STEP "RUN make": exit status 2
"""
FAILURES: dict[str, tuple[list[tuple[str, str, str, int]], str]] = {
    "a step of BuildKit's": (
        pushed(("docker build", "", BUILDKIT, 1)),
        "docker build failed: > [2/2] RUN pip install 'nonesuch'==1: 1.2 ERROR: No matching distribution found for "
        "nonesuch==1 ERROR: failed to solve: process '/bin/sh -c pip install' did not complete successfully: exit "
        "code: 1; its log: ",
    ),
    "a step of another builder's": (
        pushed(("docker build", BUILDAH, "", 125)),
        "docker build failed: STEP 1/2: FROM scratch STEP 2/2: RUN make make: *** No rule to make target 'all'. / "
        "Stop. Error: building at STEP 'RUN make': exit status 2; its log: ",
    ),
    "no password": (
        [("get-login-password", "", "AccessDenied: not you", 254), ("describe-images", "", MISSING, 254)],
        f"login to {OWN} failed: AccessDenied: not you; its log: ",
    ),
    "no login": (pushed(("docker login", "", "unauthorized", 1)), f"login to {OWN} failed: unauthorized; its log: "),
    "no push": (
        pushed(("docker push", "", "denied: tag is immutable", 1)),
        "docker push failed: denied: tag is immutable",
    ),
    "a manifest that SageMaker takes for no model": (
        [("describe-images", THERE.replace("docker.distribution", "oci.image"), "", 0)],
        f"looking for the image t1 failed: t1 is there {OWN}/images@{DIGEST} its manifest is "
        "application/vnd.oci.image.manifest.v2+json, and SageMaker takes none of OCI's for a model; its log: ",
    ),
    "no look": (
        [("describe-images", "", "An error occurred (AccessDeniedException): not you", 254)],
        "looking for the image t1 failed: An error occurred (AccessDeniedException): not you; its log: ",
    ),
}


@pytest.mark.fidelity(
    "Models",
    "SageMaker makes no model of an image whose manifest is of an OCI media type.",
    "github.com/aws/amazon-sagemaker-feedback, issue 180; github.com/mlflow/mlflow, issue 13834",
)
@pytest.mark.parametrize("what", FAILURES)
def test_a_failed_build_says_why(machine: Build, what: str) -> None:
    machine.answers, why = FAILURES[what]
    machine.answers += CLEAN
    assert machine.build().returncode != 0
    answer = machine.answer(succeeding=False)
    assert answer["Status"] == "FAILED"
    assert f"The image build: {why}" in answer["Reason"]
    assert answer["Reason"].endswith(f"its log: {URL}")
    assert answer["Data"] == {}


def test_a_long_reason_is_its_end(machine: Build) -> None:
    machine.answers = pushed(("docker build", '"\\\n' * 3000 + "the failing command's own words\n", "", 1))
    assert machine.build().returncode == 1
    reason = machine.answer(succeeding=False)["Reason"]
    assert "the failing command's own words" in reason
    assert len(json.dumps(reason)) <= 1024


def test_a_build_that_never_began_is_told_too(machine: Build) -> None:
    answer = machine.answer(succeeding=False)
    assert (answer["Status"], answer["RequestId"]) == ("FAILED", "r1")


def test_two_builds_on_one_machine_do_not_meet(machine: Build, tmp_path: Path) -> None:
    machine.answers = pushed(*CLEAN)
    assert machine.build().returncode == 0
    assert (tmp_path / "image-build-1234" / "digest").read_text() == f"{DIGEST}\n"
    machine.answer(succeeding=True)
    assert not (tmp_path / "image-build-1234").exists()
