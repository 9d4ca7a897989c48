"""A scripted AWS around the state machine of a run: each call is checked against botocore's own service model.

The machine itself is interpreted for real, by the embedded AWS's interpreter and its JSONata engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import rounds.handler
import yaml
from botocore.validate import ParamValidator
from image_uris import SKLEARN

from infra.grants import Account
from infra.shared import Shared
from infra.workflow.machine import run_machine
from infra.workflow.step import Machine as RunMachine
from infra.workflow.surroundings import Image, Surroundings, values
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.attempts import TaskTokens
from localaws.states.cancellation import Cancellation
from localaws.states.dataflow import Jsonata, Scope
from localaws.states.errors import StatesError
from localaws.states.history import History, Trace
from localaws.states.interpreter import Interpreter, Machine
from localaws.states.runtime import Runtime, TaskCall
from localaws.states.tasks import CALLBACK
from ratchet import spec as specs

RUN_ID = "20261120-101112-abcd"
IMAGE = Image(SKLEARN)
RULES_IMAGE = Image("503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest")
ENDPOINT = "local-digits-forest"
QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/000000000000/waiting"
SHARED = Shared(
    data_bucket="data",
    data_bucket_arn="arn:aws:s3:::data",
    artifact_bucket="artifacts",
    artifact_bucket_arn="arn:aws:s3:::artifacts",
    run_table="runs",
    run_table_arn="arn:aws:dynamodb:us-east-1:000000000000:table/runs",
    topic_arn="arn:aws:sns:us-east-1:000000000000:topic",
    key_arn="arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555",
)
SPEC: dict[str, Any] = {
    "name": "digits-forest",
    "framework": {"name": "sklearn", "version": "1.9-0"},
    "data": {"train": "digits/train/", "test": "digits/test/", "extra-1": "digits/extra/"},
    "triggers": {"data": {"quiet": "0s"}},
    "train": {"instance": "ml.m5.large", "hyperparameters": {"n-estimators": 100}, "metrics": {"f1": "f1: ([0-9.]+)"}},
    "gate": {"metric": "f1_macro", "minimum": 0.9},
    "deploy": {"instance": "ml.t2.medium"},
}
CHAMPION = {
    "run_id": "20261119-101112-beef",
    "model_package_arn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest/1",
    "endpoint_config_name": "local-digits-forest-0123456789ab",
    "model_name": "local-digits-forest-ba9876543210",
    "model_data": "s3://artifacts/runs/digits-forest/20261119-101112-beef/train/x/output/model.tar.gz",
    "image_uri": IMAGE.uri,
    "score": 0.95,
    "metric": "f1_macro",
    "fingerprint": "old",
    "promoted_at": "2026-11-19T10:20:00.000Z",
}
MANIFESTS = {name: f"s3://artifacts/runs/digits-forest/{RUN_ID}/manifests/{name}.manifest" for name in SPEC["data"]}
PLAN: dict[str, Any] = {
    "outcome": "Run",
    "fingerprint": "f1",
    "forced": False,
    "supersede": False,
    "data": {"objects": 3, "bytes": 300, "manifests": MANIFESTS},
    "champion": None,
    "code_hash": "c0de",
    "spec_hash": "5bec",
    "image_uri": IMAGE.uri,
}
DECISION: dict[str, Any] = {"promote": True, "reason": "first model: fine", "metric": "f1_macro", "score": 0.97}
MODEL_DATA = f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/local-digits-forest-{RUN_ID}-train/output/model.tar.gz"

# The integration's service in a task's resource, as botocore calls it.
_SERVICES = {
    "sagemaker": "sagemaker",
    "dynamodb": "dynamodb",
    "lambda": "lambda",
    "iam": "iam",
    "cloudwatch": "cloudwatch",
    "sqs": "sqs",
    "applicationautoscaling": "application-autoscaling",
}


def make_spec(folder: Path, **changes: Any) -> specs.PipelineSpec:
    """A pipeline.yaml with top-level fields changed, loaded as a stack loads it."""
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**SPEC, **changes}))
    return specs.load(path)


def surroundings(spec: specs.PipelineSpec, **changes: Any) -> Surroundings:
    """What a stack of the environment `local` tells the machine of a spec."""
    known: dict[str, Any] = {
        "spec": spec,
        "environment": "local",
        "account": Account(partition="aws", region="us-east-1", account="000000000000", url_suffix="amazonaws.com"),
        "shared": SHARED,
        "code_hash": "c0de",
        "image": IMAGE,
        "hosting_image": IMAGE,
        "queue_url": QUEUE_URL,
        "queue_arn": "arn:aws:sqs:us-east-1:000000000000:waiting",
        "rules_image": RULES_IMAGE if spec.rules_service == "sagemaker" else None,
    }
    return Surroundings(**{**known, **changes})


def definition(spec: specs.PipelineSpec, **changes: Any) -> dict[str, Any]:
    """The machine's definition as CloudFormation makes it: with a value for each placeholder."""
    at = surroundings(spec, **changes)
    machine = run_machine(at)
    text = json.dumps(machine.definition)
    for name, value in {**values(at), **arns(machine)}.items():
        text = text.replace(f"${{{name}}}", value)
    document: dict[str, Any] = json.loads(text)
    return document


def arns(machine: RunMachine) -> dict[str, str]:
    """The ARNs of a machine's functions and roles, by the names of their placeholders."""
    functions = {
        function.arn_name: f"arn:aws:lambda:us-east-1:000000000000:function:{function.folder}"
        for function in machine.functions
    }
    roles = {role.arn_name: f"arn:aws:iam::000000000000:role/{role.name}" for role in machine.roles}
    return functions | roles | {role.own_name: role.name for role in machine.roles if role.of_a_run}


@cache
def operation_model(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation)


def check_request(resource: str, arguments: dict[str, Any]) -> None:
    """Fails unless botocore's model of the operation takes the arguments.

    The model's minimum and maximum lengths and patterns are checked too, which botocore itself leaves to the service.
    """
    *_, service, action = resource.removesuffix(".sync").removesuffix(".waitForTaskToken").split(":")
    operation = action[0].upper() + action[1:]
    if service == "lambda":
        arguments = {**arguments, "Payload": json.dumps(arguments["Payload"]).encode()}
    shape = operation_model(_SERVICES[service], operation).input_shape
    report = ParamValidator().validate(arguments, shape)
    assert not report.has_errors(), f"{resource}: {report.generate_report()}"
    problems = list(beyond(arguments, shape, operation))
    assert not problems, problems


def beyond(value: Any, shape: Any, path: str) -> Any:
    """Lengths, ranges and enums that botocore's validator leaves out."""
    if shape.type_name == "structure":
        for name, entry in value.items():
            yield from beyond(entry, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _within(len(value), shape, path)
        for index, entry in enumerate(value):
            yield from beyond(entry, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        yield from _within(len(value), shape, path)
        for name, entry in value.items():
            yield from beyond(name, shape.key, f"{path} key {name}")
            yield from beyond(entry, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        yield from _within(len(value), shape, path)
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, not one of {shape.enum}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _within(value, shape, path)


def _within(size: float, shape: Any, path: str) -> Any:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path} is {size} long or large; allowed are {low} to {high}"


def refused(message: str, error: str = "SageMaker.SageMakerException") -> StatesError:
    return StatesError(error, f"{message} (Service: SageMaker; Status Code: 400; Error Code: ValidationException)")


MISSING_ENDPOINT = refused('Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/x".')


def in_service(config: str | None, **more: Any) -> dict[str, Any]:
    return {"EndpointName": ENDPOINT, "EndpointStatus": "InService", "EndpointConfigName": config, **more}


@dataclass
class World:
    """What each task answers: a value, an error to raise, or a function of its arguments; a list gives one a call.

    `on` is the config that the endpoint was last put on, so that a description of it can be true.
    """

    plan: dict[str, Any] = field(default_factory=lambda: dict(PLAN))
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    on: str | None = None

    def answer(self, call: TaskCall) -> Any:
        check_request(call.resource, call.arguments)
        name = self._name(call)
        self.calls.append((name, call.arguments))
        scripted = self.answers.get(name, getattr(self, f"_{name}", None))
        if isinstance(scripted, list):
            scripted = scripted.pop(0)
        if callable(scripted):
            scripted = scripted(call.arguments)
        if isinstance(scripted, StatesError):
            raise scripted
        assert scripted is not None, f"nothing says what {name} answers"
        return scripted

    def _name(self, call: TaskCall) -> str:
        if call.resource.endswith("lambda:invoke"):
            return str(call.arguments["FunctionName"]).rpartition(":")[2]
        return call.resource.removesuffix(".sync").removesuffix(".waitForTaskToken").rpartition(":")[2]

    def _getItem(self, _arguments: Any) -> Any:  # noqa: N802 - named like the action
        return {"Item": {"pipeline": {"S": "digits-forest"}, "item": {"S": "state"}}}

    def _planner(self, _arguments: Any) -> Any:
        return {"Payload": self.plan}

    def _tagRole(self, _arguments: Any) -> Any:  # noqa: N802
        return {}

    def _createTrainingJob(self, arguments: Any) -> Any:  # noqa: N802
        return {
            "TrainingJobName": arguments["TrainingJobName"],
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": MODEL_DATA},
            "Environment": arguments["Environment"],
        }

    def _rounds(self, arguments: Any) -> Any:
        return {"Payload": rounds.handler.handle(arguments["Payload"], None)}

    def _createProcessingJob(self, arguments: Any) -> Any:  # noqa: N802
        return {"ProcessingJobName": arguments["ProcessingJobName"], "ProcessingJobStatus": "Completed"}

    def _gate(self, _arguments: Any) -> Any:
        return {"Payload": DECISION}

    def _createModelPackage(self, _arguments: Any) -> Any:  # noqa: N802
        return {"ModelPackageArn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest/2"}

    def _createModel(self, _arguments: Any) -> Any:  # noqa: N802
        return {"ModelArn": "arn"}

    _describeModel = _createModel  # noqa: N815

    def _createEndpointConfig(self, _arguments: Any) -> Any:  # noqa: N802
        return {"EndpointConfigArn": "arn"}

    _describeEndpointConfig = _createEndpointConfig  # noqa: N815

    def _describeEndpoint(self, _arguments: Any) -> Any:  # noqa: N802
        return in_service(self.on) if self.on else MISSING_ENDPOINT

    def _createEndpoint(self, arguments: Any) -> Any:  # noqa: N802
        self.on = arguments["EndpointConfigName"]
        return {"EndpointArn": "arn"}

    _updateEndpoint = _createEndpoint  # noqa: N815

    def _deleteEndpoint(self, _arguments: Any) -> Any:  # noqa: N802
        self.on = None
        return {}

    def _sendMessage(self, _arguments: Any) -> Any:  # noqa: N802 - the launcher lets the run go on
        return {}

    def _putMetricAlarm(self, _arguments: Any) -> Any:  # noqa: N802
        return {}

    def _describeAlarms(self, arguments: Any) -> Any:  # noqa: N802
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": "OK"} for name in arguments["AlarmNames"]]}

    def _verifier(self, _arguments: Any) -> Any:
        return {"Payload": {"verified": True, "reason": "5 examples", "asked": 5}}

    def _recorder(self, arguments: Any) -> Any:
        payload = arguments["Payload"]
        outcome = payload["outcome"] or "Failed"
        return {
            "Payload": {
                "run_id": RUN_ID,
                "outcome": outcome,
                "error": payload["failure"],
                "record": "s3://r",
                "complete": True,
            }
        }


@dataclass(frozen=True)
class Ran:
    """What an execution did: its output or its error, the states it entered, the calls it made."""

    output: Any
    error: StatesError | None
    states: list[str]
    calls: list[tuple[str, Any]]

    def called(self, name: str) -> list[Any]:
        return [arguments for called, arguments in self.calls if called == name]

    @property
    def recorded(self) -> dict[str, Any]:
        """What the recorder was last told."""
        payload: dict[str, Any] = self.called("recorder")[-1]["Payload"]
        return payload


def run(
    spec: specs.PipelineSpec, world: World, *, kind: str = "data", given: Any = None, redriven: int = 0, **changes: Any
) -> Ran:
    """Runs the machine from a trigger of `kind`, in changed surroundings; retries and Seconds waits take no time.

    given: an input instead of the launcher's. redriven: how often somebody has redriven the execution.
    """
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    started = now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    launched = {
        "pipeline": "digits-forest",
        "run_id": RUN_ID,
        "trigger": {"kind": kind, "at": started, "detail": {}},
        "forced": False,
        "supersede": False,
    }
    run_input = launched if given is None else given
    execution = f"arn:aws:states:us-east-1:000000000000:execution:machine:{RUN_ID}"
    context = {
        "Execution": {
            "Id": execution,
            "Input": run_input,
            "Name": RUN_ID,
            "StartTime": started,
            "RedriveCount": redriven,
        }
    }
    events: list[dict[str, Any]] = []
    tokens = TaskTokens()

    def answer(call: TaskCall) -> Any:
        """A task that waits for its token ends with the world's answer at once."""
        said = world.answer(call)
        if call.resource.endswith(CALLBACK):
            tokens.succeed(str(json.loads(call.arguments["MessageBody"])["token"]), json.dumps(said))
        return said

    interpreter = Interpreter(
        Runtime(
            run_task=answer,
            tokens=tokens,
            languages={"JSONata": Jsonata(jsonata.evaluate)},
            region="us-east-1",
            wait_scale=0.0,
        ),
        Cancellation(),
    )
    output, error = None, None
    try:
        output = interpreter.run(
            Machine(definition(spec, **changes), "JSONata"),
            run_input,
            context,
            Scope(),
            Trace(History(events, lambda: started)),
        )
    except StatesError as raised:
        error = raised
    entered = [event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered")]
    return Ran(output, error, entered, world.calls)
