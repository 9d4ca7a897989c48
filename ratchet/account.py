"""The AWS that a command talks to: an environment's session, clients and stack outputs."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from contract import names, refusals
from ratchet.errors import UserError
from ratchet.project import Project
from ratchet.spec import ConfigurationError
from ratchet.spec.environments import Environment
from ratchet.spec.whereabouts import check_whereabouts

# Far longer than it takes to answer, also on a laptop that trains; one that is stopped is told at once.
AWAKE_SECONDS = 15.0


@dataclass(frozen=True)
class Server:
    """The embedded AWS of a state folder, as its server.json tells."""

    endpoint_url: str
    port: int
    region: str
    account: str
    access_key_id: str
    secret_access_key: str
    sagemaker_sdk_settings: str
    pid: int

    @property
    def answers(self) -> bool:
        """Whether something listens on its port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def check_awake(self) -> None:
        """Asks it something, since the system takes connections also for a process that is stopped.

        Raises:
            UserError: it is stopped, or says nothing.
        """
        if _is_stopped(self.pid):
            raise UserError(
                f"the embedded AWS is stopped (process {self.pid}, by SIGSTOP or Ctrl-Z): `kill -CONT {self.pid}` lets "
                "it go on, `ratchet down` ends it"
            )
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=AWAKE_SECONDS)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"the embedded AWS (process {self.pid}, port {self.port}) has said nothing for {AWAKE_SECONDS:g} s: "
                "it hangs, or the machine is very busy; `ratchet down` ends it, `ratchet up` starts it again"
            ) from error
        finally:
            connection.close()


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; unknown, and so False, where there is no /proc."""
    try:
        # The program's name, in parentheses, may hold anything.
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in "Tt"


@dataclass(frozen=True)
class Account:
    """An environment's AWS. Clients are made once; so is each stack's description."""

    environment: Environment
    session: boto3.Session
    endpoint_url: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _outputs: dict[str, Mapping[str, str] | None] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is the embedded AWS."""
        return self.environment.name == names.LOCAL

    def stack(self, name: str) -> str:
        """The stack of a pipeline, or the shared one."""
        return names.stack(self.environment.name, name)

    def command(self, words: str) -> str:
        """A command of Ratchet's as it is typed for this environment: `ratchet runs churn -e dev`."""
        return names.command(words, self.environment.name)

    def deploy_command(self, name: str | None = None) -> str:
        """The command that deploys a stack there, or all of them."""
        if self.is_local:
            return "ratchet up"
        return f"cdk deploy -c environment={self.environment.name} {self.stack(name) if name else '--all'}"

    def client(self, service: str) -> Any:
        """A boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self.session.client(
                service, endpoint_url=self.endpoint_url, config=_config(self.endpoint_url is not None)
            )
        return self._clients[service]

    def stack_outputs(self, name: str) -> Mapping[str, str] | None:
        """The outputs of `ratchet-<environment>-<name>`, or None when that stack isn't deployed."""
        if name not in self._outputs:
            self._outputs[name] = self._read_outputs(self.stack(name))
        return self._outputs[name]

    def forget_outputs(self) -> None:
        """Read the outputs anew next time: a deployment has changed them."""
        self._outputs.clear()

    def shared(self) -> Mapping[str, str]:
        """The shared stack's outputs: `DataBucketName`, `ArtifactBucketName`, `RunTableName`, `TopicArn`, `KeyArn`.

        Raises:
            UserError: it isn't deployed.
        """
        return self._required(names.SHARED)

    def pipeline(self, name: str) -> Mapping[str, str]:
        """A pipeline's outputs: `StateMachineArn`, `LauncherFunctionName`, `EndpointName`, `ModelPackageGroupName`;
        of one for batches `BatchInput`, too, of one with an asynchronous endpoint `QueueInput`.

        Raises:
            UserError: it isn't deployed.
        """
        return self._required(name)

    def deployed_pipelines(self) -> list[str]:
        """The names of the environment's deployed pipelines, whose outputs are known then."""
        prefix = self.stack("")
        stacks = self.client("cloudformation").get_paginator("describe_stacks").paginate()
        found = [stack for page in stacks for stack in page["Stacks"] if is_deployed(stack)]
        ours = {
            stack["StackName"].removeprefix(prefix): stack for stack in found if stack["StackName"].startswith(prefix)
        }
        self._outputs.update({name: _outputs(stack) for name, stack in ours.items()})
        return sorted(ours.keys() - {names.SHARED})

    def _required(self, name: str) -> Mapping[str, str]:
        outputs = self.stack_outputs(name)
        if outputs is not None:
            return outputs
        raise UserError(f"the stack {self.stack(name)} isn't deployed; run `{self.deploy_command(name)}`")

    def _read_outputs(self, stack: str) -> Mapping[str, str] | None:
        try:
            described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if refusals.says_missing(error.response["Error"].get("Message")):
                return None
            raise
        return _outputs(described) if is_deployed(described) else None


def _outputs(stack: Mapping[str, Any]) -> Mapping[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def is_deployed(stack: Mapping[str, Any]) -> bool:
    """Whether a stack has ever been created whole: a failed first creation has no working resources."""
    return stack["StackStatus"] not in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE")


def read_server(state: Path) -> Server | None:
    """The embedded AWS that a state folder's server.json tells of; None when there is none.

    Raises:
        UserError: the file isn't what an embedded AWS writes, which it does in one step.
    """
    path = state / "server.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = Server(**{name: document[name] for name in Server.__dataclass_fields__})
        whole = all(type(value).__name__ == found.__annotations__[name] for name, value in vars(found).items())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole or not 0 < found.port < 65536:
        raise UserError(
            f"{path} is damaged: it isn't what the embedded AWS has written; `ratchet down` and `ratchet up` write it "
            "anew (what was acknowledged is in other files)"
        )
    return found


def connect(project: Project, name: str) -> Account:
    """The AWS of an environment.

    Raises:
        UserError: the embedded AWS isn't running, there are no credentials, they are another account's, or variables
            lead elsewhere.
    """
    environment = project.environment(name)
    is_local = environment.name == names.LOCAL
    return _connect_locally(project, environment) if is_local else _connect(environment)


def _connect_locally(project: Project, environment: Environment) -> Account:
    server = read_server(project.aws_state)
    if server is None or not server.answers:
        raise UserError("the embedded AWS isn't running; start it with `ratchet up`")
    server.check_awake()
    return of_server(environment, server)


def of_server(environment: Environment, server: Server) -> Account:
    """A running embedded AWS as an account, whatever AWS_* variables say."""
    session = boto3.Session(
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        region_name=server.region,
    )
    return Account(environment, session, server.endpoint_url)


def _connect(environment: Environment) -> Account:
    """Ordinary credentials, as the aws command would find them, checked against cdk.json's account."""
    try:
        check_whereabouts(environment, os.environ)
    except ConfigurationError as error:
        raise UserError(str(error)) from error
    account = Account(environment, boto3.Session(region_name=environment.region))
    found = account.client("sts").get_caller_identity()["Account"]
    if environment.account and found != environment.account:
        raise UserError(
            f"these credentials are account {found}'s, but cdk.json says that environment {environment.name} is "
            f"account {environment.account}; use that account's credentials (AWS_PROFILE)"
        )
    return account


def _config(local: bool) -> Any:
    # A proxy of the environment's is for the world outside, never for this machine.
    return Config(proxies={}, retries={"max_attempts": 2}) if local else Config(retries={"mode": "standard"})
