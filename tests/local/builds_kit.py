"""Projects of CodeBuild for tests on the embedded AWS, and base images made of this machine's files."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from resources import allow, make_role, unique
from waiting import until

from localaws.builds import image_tool

ACCOUNT = "000000000000"
HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
LOGIN = f"aws ecr get-login-password | docker login --username AWS --password-stdin {HOST}"
# What a project's role needs ("Use Docker images in a build", CodeBuild User Guide).
PUSHING = ("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload",
           "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart", "ecr:BatchGetImage",
           "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages")  # fmt: skip
LOGGING = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")

HAS_TOOL = image_tool.here() is not None
needs_tool = pytest.mark.skipif(not HAS_TOOL, reason=image_tool.missing() or "")


@cache
def machine_files(*programs: str) -> Mapping[str, bytes]:
    """Programs of this machine with their libraries, by their places in an image's root: a base image's files."""
    files: dict[str, bytes] = {}
    for program in programs:
        found = Path(str(shutil.which(program))).resolve()
        files[f"bin/{program}"] = found.read_bytes()
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = Path(library).resolve().read_bytes()
    return files


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A source: a ZIP archive, as `cdk` makes assets, with their one time."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100755 << 16
            zipped.writestr(entry, content)
    return packed.getvalue()


def spec(*commands: str, **phases: Any) -> str:
    """A buildspec, whose build phase has these commands."""
    build = {"build": {"commands": list(commands)}} if commands else {}
    more = {name: phase if isinstance(phase, dict) else {"commands": phase} for name, phase in phases.items()}
    return json.dumps({"version": "0.2", "phases": {**build, **more}})


@dataclass(frozen=True)
class Ended:
    """A build that has ended, and its log's lines."""

    build: dict[str, Any]
    log: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.log)

    @property
    def status(self) -> str:
        return str(self.build["buildStatus"])

    @property
    def phases(self) -> dict[str, str]:
        return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in self.build["phases"]}

    def context(self, phase: str) -> tuple[str, str]:
        """What is said of a phase: its status code and message."""
        contexts = next(each for each in self.build["phases"] if each["phaseType"] == phase)["contexts"]
        return contexts[0]["statusCode"], contexts[0]["message"]


@dataclass(frozen=True)
class Builder:
    """Starts builds of projects that it makes."""

    aws: Any
    role: str
    bucket: str

    def project(self, **settings: Any) -> str:
        """A project without a source, unless its settings say otherwise; its name."""
        name = unique("project")
        made = {
            "source": {"type": "NO_SOURCE", "buildspec": spec("true")},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": environment(),
            "serviceRole": self.role,
            **settings,
        }
        self.aws.client("codebuild").create_project(name=name, **made)
        return name

    def source(self, files: Mapping[str, str | bytes], **more: str) -> dict[str, str]:
        """A source of these files."""
        key = f"{unique('source')}.zip"
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=archive(files))
        return {"type": "S3", "location": f"{self.bucket}/{key}", **more}

    def built(self, project: str, **overrides: Any) -> Ended:
        """A build of a project, when it has ended."""
        started = self.aws.client("codebuild").start_build(projectName=project, **overrides)["build"]
        return self.ended(started["id"])

    def ended(self, build_id: str) -> Ended:
        codebuild = self.aws.client("codebuild")

        def look() -> Any:
            [build] = codebuild.batch_get_builds(ids=[build_id])["builds"]
            return build if build["buildComplete"] else None

        build = until(look)
        return Ended(build, self.log(build))

    def log(self, build: dict[str, Any]) -> list[str]:
        logs, told = self.aws.client("logs"), build["logs"]
        named = {"logGroupName": told.get("groupName", "none"), "logStreamName": told.get("streamName", "none")}
        try:
            events = logs.get_log_events(**named, startFromHead=True)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def ran(self, *commands: str, files: Mapping[str, str | bytes] | None = None, **phases: Any) -> Ended:
        """A build of these commands over these files."""
        source = self.source(files) if files else {"type": "NO_SOURCE"}
        return self.built(self.project(source={**source, "buildspec": spec(*commands, **phases)}))


def environment(*, privileged: bool = HAS_TOOL, **variables: str) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in variables.items()]
    return {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "privilegedMode": privileged,
        "environmentVariables": listed,
    }


def make_builder(aws: Any, *more: Mapping[str, Any], actions: Sequence[str] = (*PUSHING, *LOGGING)) -> Builder:
    """A builder whose role may push to ECR, write logs and read its bucket."""
    bucket = unique("sources")
    aws.client("s3").create_bucket(Bucket=bucket)
    reads = allow("s3:GetObject", "s3:GetObjectVersion", resource=f"arn:aws:s3:::{bucket}/*")
    lists = allow("s3:ListBucket", resource=f"arn:aws:s3:::{bucket}")
    role = make_role(aws, "codebuild.amazonaws.com", allow(*actions), reads, lists, *map(dict, more))
    return Builder(aws, role, bucket)
