"""Pipelines deployed by the real cdk command, and what a user would do with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from boto3.dynamodb.types import TypeDeserializer
from running_aws import ROOT, Aws
from waiting import WAIT_SECONDS, until

from contract.histories import Execution, of_events

SCRIPTED_MODEL = Path(__file__).parent / "scripted_model"
TOOLKIT = ROOT / "training_code" / "toolkit"
HELD_OUT = "".join(f"{row % 2},{row}\n" for row in range(200))

SPEC: dict[str, Any] = {
    "framework": {"name": "sklearn", "version": "1.4-2-py312"},
    "triggers": {"data": False, "code": False},
    "train": {"instance": "ml.m5.large"},
    "gate": {"metric": "accuracy", "minimum": 0.6},
    "deploy": {"instance": "ml.t2.medium"},
}

APP = """
from pathlib import Path
from infra.app import new_app
from ratchet.spec.environments import chosen_environment
from infra import pipeline_stack
from infra.images import framework_image
from infra.over_http import JUDGE
from infra.stages import add_stacks
from ratchet.spec import find_pipelines

# Frameworks' images, whose models are judged as those of one's own image.
OVER_HTTP, decided = %r, pipeline_stack.judging_image
pipeline_stack.judging_image = lambda spec, region: (
    framework_image(*JUDGE, region, SystemExit) if spec.name in OVER_HTTP else decided(spec, region)
)
app = new_app()
environment = chosen_environment({key: app.node.try_get_context(key) for key in ("environment", "environments")})
add_stacks(app, environment, find_pipelines(Path("models")), toolkit=Path(%r))
app.synth()
"""


@dataclass(frozen=True)
class Scripted:
    """The scripted model as a pipeline: SPEC with changes, and files of its own in the place of the model's.

    over_http: its models are judged as those of an image of one's own.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    over_http: bool = False

    def write(self, models: Path, name: str) -> None:
        shutil.copytree(SCRIPTED_MODEL, models / name)
        data = {channel: f"{name}/{channel}/" for channel in ("train", "test")}
        (models / name / "pipeline.yaml").write_text(yaml.safe_dump({"name": name, "data": data, **SPEC, **self.spec}))
        for path, text in self.files.items():
            (models / name / path).write_text(text)


@dataclass(frozen=True)
class AsShipped:
    """A model of this checkout, as it is but for these hyperparameters."""

    folder: Path
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    over_http: bool = False

    def write(self, models: Path, name: str) -> None:
        shutil.copytree(self.folder, models / name, ignore=shutil.ignore_patterns("__pycache__"))
        path = models / name / "pipeline.yaml"
        spec = yaml.safe_load(path.read_text())
        spec["train"].setdefault("hyperparameters", {}).update(self.hyperparameters)
        path.write_text(yaml.safe_dump(spec))


Model = Scripted | AsShipped


def cdk(folder: Path, aws: Aws, *arguments: str) -> None:
    """The unmodified command, in a home of its own: it keeps what it knows about access keys there."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]])
    environment = {**aws.environment, "HOME": str(home), "PATH": path}
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"cdk {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"


def write_app(folder: Path, models: Mapping[str, Model]) -> None:
    """A CDK app with these models, by their pipelines' names."""
    (folder / "models").mkdir(parents=True)
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    settings = {
        "app": f"{sys.executable} app.py",
        "requireApproval": "never",
        "versionReporting": False,
        "notices": False,
    }
    (folder / "cdk.json").write_text(json.dumps({**settings, "context": context}))
    over_http = [name for name, model in models.items() if model.over_http]
    (folder / "app.py").write_text(APP % (over_http, str(TOOLKIT)))
    for name, model in models.items():
        model.write(folder / "models", name)


@dataclass(frozen=True)
class Pipeline:
    """One deployed pipeline."""

    aws: Aws
    name: str
    shared: dict[str, str]
    own: dict[str, str]

    # ------------------------------------------------------------------------------------------- what a user does

    def put(self, key: str, body: str) -> None:
        self.aws.client("s3").put_object(Bucket=self.shared["DataBucketName"], Key=f"{self.name}/{key}", Body=body)

    def order(self, **orders: Any) -> None:
        """The training data: what the next model shall do."""
        self.put("train/orders.json", json.dumps(orders))

    def trigger(self, kind: str = "manual", **asked: Any) -> dict[str, Any]:
        """The launcher's answer to a person, who may ask for more (`forced`, `supersede`, a rollback's `detail`)."""
        event = json.dumps({"kind": kind, **asked})
        response = self.aws.client("lambda").invoke(FunctionName=self.own["LauncherFunctionName"], Payload=event)
        answer: dict[str, Any] = json.loads(response["Payload"].read())
        return answer

    def run(self, kind: str = "manual", **asked: Any) -> dict[str, Any]:
        """A run from a trigger to its record."""
        self.idle()
        answer = self.trigger(kind, **asked)
        assert answer.get("status") == "started", answer
        return self.record(answer["run_id"])

    # ----------------------------------------------------------------------------------------------- what they see

    def item(self, name: str) -> dict[str, Any]:
        key = {"pipeline": {"S": self.name}, "item": {"S": name}}
        found = self.aws.client("dynamodb").get_item(
            TableName=self.shared["RunTableName"], Key=key, ConsistentRead=True
        )
        return {field: TypeDeserializer().deserialize(value) for field, value in found.get("Item", {}).items()}

    @property
    def state(self) -> dict[str, Any]:
        return self.item("state")

    def record(self, run_id: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """The run's record, once it has ended (within `seconds`) and its lock is free."""
        item = f"run#{run_id}"
        until(lambda: self.item(item).get("outcome", "Running") != "Running", f"the end of {run_id}", seconds)
        until(lambda: self.state.get("running", {}).get("run_id") != run_id, f"the lock of {run_id}")
        return self.item(f"run#{run_id}")

    def idle(self) -> dict[str, Any]:
        """The state, once nothing runs or waits."""
        until(lambda: not {"running", "pending"} & self.state.keys(), f"{self.name} to be idle")
        return self.state

    def executions(self) -> list[dict[str, Any]]:
        client = self.aws.client("stepfunctions")
        found: list[dict[str, Any]] = client.list_executions(stateMachineArn=self.own["StateMachineArn"])["executions"]
        return found

    def ask(self, row: int | str) -> str:
        runtime = self.aws.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName=self.own["EndpointName"], ContentType="text/csv", Accept="text/csv", Body=str(row)
        )
        return str(answer["Body"].read().decode().strip())

    def deployed(self) -> dict[str, Any]:
        """The endpoint's config (None: no endpoint), and all models and configs that there are."""
        client = self.aws.client("sagemaker")
        endpoints = client.list_endpoints(NameContains=self.own["EndpointName"])["Endpoints"]
        named = {"NameContains": f"{self.own['EndpointName']}-"}
        configs = client.list_endpoint_configs(**named)["EndpointConfigs"]
        on = client.describe_endpoint(EndpointName=self.own["EndpointName"]) if endpoints else {}
        return {
            "endpoint": (on.get("EndpointStatus"), on.get("EndpointConfigName")),
            "models": {entry["ModelName"] for entry in client.list_models(**named)["Models"]},
            "configs": {entry["EndpointConfigName"] for entry in configs},
        }

    def execution(self, run_id: str) -> Execution:
        client = self.aws.client("stepfunctions")
        arn = self.item(f"run#{run_id}")["execution_arn"]
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        return of_events([event for page in pages for event in page["events"]])

    def states(self, run_id: str) -> list[str]:
        return [visit.name for visit in self.execution(run_id).visits]

    # --------------------------------------------------------------------------------------------- what is withheld

    def role(self, logical_part: str, stack: str | None = None) -> str:
        """The name of the one role, of the pipeline's stack or another, whose logical id begins so."""
        pages = self.aws.client("cloudformation").get_paginator("list_stack_resources")
        found = [
            entry["PhysicalResourceId"]
            for page in pages.paginate(StackName=f"ratchet-local-{stack or self.name}")
            for entry in page["StackResourceSummaries"]
            if entry["ResourceType"] == "AWS::IAM::Role" and entry["LogicalResourceId"].startswith(logical_part)
        ]
        assert len(found) == 1, f"{logical_part}: {found}"
        return str(found[0])

    @contextmanager
    def without(self, action: str, role: str) -> Iterator[None]:
        """The role lacks one action."""
        iam = self.aws.client("iam")
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName="withheld", PolicyDocument=policy)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="withheld")


def deploy(aws: Aws, folder: Path, models: Mapping[str, Model]) -> None:
    """The shared stack, and a pipeline a model."""
    write_app(folder, models)
    # Without an app, which it would synthesize to no end.
    cdk(folder, aws, "bootstrap", f"aws://{aws.server.account}/{aws.server.region}", "--app", "")
    cdk(folder, aws, "deploy", "--all", "--concurrency", "4")


Alone = Callable[..., AbstractContextManager["Pipeline"]]
"""What conftest's fixture of that name gives."""


def opened(aws: Aws, name: str, model: Model) -> Pipeline:
    """A pipeline that is deployed, with held-out data in place where its model is scripted."""
    pipeline = Pipeline(aws, name, outputs(aws, "shared"), outputs(aws, name))
    if isinstance(model, Scripted):
        pipeline.put("test/held_out.csv", HELD_OUT)
    return pipeline


def outputs(aws: Aws, what: str) -> dict[str, str]:
    stack = aws.client("cloudformation").describe_stacks(StackName=f"ratchet-local-{what}")["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
