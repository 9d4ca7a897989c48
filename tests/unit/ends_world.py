"""A pipeline whose machine, launcher, planner and recorder are the real ones, on an AWS in memory with an endpoint that
takes its time. A run may be stopped, lost or refused something anywhere; the launcher hears of every end.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import launcher.handler
import memory_services
import planner.handler
import pytest
import recorder.handler
from aws_events import MACHINE, endpoint_change, sqs_record
from botocore.exceptions import ClientError
from common import clock
from common.run_table import RunTable
from common.state import State
from memory_aws import Aws, installed
from run_world import DECISION, ENDPOINT, check_request, definition, make_spec

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.attempts import TaskTokens
from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.dataflow import Jsonata, Scope
from localaws.states.errors import StatesError
from localaws.states.history import History, Trace
from localaws.states.interpreter import Interpreter, Machine
from localaws.states.runtime import Runtime, TaskCall

PIPELINE = "digits-forest"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest"
ROWS = b"0,1\n1,2\n2,3\n"
Document = dict[str, Any]


class SageMaker(memory_services.SageMaker):
    """Models, configs, and one endpoint: each change takes `looks` looks, and refuses others meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 2
        # The alarms of the update that is under way, whether one of them will sound, and which are there.
        self.asked: Sequence[str] = ()
        self.sounds = False
        self.alarms: Callable[[], set[str]] = set
        self.endpoint: Document | None = None
        self.left = 0

    def create_model(self, name: str) -> None:
        if name in self.models:
            raise self.error("create_model", "ValidationException", f'Cannot create already existing model "{name}".')
        self.models.append(name)

    def create_endpoint_config(self, name: str, model: str) -> None:
        if name in self.configs:
            message = f'Cannot create already existing endpoint configuration "{name}".'
            raise self.error("create_endpoint_config", "ValidationException", message)
        self.configs[name] = [model]

    def describe_endpoint(self, *, EndpointName: str) -> Document:  # noqa: N803 - boto3's
        if self.endpoint is None:
            message = f'Could not find endpoint "{EndpointName}".'
            raise self.error("describe_endpoint", "ValidationException", message)
        answer = dict(self.endpoint)
        if self.left:
            self.left -= 1
            if not self.left:
                self.settle()
        return answer

    def settle(self) -> None:
        """What was under way is done."""
        assert self.endpoint is not None
        self.left = 0
        if self.endpoint["EndpointStatus"] == "Deleting":
            self.endpoint = None
            return
        pending = self.endpoint.pop("PendingDeploymentSummary", None)
        asked, self.asked = self.asked, ()
        if pending and (self.sounds or not set(asked) <= self.alarms()):
            # An alarm sounds, or is gone.
            pending, self.sounds = None, False
        config = pending["EndpointConfigName"] if pending else self.endpoint["EndpointConfigName"]
        self.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": config}

    def create_endpoint(self, config: str) -> None:
        assert self.endpoint is None and config in self.configs
        self.endpoint, self.left = {"EndpointStatus": "Creating", "EndpointConfigName": config}, self.looks

    def update_endpoint(self, config: str, alarms: Sequence[str] = ()) -> None:
        assert self.endpoint is not None and set(alarms) <= self.alarms()
        self._refuse_in_progress("update_endpoint")
        if config not in self.configs:
            raise self.error("update_endpoint", "ValidationException", "Could not find endpoint configuration")
        pending = {"PendingDeploymentSummary": {"EndpointConfigName": config}}
        self.asked = alarms
        self.endpoint, self.left = {**self.endpoint, "EndpointStatus": "Updating", **pending}, self.looks

    def delete_endpoint(self, *, EndpointName: str) -> None:  # noqa: N803 - boto3's
        assert self.endpoint is not None, EndpointName
        self._refuse_in_progress("delete_endpoint")
        self.endpoint, self.left = {**self.endpoint, "EndpointStatus": "Deleting"}, self.looks

    def _refuse_in_progress(self, operation: str) -> None:
        settled = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")
        if self.endpoint and self.endpoint["EndpointStatus"] not in settled:
            raise self.error(operation, "ValidationException", f'Cannot update in-progress endpoint "{ENDPOINT}".')

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:  # noqa: N803 - boto3's
        assert EndpointConfigName != (self.endpoint or {}).get("EndpointConfigName"), "it is in use"
        del self.configs[EndpointConfigName]


@dataclass
class Trouble:
    """What befalls a run: its end from outside, at a task, before or after its work; or refusals.

    Attributes:
        task: what the machine calls then; "" and refusals: from the beginning.
        how: "stopped" by a person, "timed out", or "lost" with the server.
        calls: so many calls to AWS the task's function still gets to make.
        refused: (who, what): calls that are refused from then on, in a function or of the machine itself.
        stays: the runs that follow are refused, too, from their beginning.
    """

    task: str = ""
    how: str = ""
    after: bool = False
    calls: int | None = None
    refused: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    stays: bool = False


class Ends:
    """The pipeline, and its runs from a trigger until nothing runs and nothing waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **spec: Any) -> None:
        monkeypatch.setitem(memory_services.SERVICES, "sagemaker", SageMaker)
        names = {"PIPELINE": PIPELINE, "STATE_MACHINE_ARN": MACHINE, "CHANNEL_PREFIXES": "[]"}
        buckets = {"DATA_BUCKET": "data", "ARTIFACT_BUCKET": "artifacts"}
        told = {"RUN_TABLE": "runs", "TOPIC_ARN": "arn:topic", "RETAINED_CHAMPIONS": "2", "ENDPOINT_NAME": ENDPOINT}
        self.aws: Aws = installed(monkeypatch, **names, **buckets, **told)
        self.definition = definition(make_spec(folder, **spec))
        self.sagemaker: SageMaker = self.aws.sagemaker
        self.table = RunTable(self.aws.client("dynamodb"), "runs", PIPELINE)
        self.trouble: Trouble | None = None
        # Whether its refusals have begun.
        self.begun = False
        # Whether what is deployed answers wrongly.
        self.lies = False
        self.inside = ""
        self.calls_left: int | None = None
        self.runs: list[str] = []
        self.cancellation = Cancellation()
        self.tokens = TaskTokens()
        # Whether the endpoint's events arrive; a wait without one is over at once.
        self.hears = True
        self.aws.step = self._step
        self._arrive()

    def _arrive(self) -> None:
        entries = []
        for channel in ("train", "test", "extra"):
            key = f"digits/{channel}/a.csv"
            entries.append({"Key": key, "ETag": '"e"', "Size": len(ROWS), "VersionId": "v", "IsLatest": True})
            self.aws.s3.objects["data", key] = ROWS
        self.aws.s3.versions["data"] = entries

    # --------------------------------------------------------------------------------------------- what one may ask

    @property
    def state(self) -> State:
        return self.table.read_state()

    def record(self, run_id: str) -> Document:
        return self.table.read_run(run_id) or {}

    def run(self, trouble: Trouble | None = None, **asked: Any) -> str:
        """The id of a run, which `trouble` befalls; and of whatever runs it leads to, undisturbed, the ends."""
        self.trouble = trouble
        run_id = str(launcher.handler.handle({"kind": "manual", "forced": True, **asked}, None)["run_id"])
        self.to_rest(trouble)
        return run_id

    def to_rest(self, trouble: Trouble | None = None) -> None:
        """Until nothing runs: what is refused stays refused for the first run alone."""
        for number in range(10):
            running = self.state.running
            if not running:
                return
            self.trouble = trouble
            self.begun = trouble is not None and (not trouble.task or number > 0)
            self.execute(running["run_id"])
            self.trouble, self.begun = None, False
            trouble = trouble if trouble and trouble.stays else None
            self.tell_end(running["run_id"])
        raise AssertionError("the launcher starts run after run")

    def tell_end(self, run_id: str) -> None:
        arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}"
        execution = self.aws.stepfunctions.executions[arn]
        self.calls_left = None
        detail = {"executionArn": arn, "stateMachineArn": MACHINE, **execution}
        event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}
        launcher.handler.handle(event, None)

    def assert_agreed(self) -> None:
        """Endpoint, run table and records say the same, and the lock is free."""
        state, endpoint = self.state, self.sagemaker.endpoint
        assert (state.running, state.pending) == (None, None)
        config = state.champion["endpoint_config_name"] if state.champion else None
        on = {"EndpointStatus": "InService", "EndpointConfigName": config} if config else None
        assert endpoint == on
        for run_id in self.runs:
            record = self.record(run_id)
            assert record["outcome"] != "Running", run_id
            promoted = state.champion is not None and state.champion["promoted_by"] == run_id
            assert not promoted or record["outcome"] == "Promoted"
            if record["outcome"] == "Promoted":
                assert record["champion_after"]["promoted_by"] == run_id

    # ---------------------------------------------------------------------------------------------------- the machine

    def execute(self, run_id: str) -> None:
        """Runs the machine for a started execution, whose status then says how it ended."""
        self.runs.append(run_id)
        arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}"
        execution = self.aws.stepfunctions.executions[arn]
        given = json.loads(execution["input"])
        started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        context = {"Execution": {"Id": arn, "Input": given, "Name": run_id, "StartTime": started, "RedriveCount": 0}}
        languages = {"JSONata": Jsonata(jsonata.evaluate)}
        runtime = Runtime(self._task, self.tokens, languages, "us-east-1", wait_scale=0.0)
        trace = Trace(History([], lambda: started))
        self.cancellation = Cancellation()
        try:
            Interpreter(runtime, self.cancellation).run(
                Machine(self.definition, "JSONata"), given, context, Scope(), trace
            )
            execution["status"] = "SUCCEEDED"
        except StatesError as error:
            execution.update(status="FAILED", error=error.error, cause=error.cause)
        except CancelledError:
            assert self.trouble is not None
            ended = {"stopped": {"status": "ABORTED"}, "timed out": {"status": "TIMED_OUT"}}
            lost = {"status": "FAILED", "error": "States.ServiceRestart", "cause": "the server is gone"}
            execution.update(ended.get(self.trouble.how, lost))

    def _task(self, call: TaskCall) -> Any:
        check_request(call.resource, call.arguments)
        name = self._name(call)
        trouble = self.trouble or Trouble()
        befalls = bool(trouble.task) and name == trouble.task and not self.begun
        if befalls and not trouble.after and trouble.calls is None:
            self._begin(trouble)
        if self.cancellation.cancelled:
            return {}
        self._refuse("machine", name)
        self.calls_left = trouble.calls if befalls else None
        answer = self._answered(name, call.arguments)
        if befalls and trouble.after:
            self._begin(trouble)
        return answer

    def _begin(self, trouble: Trouble) -> None:
        self.begun = True
        if trouble.how:
            self.cancellation.cancel()

    def _name(self, call: TaskCall) -> str:
        if call.resource.endswith("lambda:invoke"):
            return str(call.arguments["FunctionName"]).rpartition(":")[2]
        return call.resource.removesuffix(".sync").removesuffix(".waitForTaskToken").rpartition(":")[2]

    def _refuse(self, who: str, what: str) -> None:
        if self.begun and self.trouble and (who, what) in self.trouble.refused:
            raise StatesError("SageMaker.SageMakerException", f"{who} is not authorized to perform: {what}")

    def _step(self, operation: str) -> None:
        """Before a function's call to AWS, and after it: each is refused, or the function is gone."""
        if not self.inside or not self.trouble:
            return
        if self.calls_left is not None:
            if self.calls_left == 0:
                self._begin(self.trouble)
                raise RuntimeError("the function is gone")
            self.calls_left -= 1
        if self.begun and (self.inside, operation) in self.trouble.refused:
            service = next(one for one in self.aws._clients.values() if operation in one.operations)
            raise service.error(operation, "AccessDeniedException", f"{self.inside} may not {operation}")

    def _answered(self, name: str, arguments: Document) -> Any:
        if name in ("planner", "recorder", "gate", "verifier"):
            return {"Payload": self._function(name, arguments["Payload"])}
        try:
            return getattr(self, f"_{name}")(arguments)
        except ClientError as error:
            raise StatesError("SageMaker.SageMakerException", str(error)) from error

    def _function(self, name: str, payload: Document) -> Any:
        functions: dict[str, Callable[[Document, None], Any]] = {
            "planner": planner.handler.handle,
            "recorder": recorder.handler.handle,
            "gate": lambda _payload, _context: DECISION,
            "verifier": self._verified,
        }
        self.inside = name
        try:
            return json.loads(json.dumps(functions[name](payload, None)))
        except Exception as error:
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            raise StatesError(type(error).__name__, cause) from error
        finally:
            self.inside = ""

    def _verified(self, payload: Document, _context: None) -> Document:
        endpoint = self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        serves = endpoint == {"EndpointStatus": "InService", "EndpointConfigName": payload["endpoint_config_name"]}
        assert serves, "Verify asks what was deployed"
        return {"verified": not self.lies, "reason": "answered 3" if self.lies else "5 examples", "asked": 5}

    # ----------------------------------------------------------------------------------------------- what it asks AWS

    def _getItem(self, arguments: Document) -> Any:  # noqa: N802 - named like the action
        return self.aws.dynamodb.get_item(Key=arguments["Key"])

    def _tagRole(self, _arguments: Document) -> Any:  # noqa: N802
        return {}

    def _createTrainingJob(self, arguments: Document) -> Any:  # noqa: N802
        name = arguments["TrainingJobName"]
        uri = f"{arguments['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        self.aws.s3.objects["artifacts", uri.removeprefix("s3://artifacts/")] = b"a model"
        done = {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}
        model = {"ModelArtifacts": {"S3ModelArtifacts": uri}, "Environment": arguments["Environment"]}
        return {"TrainingJobName": name, **done, **model}

    def _createProcessingJob(self, arguments: Document) -> Any:  # noqa: N802
        return {"ProcessingJobName": arguments["ProcessingJobName"], "ProcessingJobStatus": "Completed"}

    def _createModelPackage(self, arguments: Document) -> Any:  # noqa: N802
        return {"ModelPackageArn": f"{PACKAGE}/{arguments['ClientToken']}"}

    def _createModel(self, arguments: Document) -> Any:  # noqa: N802
        self.sagemaker.create_model(arguments["ModelName"])
        return {"ModelArn": "arn"}

    def _describeModel(self, _arguments: Document) -> Any:  # noqa: N802
        return {"ModelArn": "arn"}

    def _createEndpointConfig(self, arguments: Document) -> Any:  # noqa: N802
        (variant,) = arguments["ProductionVariants"]
        self.sagemaker.create_endpoint_config(arguments["EndpointConfigName"], variant["ModelName"])
        return {"EndpointConfigArn": "arn"}

    _describeEndpointConfig = _describeModel  # noqa: N815

    def _describeEndpoint(self, _arguments: Document) -> Any:  # noqa: N802
        return self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)

    def _createEndpoint(self, arguments: Document) -> Any:  # noqa: N802
        self.sagemaker.create_endpoint(arguments["EndpointConfigName"])
        return {"EndpointArn": "arn"}

    def _updateEndpoint(self, arguments: Document) -> Any:  # noqa: N802
        config = arguments.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {})
        alarms = [alarm["AlarmName"] for alarm in config.get("Alarms", [])]
        self.sagemaker.update_endpoint(arguments["EndpointConfigName"], alarms)
        return {"EndpointArn": "arn"}

    def _putMetricAlarm(self, arguments: Document) -> Any:  # noqa: N802
        self.aws.cloudwatch.put_metric_alarm(**arguments)
        return {}

    def _describeAlarms(self, arguments: Document) -> Any:  # noqa: N802
        found = self.aws.cloudwatch.describe_alarms(**arguments)["MetricAlarms"]
        return {"MetricAlarms": [{**alarm, "StateValue": "INSUFFICIENT_DATA"} for alarm in found]}

    def _sendMessage(self, arguments: Document) -> Any:  # noqa: N802
        """The launcher gets the token, then hears of the endpoint, which has settled meanwhile."""
        message = json.loads(arguments["MessageBody"])
        waiting = self.aws.stepfunctions.tokens
        waiting.add(message["token"])
        launcher.handler.handle({"Records": [sqs_record(message)]}, None)
        if message["token"] in waiting and self.sagemaker.left:
            self.sagemaker.settle()
        if self.hears and self.sagemaker.endpoint:
            launcher.handler.handle(endpoint_change(), None)
        if message["token"] in waiting:
            raise StatesError("States.Timeout", "")
        self.tokens.succeed(message["token"], "{}")
        return {}

    def _deleteEndpoint(self, _arguments: Document) -> Any:  # noqa: N802
        self.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
        return {}


_MEMORY = ("dynamodb", "s3", "sagemaker", "stepfunctions")
# What a first run has left in each service's memory: the same for each test.
_after_a_first_run: dict[str, Document] = {}


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ends:
    """A pipeline with a champion."""
    ticks = iter(range(1000))
    monkeypatch.setattr(clock, "stamp", lambda: f"2026-11-20T10:00:00.{next(ticks):03d}Z")
    world = Ends(monkeypatch, tmp_path)
    memories = {name: getattr(world.aws, name) for name in _MEMORY}
    if not _after_a_first_run:
        world.run()
        world.assert_agreed()
        kept = {name: {**vars(memory), "error": None} for name, memory in memories.items()}
        _after_a_first_run.update(copy.deepcopy(kept))
    for name, memory in memories.items():
        vars(memory).update({**copy.deepcopy(_after_a_first_run[name]), "error": memory.error})
    return world


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ends:
    """A pipeline with a champion, whose deployments go by a canary that alarms watch."""
    ticks = iter(range(1000))
    monkeypatch.setattr(clock, "stamp", lambda: f"2026-11-20T10:00:00.{next(ticks):03d}Z")
    told = {"shift": {"canary": "10%"}, "rollback_on": {"errors": "1%", "p99_latency": "1s"}}
    world = Ends(monkeypatch, tmp_path, deploy={"instance": "ml.t2.medium", **told})
    world.sagemaker.alarms = lambda: set(world.aws.cloudwatch.alarms)
    world.run()
    world.assert_agreed()
    return world
