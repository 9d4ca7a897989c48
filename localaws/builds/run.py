"""One build, from its start to its end, in a thread of its own.

Its phases are CodeBuild's ("View build details", build phases): SUBMITTED, QUEUED, PROVISIONING, DOWNLOAD_SOURCE, those
of the buildspec, UPLOAD_ARTIFACTS, FINALIZING, COMPLETED.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from localaws.builds import RUNNING, buildspec, image_tool, machine, records, source
from localaws.builds.buildspec import Buildspec, BuildspecError
from localaws.builds.docker_service import DockerService
from localaws.builds.source import SourceError
from localaws.builds.surroundings import CouldNotAssumeError, Surroundings
from localaws.sagemaker.containers import beneath
from localaws.sagemaker.containers.container import Container
from localaws.sagemaker.containers.images import ImageBuildError
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.core.aws_platform import Credentials
from localaws.sagemaker.core.clock import SystemClock
from localaws.sagemaker.core.s3_wire import S3Wire

_log = logging.getLogger(__name__)

Document = dict[str, Any]

_PIECE, _LONGEST_EVENT = 1 << 16, 4 << 20
_LOOK_SECONDS = 0.2
_END_SECONDS = 10.0  # between the container's being killed and its end
# Of the shell's container, and of what builds images.
_FOLDERS = ("codebuild/output", "codebuild/home", "tmp", "docker", "var/tmp", "run")
_SPEC_NAME = "buildspec.yml"
_UNKNOWN_ROLE = "CodeBuild is not authorized to perform: sts:AssumeRole on {role}"


class PhaseFailedError(Exception):
    """A phase couldn't be done. `code` is its context's status code, the text its message."""

    def __init__(self, code: str, message: str, status: str = records.FAILED) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass
class Run:
    """A build that runs. `changed` keeps its record; `ending` is the status with which it is to end soon."""

    aws: Surroundings
    project: Mapping[str, Any]
    build: Document
    changed: Callable[[], None]
    ending: str = ""

    def run(self) -> None:
        """Run it to its end, whatever happens."""
        status: str = records.FAULT
        try:
            status = self._ran()
        except PhaseFailedError as failed:
            if failed.code:
                self._say(f"Phase context status code: {failed.code} Message: {failed}")
            self._leave(failed.status, failed.code, str(failed))
            status = failed.status
        except Exception as error:  # noqa: BLE001 - the build's record tells it
            _log.exception("build %s failed", self.build["id"])
            self._leave(records.FAULT, "INTERNAL_SERVICE_ERROR", str(error))
        finally:
            beneath.remove(self.folder)
            self.log.close()
            records.end(self.build, status, time.time())
            self._tell()

    @property
    def folder(self) -> Path:
        """What the build writes to, gone with its end."""
        name: str = self.build["id"].partition(":")[2]
        return self.aws.folder / RUNNING / name

    def _ran(self) -> str:
        self._tell()
        self._enter("QUEUED")
        credentials = self._credentials()
        self._enter("PROVISIONING")
        aws = self._provisioned()
        self._enter("DOWNLOAD_SOURCE")
        archive = self._fetched(credentials)
        spec = self._buildspec(archive)
        status = self._commands(spec, archive, credentials, aws)
        self._enter("UPLOAD_ARTIFACTS")
        self._enter("FINALIZING")
        return status

    # ------------------------------------------------------------------------------------------------ before it runs

    def _credentials(self) -> Credentials:
        role, name = self.project["serviceRole"], f"AWSCodeBuild-{self.build['id'].partition(':')[2]}"
        project = self.build["arn"].replace(":build/", ":project/").rpartition(":")[0]
        try:
            return self.aws.assume_role(role, name, project)
        except CouldNotAssumeError:
            raise PhaseFailedError("CLIENT_ERROR", _UNKNOWN_ROLE.format(role=role)) from None

    @cached_property
    def log(self) -> ContainerLog:
        """The build's log, as its project's role may write it."""
        logs = self.build["logs"]["cloudWatchLogs"]
        session = f"AWSCodeBuild-{self.build['id'].partition(':')[2]}"
        telemetry = self.aws.telemetry_of(self.project["serviceRole"], session)
        if logs["status"] != "ENABLED":
            telemetry = _Nowhere()
        return ContainerLog(telemetry, SystemClock(), logs["groupName"], logs["streamName"])

    def _provisioned(self) -> Path:
        """The container's folders and programs; the interpreter of the aws command."""
        lacks = machine.missing(privileged=self._is_privileged)
        if lacks:
            raise PhaseFailedError("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", lacks)
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp").chmod(0o1777)
        try:
            aws = self.aws.make_aws(self._say)
        except ImageBuildError as error:
            raise PhaseFailedError("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", f"the aws command: {error}") from error
        machine.write_programs(self.folder / "programs", aws)
        return aws

    @property
    def _is_privileged(self) -> bool:
        return bool(self.build["environment"].get("privilegedMode"))

    def _fetched(self, credentials: Credentials) -> Path | None:
        found = self.build["source"]
        if found.get("type") != "S3":
            return None
        archive = self.folder / "codebuild" / "source.zip"
        s3 = S3Wire(self.aws.endpoint_url, self.aws.region, credentials)
        try:
            location = source.location_of(str(found.get("location", "")), self.build["sourceVersion"])
            source.fetch(s3, location, archive)
        except SourceError as error:
            raise PhaseFailedError("CLIENT_ERROR", str(error)) from error
        finally:
            s3.close()
        return archive

    def _buildspec(self, archive: Path | None) -> Buildspec:
        said = str(self.build["source"].get("buildspec") or "")
        is_text = "\n" in said or said.lstrip().startswith("{") or ": " in said
        try:
            return buildspec.parse(said if is_text else source.buildspec_of(archive, said or _SPEC_NAME))
        except (BuildspecError, SourceError) as error:
            raise PhaseFailedError("YAML_FILE_ERROR", str(error)) from error

    # --------------------------------------------------------------------------------------------------- while it runs

    def _commands(self, spec: Buildspec, archive: Path | None, credentials: Credentials, aws: Path) -> str:
        job = {
            **spec.document(),
            "source": str(machine.SOURCE),
            "scratch": str(machine.SCRATCH),
            "archive": str(machine.PLACE / archive.name) if archive else None,
        }
        (self.folder / "codebuild" / "job.json").write_text(json.dumps(job))
        with self._docker():
            environment = {**variables(self.aws, self.build, credentials), **spec.variables, **self._own_variables()}
            return self._in_container(aws, environment)

    @contextlib.contextmanager
    def _docker(self) -> Iterator[None]:
        """While the container's `docker` is answered, in a project that may use it."""
        tool = image_tool.here() if self._is_privileged else None
        if tool is None:
            yield
            return
        docker = DockerService(self.aws, self.folder, self.project["serviceRole"], tool)
        try:
            docker.open(self._say)
            yield
        finally:
            docker.close()

    def _in_container(self, aws: Path, environment: Mapping[str, str]) -> str:
        """Run the phases in a container, which has ended when this does, whatever was to be heard of it."""
        events, writing = os.pipe()
        try:
            try:
                started = machine.start_shell(self.folder, aws, self.aws.private_dirs, environment, writing)
            finally:
                os.close(writing)
            try:
                return self._followed(started, events)
            finally:
                started.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(_END_SECONDS)
        finally:
            os.close(events)

    def _own_variables(self) -> dict[str, str]:
        """The project's and StartBuild's, which go before the buildspec's ("Environment variables", order)."""
        listed = self.build["environment"].get("environmentVariables") or []
        return {each["name"]: str(each.get("value", "")) for each in listed}

    def _followed(self, started: Container, events: int) -> str:
        """Follow the container to its end: its output is the log, its events are phases."""
        deadline = time.monotonic() + 60 * self.build["timeoutInMinutes"]
        output, told = started.output.fileno(), b""
        open_ends = {output, events}
        while open_ends:
            for end in SystemClock().wait(list(open_ends), _LOOK_SECONDS):
                piece = os.read(end, _PIECE)
                if not piece:
                    open_ends.discard(end)
                elif end == output:
                    self.log.feed(piece)
                else:
                    *lines, told = (told[-_LONGEST_EVENT:] + piece).split(b"\n")
                    for line in lines:
                        self._take(json.loads(line))
            self.log.flush_if_due()
            if self.ending or time.monotonic() > deadline:
                self._end_early()
        code = started.wait()
        self._go_on()
        if code == 0:
            return records.SUCCEEDED
        if not any(phase.get("phaseStatus") == records.FAILED for phase in self.build["phases"]):
            why = f"The build's container ended with exit status {code}; its log says more."
            raise PhaseFailedError("INTERNAL_SERVICE_ERROR", why, records.FAULT)
        return records.FAILED

    def _end_early(self) -> NoReturn:
        self._go_on()
        told = f"Build has timed out. (timeoutInMinutes is {self.build['timeoutInMinutes']})"
        raise PhaseFailedError("BUILD_TIMED_OUT", told, records.TIMED_OUT)

    def _go_on(self) -> None:
        """Raises PhaseFailedError where the build is to end."""
        if self.ending == records.STOPPED:
            raise PhaseFailedError("", "", records.STOPPED)
        if self.ending:
            raise PhaseFailedError("INTERNAL_SERVICE_ERROR", records.CUT_OFF, records.FAULT)

    def _take(self, event: Document) -> None:
        if "exported" in event:
            listed = [{"name": name, "value": value} for name, value in event["exported"].items()]
            self.build["exportedEnvironmentVariables"] = listed
        elif event["state"] == records.IN_PROGRESS:
            self._enter(event["phase"])
        else:
            code = "COMMAND_EXECUTION_ERROR" if event["message"] else ""
            self._leave(event["state"], code, event["message"])

    # ------------------------------------------------------------------------------------------------------- its record

    def _say(self, text: str) -> None:
        self.log.say(f"[Container] {time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime())} {text}")

    def _enter(self, phase: str) -> None:
        self._go_on()
        records.enter(self.build, phase, time.time())
        self.changed()

    def _leave(self, status: str, code: str, message: str) -> None:
        records.leave(self.build, status, time.time(), code, message)
        self.changed()

    def _tell(self) -> None:
        self.changed()
        detail = records.state_change(self.build)
        self.aws.put_event("CodeBuild Build State Change", detail, [self.build["arn"]])


class _Nowhere:
    """Logs that a project has turned off."""

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None: ...

    def put_metric_data(self, namespace: str, data: list[Document]) -> None: ...


def variables(aws: Surroundings, build: Mapping[str, Any], credentials: Credentials) -> dict[str, str]:
    """What CodeBuild puts into a build's environment ("Environment variables in build environments")."""
    console = f"https://{aws.region}.console.aws.amazonaws.com/codebuild/home?region={aws.region}"
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_REGION": aws.region,
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "CODEBUILD_BUILD_ARN": build["arn"],
        "CODEBUILD_BUILD_ID": build["id"],
        "CODEBUILD_BUILD_IMAGE": str(build["environment"].get("image", "")),
        "CODEBUILD_BUILD_NUMBER": str(build["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_BUILD_URL": f"{console}#/builds/{build['id']}/view/new",
        "CODEBUILD_INITIATOR": build["initiator"],
        "CODEBUILD_KMS_KEY_ID": build["encryptionKey"],
        "CODEBUILD_LOG_PATH": build["logs"]["cloudWatchLogs"]["streamName"],
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build["sourceVersion"],
        "CODEBUILD_SOURCE_REPO_URL": str(build["source"].get("location", "")),
        "CODEBUILD_SOURCE_VERSION": build["sourceVersion"] or _source_arn(build),
        "CODEBUILD_SRC_DIR": str(machine.SOURCE),
        "CODEBUILD_START_TIME": str(int(build["startTime"] * 1000)),
    }


def _source_arn(build: Mapping[str, Any]) -> str:
    location = build["source"].get("location")
    return f"arn:aws:s3:::{str(location).removeprefix('arn:aws:s3:::')}" if location else ""
