"""The embedded CodeBuild does what a project's buildspec says, as its role, and ends whatever it has begun."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builds_kit import (
    ACCOUNT,
    HOST,
    LOGGING,
    Builder,
    environment,
    make_builder,
    spec,
)
from refusals import refusal
from resources import allow, assumed, first_message, make_role, open_queue, unique
from running_aws import AwsFactory
from waiting import until

from localaws.builds import machine, records
from localaws.builds.docker_command import Registry
from localaws.builds.run import Run
from localaws.sagemaker.core.aws_platform import Credentials

pytestmark = pytest.mark.skipif(
    machine.missing(privileged=False) is not None, reason=machine.missing(privileged=False) or ""
)


@pytest.fixture(scope="module")
def builder(aws: Any) -> Builder:
    return make_builder(aws)


# ------------------------------------------------------------------------------------------------------ a build's ways


@pytest.mark.fidelity(
    "Containers",
    "A build's phases come in order, and its commands share variables and folder; POST_BUILD comes after a BUILD that "
    "has failed, nothing after an earlier phase that has; `finally` comes in any case, on-failure: CONTINUE goes on.",
    "CodeBuild User Guide: Build specification reference (phases/finally, on-failure); Build phase transitions",
)
def test_phases_follow_each_other_as_codebuild_has_it(builder: Builder) -> None:
    failed = builder.ran(
        "echo build sees $FOO in $(pwd)",
        "false",
        "echo never",
        files={"folder/file": "x"},
        pre_build={"commands": ["FOO='a b'; cd folder"], "finally": ["echo at last $CODEBUILD_BUILD_SUCCEEDING"]},
        post_build=["echo after $CODEBUILD_BUILD_SUCCEEDING", "exit 0", "ls $CODEBUILD_SRC_DIR"],
    )
    assert failed.status == "FAILED"
    assert failed.phases == {
        "SUBMITTED": "SUCCEEDED",
        "QUEUED": "SUCCEEDED",
        "PROVISIONING": "SUCCEEDED",
        "DOWNLOAD_SOURCE": "SUCCEEDED",
        "PRE_BUILD": "SUCCEEDED",
        "BUILD": "FAILED",
        "POST_BUILD": "SUCCEEDED",
        "UPLOAD_ARTIFACTS": "SUCCEEDED",
        "FINALIZING": "SUCCEEDED",
        "COMPLETED": "",
    }
    told = "Error while executing command: false. Reason: exit status 1"
    assert failed.context("BUILD") == ("COMMAND_EXECUTION_ERROR", told)
    said = [line for line in failed.log if not line.startswith("[Container]")]
    assert said == ["at last 1", "build sees a b in /codebuild/output/src/folder", "after 0", "folder"]

    ended = builder.ran("echo never", pre_build=["exit 3"], post_build=["echo never"])
    assert (ended.status, ended.phases.get("BUILD"), "never\n" in ended.text) == ("FAILED", None, False)
    assert ended.context("PRE_BUILD")[1].endswith("exit 3. Reason: exit status 3")
    goes_on = {"commands": ["false"], "on-failure": "CONTINUE"}
    assert "here" in builder.ran("echo here", pre_build=goes_on).log


@pytest.mark.fidelity(
    "Containers",
    "A build has its role's credentials, its region and CodeBuild's variables; StartBuild's variables go before "
    "the project's, those before the buildspec's; exported variables are in its record.",
    "CodeBuild User Guide: Environment variables in build environments; Build specification reference "
    "(env/exported-variables)",
)
def test_a_build_s_environment(aws: Any, builder: Builder) -> None:
    buildspec = json.loads(
        spec("aws sts get-caller-identity --query Arn", "echo $ONE $TWO $THREE", "env | sort", "WHOLE=$ONE$TWO")
    )
    buildspec["env"] = {"variables": {"ONE": "s", "TWO": "s", "THREE": "s"}, "exported-variables": ["WHOLE"]}
    name = builder.project(
        source={"type": "NO_SOURCE", "buildspec": json.dumps(buildspec)},
        environment=environment(ONE="p", TWO="p"),
    )
    ended = builder.built(name, environmentVariablesOverride=[{"name": "ONE", "value": "b"}])
    assert ended.status == "SUCCEEDED", ended.text
    session = f"AWSCodeBuild-{ended.build['id'].partition(':')[2]}"
    role = builder.role.rpartition("/")[2]
    assert f'"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"' in ended.log
    assert "b p s" in ended.log
    assert ended.build["exportedEnvironmentVariables"] == [{"name": "WHOLE", "value": "bp"}]
    told = dict(line.split("=", 1) for line in ended.log if "=" in line)
    assert told["CODEBUILD_BUILD_ID"] == ended.build["id"]
    assert told["AWS_ENDPOINT_URL"] == aws.server.endpoint_url
    assert told["AWS_DEFAULT_REGION"] == "us-east-1"
    assert aws.server.secret_access_key not in ended.text


def test_a_build_sees_neither_a_home_nor_this_aws_s_state(aws: Any, builder: Builder) -> None:
    tried = [
        aws.state,
        aws.state / "journal.sqlite",
        Path.home() / ".ssh",
        Path("/etc/shadow"),
        Path("/proc/1/root/var"),
    ]
    ended = builder.ran(*(f"! ls {path} 2>/dev/null" for path in tried), "id -u", "! touch /usr/x", "curl --version")
    assert ended.status == "SUCCEEDED", ended.text


def test_a_project_that_is_not_privileged_has_no_docker(builder: Builder) -> None:
    name = builder.project(
        environment=environment(privileged=False),
        source={"type": "NO_SOURCE", "buildspec": spec("docker version")},
    )
    ended = builder.built(name)
    assert ended.status == "FAILED"
    assert "Cannot connect to the Docker daemon" in ended.text and "privilegedMode" in ended.text


@pytest.mark.fidelity(
    "EventBridge",
    "A build's start and end are events of aws.codebuild, CodeBuild Build State Change: its status, project and ARN.",
    "CodeBuild User Guide: Build notifications input format reference",
)
@pytest.mark.fidelity(
    "Containers",
    "StopBuild ends what a build runs; the build and its phase are STOPPED.",
    "CodeBuild API reference: StopBuild, Build.buildStatus",
)
def test_a_build_that_is_stopped_ends_with_all_it_runs(aws: Any, builder: Builder) -> None:
    name = builder.project(source={"type": "NO_SOURCE", "buildspec": spec("sleep 3600 & echo begun", "sleep 3601")})
    url, arn = open_queue(aws, "events.amazonaws.com")
    rule, events = unique("rule"), aws.client("events")
    pattern = {"source": ["aws.codebuild"], "detail": {"build-status": ["STOPPED"], "project-name": [name]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    codebuild = aws.client("codebuild")
    build = codebuild.start_build(projectName=name)["build"]
    assert (build["buildStatus"], build["currentPhase"]) == ("IN_PROGRESS", "SUBMITTED")
    until(lambda: "begun" in builder.log(build))
    assert codebuild.list_builds_for_project(projectName=name)["ids"] == [build["id"]]
    codebuild.stop_build(id=build["id"])
    ended = builder.ended(build["id"])
    assert (ended.status, ended.phases["BUILD"]) == ("STOPPED", "STOPPED")
    until(lambda: not running(b"sleep\x003601\x00"))
    event = first_message(aws, url)
    assert event["detail-type"] == "CodeBuild Build State Change"
    assert event["detail"]["build-id"] == build["arn"]
    assert event["detail"]["current-phase"] == "COMPLETED"


def running(command: bytes) -> list[Path]:
    """The processes of this machine that run a command."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [process] if (process / "cmdline").read_bytes() == command else []
    return found


@pytest.mark.fidelity(
    "S3",
    "A source is fetched as the project's role; a version that is named needs s3:GetObjectVersion, and what can't be "
    "had fails DOWNLOAD_SOURCE with S3's error for primary source and source version.",
    "CodeBuild User Guide: Allow CodeBuild to interact with other AWS services; "
    "awslabs/aws-refarch-cross-account-pipeline #5: 'AccessDenied: Access Denied status code: 403 … for primary source "
    "and source version arn:aws:s3:::…'",
)
def test_a_source_is_fetched_as_the_project_s_role(aws: Any, builder: Builder) -> None:
    s3 = aws.client("s3")
    source = builder.source({"buildspec.yml": spec("echo of the source")})
    name = builder.project(source=source)
    assert "of the source" in builder.built(name).log
    key = source["location"].partition("/")[2]
    s3.put_bucket_versioning(Bucket=builder.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(
        Bucket=builder.bucket, Key=key, Body=s3.get_object(Bucket=builder.bucket, Key=key)["Body"].read()
    )
    s3.put_object(Bucket=builder.bucket, Key=key, Body=b"no archive")
    assert builder.built(name, sourceVersion=version["VersionId"]).status == "SUCCEEDED"

    where = f"for primary source and source version arn:aws:s3:::{builder.bucket}"
    broken = builder.built(name)
    assert broken.context("DOWNLOAD_SOURCE") == ("CLIENT_ERROR", f"zip: not a valid zip file {where}/{key}")
    gone = builder.built(name, sourceLocationOverride=f"{builder.bucket}/gone.zip")
    told = "NoSuchKey: The specified key does not exist. status code: 404"
    assert gone.context("DOWNLOAD_SOURCE") == ("CLIENT_ERROR", f"{told} {where}/gone.zip")
    reads = allow("s3:GetObject", resource=f"arn:aws:s3:::{builder.bucket}/*")
    role = make_role(aws, "codebuild.amazonaws.com", allow(*LOGGING), reads)
    denied = builder.built(name, serviceRoleOverride=role, sourceVersion=version["VersionId"])
    code, message = denied.context("DOWNLOAD_SOURCE")
    assert code == "CLIENT_ERROR" and message.startswith("AccessDenied: ") and "status code: 403" in message


@pytest.mark.fidelity(
    "IAM",
    "Builds are asked about as their projects: StartBuild, StopBuild, BatchGetBuilds, and each of several builds.",
    "Service Authorization Reference: Actions, resources, and condition keys for AWS CodeBuild",
)
def test_builds_are_asked_about_as_their_projects(aws: Any, builder: Builder) -> None:
    own, other = (builder.built(builder.project()).build for _ in range(2))
    project = f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/{own['projectName']}"
    role = make_role(aws, ACCOUNT, allow("codebuild:StartBuild", "codebuild:BatchGetBuilds", resource=project))
    client = aws.client("codebuild", assumed(aws, role))
    assert client.batch_get_builds(ids=[own["id"], own["arn"]])["builds"][0]["id"] == own["id"]
    assert client.start_build(projectName=own["projectName"])["build"]["projectName"] == own["projectName"]
    for ids in ([other["id"]], [own["id"], other["id"]]):
        code, message = refusal(client.batch_get_builds, ids=ids)
        assert code == "AccessDeniedException" and message.count(f"project/{other['projectName']} ") == 1
    assert refusal(client.start_build, projectName=other["projectName"])[0] == "AccessDeniedException"
    assert refusal(client.stop_build, id=own["id"])[0] == "AccessDeniedException"


# What a project or a build can't be, and what is said of it.
BAD_PROJECTS = (
    ({"source": {"type": "GITHUB", "location": "x"}}, "source/type is GITHUB; here it can be S3, NO_SOURCE"),
    ({"source": {"type": "S3"}}, "source/location is required"),
    ({"source": {"type": "NO_SOURCE"}}, "source/buildspec is required where source/type is NO_SOURCE"),
    ({"artifacts": {"type": "S3", "location": "x"}}, "artifacts/type is S3; here it can be NO_ARTIFACTS"),
    ({"environment": {**environment(), "type": "ARM_CONTAINER"}}, "environment/type is ARM_CONTAINER"),
    ({"environment": {**environment(), "image": "python:3"}}, "environment/image is python:3; builds run here with"),
    ({"environment": environment(CODEBUILD_X="1")}, "names that begin with CODEBUILD_ are CodeBuild's own"),
    ({"cache": {"type": "S3", "location": "x"}}, "cache/type S3 isn't done here"),
    ({"vpcConfig": {"vpcId": "vpc-1"}}, "not done here: vpcConfig of a project"),
    ({"logsConfig": {"s3Logs": {"status": "ENABLED"}}}, "logsConfig/s3Logs isn't done here"),
    ({"serviceRole": f"arn:aws:iam::{ACCOUNT}:role/none"}, "not authorized to perform: sts:AssumeRole on service role"),
    (
        {
            "environment": {
                **environment(),
                "environmentVariables": [{"name": "A", "value": "b", "type": "SECRETS_MANAGER"}],
            }
        },
        "environment/environmentVariables/A is of type SECRETS_MANAGER; here it can be PLAINTEXT",
    ),
)


@pytest.mark.parametrize(("settings", "told"), BAD_PROJECTS)
def test_what_a_project_can_not_be(builder: Builder, settings: dict[str, Any], told: str) -> None:
    code, message = refusal(builder.project, **settings)
    assert code == "InvalidInputException" and told in message


def test_what_can_not_be_started(aws: Any, builder: Builder) -> None:
    codebuild = aws.client("codebuild")
    code, message = refusal(codebuild.start_build, projectName="none")
    assert (code, f":{ACCOUNT}:project/none" in message) == ("ResourceNotFoundException", True)
    name = builder.project()
    refused = refusal(codebuild.start_build, projectName=name, debugSessionEnabled=True)
    assert refused == ("InvalidInputException", "not done here: debugSessionEnabled of StartBuild")
    first = codebuild.start_build(projectName=name, idempotencyToken="once")["build"]["id"]
    assert codebuild.start_build(projectName=name, idempotencyToken="once")["build"]["id"] == first
    untrusting = make_role(aws, "lambda.amazonaws.com")
    ended = builder.built(name, serviceRoleOverride=untrusting)
    assert ended.context("QUEUED")[1] == f"CodeBuild is not authorized to perform: sts:AssumeRole on {untrusting}"
    wrong = builder.built(name, buildspecOverride='{"version": 0.2, "phases": {"biuld": {}}}')
    assert wrong.context("DOWNLOAD_SOURCE")[0] == "YAML_FILE_ERROR"
    assert "phases has biuld; what is done here is install" in wrong.context("DOWNLOAD_SOURCE")[1]


# ----------------------------------------------------------------------------------------------------- without a server


class Around:
    """A `Surroundings` without an AWS, which keeps what is told."""

    account, region, endpoint_url = ACCOUNT, "us-east-1", "http://127.0.0.1:1"
    registry = Registry(HOST, "127.0.0.1:1")
    private_dirs = (Path.home(),)

    def __init__(self, folder: Path) -> None:
        self.folder = self.image_dir = folder
        self.lines: list[str] = []
        self.events: list[str] = []

    def is_token(self, user: str, password: str) -> bool:  # noqa: ARG002
        return False

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:  # noqa: ARG002
        return Credentials("key", "secret", "token", datetime.now(UTC))

    def telemetry_of(self, role_arn: str, session_name: str) -> Any:  # noqa: ARG002
        return self

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:  # noqa: ARG002
        self.lines += [line for _, line in events]

    def put_event(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:  # noqa: ARG002
        self.events.append(detail["build-status"])

    def make_aws(self, progress: Any) -> Path:  # noqa: ARG002
        return Path(sys.executable)


def ran(around: Around, *commands: str, **settings: Any) -> dict[str, Any]:
    """The record of a build in this process."""
    source = {"type": "NO_SOURCE", "buildspec": spec(*commands)}
    project = {"name": "p", "serviceRole": "role", "source": source, "environment": environment(), **settings}
    arn = f"arn:aws:codebuild:us-east-1:{ACCOUNT}:build/p:{unique('build')}"
    build = records.begun(project, arn, 1, time.time(), "me")
    Run(around, project, build, lambda: None).run()
    return build


@pytest.mark.fidelity(
    "Containers",
    "A build that takes longer than timeoutInMinutes ends as TIMED_OUT, with its phase; its event says so.",
    "CodeBuild API reference: Build.buildStatus, BuildPhase.phaseStatus",
)
def test_a_build_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    around = Around(tmp_path)
    build = ran(around, "echo begun", "sleep 3603", timeoutInMinutes=0.02)
    assert (build["buildStatus"], around.events) == ("TIMED_OUT", ["IN_PROGRESS", "TIMED_OUT"])
    [phase] = [each for each in build["phases"] if each["phaseType"] == "BUILD"]
    assert phase["phaseStatus"] == "TIMED_OUT" and "timed out" in phase["contexts"][0]["message"]
    assert "begun" in around.lines
    until(lambda: not running(b"sleep\x003603\x00"))
    assert not list((tmp_path / "running").iterdir())


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ({"buildah", "podman"}, "install buildah or podman (apt-get install buildah"),
        ({"curl"}, "install it (apt-get install"),
    ],
)
def test_a_machine_without_the_tools_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[str], told: str
) -> None:
    which = shutil.which
    monkeypatch.setattr(machine.shutil, "which", lambda program: None if program in missing else which(program))
    build = ran(Around(tmp_path), "true", environment=environment(privileged=True))
    assert build["buildStatus"] == "FAILED"
    assert (build["phases"][-2]["phaseType"], build["phases"][-1]["phaseType"]) == ("PROVISIONING", "COMPLETED")
    assert told in build["phases"][-2]["contexts"][0]["message"]


# ------------------------------------------------------------------------------------------------ stacks, and restarts


def template(bucket: str, role: str) -> str:
    resources = {
        "Images": {
            "Type": "AWS::ECR::Repository",
            "Properties": {
                "ImageTagMutability": "IMMUTABLE",
                "ImageScanningConfiguration": {"ScanOnPush": True},
                "EncryptionConfiguration": {"EncryptionType": "AES256"},
                "EmptyOnDelete": True,
            },
        },
        "Log": {"Type": "AWS::Logs::LogGroup"},
        "Project": {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Artifacts": {"Type": "NO_ARTIFACTS"},
                "ServiceRole": role,
                "TimeoutInMinutes": "55",
                "Source": {"Type": "NO_SOURCE", "BuildSpec": spec("echo of $WHO")},
                "Environment": {
                    "Type": "LINUX_CONTAINER",
                    "Image": "aws/codebuild/standard:7.0",
                    "ComputeType": "BUILD_GENERAL1_MEDIUM",
                    "PrivilegedMode": environment()["privilegedMode"],
                    "EnvironmentVariables": [{"Name": "WHO", "Value": {"Fn::GetAtt": ["Images", "RepositoryUri"]}}],
                },
                "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": {"Ref": "Log"}}},
            },
        },
    }
    outputs = {name: {"Value": {"Ref": name}} for name in resources}
    return json.dumps({"Resources": resources, "Outputs": outputs})


@pytest.mark.fidelity(
    "CloudFormation",
    "AWS::CodeBuild::Project and AWS::ECR::Repository are what their templates say: a build's variables and log group, "
    "tags that stay, scans on push.",
    "CloudFormation Template Reference: AWS::CodeBuild::Project, AWS::ECR::Repository",
)
def test_a_stack_s_project_builds(aws: Any, builder: Builder) -> None:
    stacks = aws.client("cloudformation")
    name = unique("stack")
    stacks.create_stack(StackName=name, TemplateBody=template(builder.bucket, builder.role))
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [described] = stacks.describe_stacks(StackName=name)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}
    [repository] = aws.client("ecr").describe_repositories(repositoryNames=[outputs["Images"]])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    ended = builder.built(outputs["Project"])
    assert ended.build["logs"]["groupName"] == outputs["Log"]
    assert f"of {repository['repositoryUri']}" in ended.log
    assert ended.build["timeoutInMinutes"] == 55
    stacks.delete_stack(StackName=name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert aws.client("codebuild").batch_get_projects(names=[outputs["Project"]])["projects"] == []


def test_a_build_that_a_kill_cuts_off_has_ended(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    builder = make_builder(aws)
    name = builder.project(source={"type": "NO_SOURCE", "buildspec": spec("echo begun; sleep 3602")})
    build = aws.client("codebuild").start_build(projectName=name)["build"]
    until(lambda: "begun" in builder.log(build))
    os.kill(aws.server.pid, signal.SIGKILL)
    aws = fresh_aws.start()
    ended = Builder(aws, builder.role, builder.bucket).ended(build["id"])
    assert (ended.status, ended.phases["BUILD"]) == ("FAULT", "FAULT")
    told = "The embedded AWS was stopped while the build was running."
    assert ended.context("BUILD") == ("INTERNAL_SERVICE_ERROR", told)
    assert ended.build["endTime"].timestamp() <= time.time()
    until(lambda: not running(b"sleep\x003602\x00"))
    assert not list((aws.state / "builds" / "running").glob("*"))
