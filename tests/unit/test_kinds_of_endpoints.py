"""Asynchronous and serverless endpoints as a pipeline's kind: what is said, refused, asked of SageMaker, and asked."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import memory_services
import pytest
from commands_world import BUCKET, CAREFUL, world_in
from commands_world import World as Commands
from memory_aws import Aws, installed
from run_world import World, make_spec, run
from test_spec_shift import ALARMS, loaded, refusal
from verifier import handler

from infra.serverless import check_serverless
from infra.workflow.steps.plan import spec_hash
from ratchet.spec import SpecError, environments

QUEUE = "  queue: {input: iris/requests/, output: iris/answers/}\n"
ASYNC = "  kind: async\n"
SERVERLESS = "  kind: serverless\n"
TOPIC = "arn:aws:sns:us-east-1:123456789012:answers"
DEPLOY_ASYNC = {"kind": "async", "instance": "ml.m5.large", "queue": {"input": "r/", "output": "a/"}}
DEPLOY_SERVERLESS = {"kind": "serverless", "serverless": {"memory": "3GiB", "concurrency": 4, "provisioned": 1}}


# ------------------------------------------------------------------------------------------------------- pipeline.yaml


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (ASYNC, "deploy.queue: is required where kind is async: write queue: {input: churn/requests/"),
        (QUEUE, "deploy.queue: is an asynchronous endpoint's, but kind is endpoint: write kind: async"),
        ("  serverless: {memory: 2GiB}\n", "deploy.serverless: is a serverless endpoint's, but kind is endpoint"),
        ("  kind: later\n", "deploy.kind: is 'later'; it must be 'endpoint', 'batch', 'async' or 'serverless'"),
        (
            ASYNC + "  queue: {input: iris/train/new/, output: iris/answers/}\n",
            "deploy.queue.input: is 'iris/train/new/', which overlaps data.train ('iris/train/')",
        ),
        (
            ASYNC + "  queue: {input: iris/q/, output: iris/q/answers/}\n",
            "deploy.queue.output: is 'iris/q/answers/', which overlaps deploy.queue.input ('iris/q/')",
        ),
        (ASYNC + "  queue: {input: iris/q/}\n", "deploy.queue.output: is required; write output: churn/answers/"),
        (
            ASYNC + "  queue: {input: s3://b/q/, output: a/}\n",
            "deploy.queue.input: is 's3://b/q/'; write only the prefix",
        ),
        (
            ASYNC + "  queue: {input: q/, output: a/, concurrency: 1001}\n",
            "deploy.queue.concurrency: is 1001; it must be at most 1000",
        ),
        (
            ASYNC + "  queue: {input: q/, output: a/, notify: {failure: answers}}\n",
            "deploy.queue.notify.failure: is 'answers', which is no ARN of an SNS topic; write arn:aws:sns:",
        ),
        (
            ASYNC + f"  queue: {{input: q/, output: a/, notify: {{success: {TOPIC}.fifo}}}}\n",
            f"deploy.queue.notify.success: is '{TOPIC}.fifo', a FIFO topic, to which SageMaker doesn't publish",
        ),
        (ASYNC + "  queue: {input: q/, output: a/, notify: {}}\n", "deploy.queue.notify: names nobody; write failure:"),
        (SERVERLESS, "deploy.instance: is said, but kind is serverless, which has no instances to choose"),
    ],
)
def test_what_no_endpoint_of_a_kind_can_be_is_refused_on_its_line(tmp_path: Path, lines: str, message: str) -> None:
    assert message in refusal(tmp_path, lines)


@pytest.mark.parametrize(
    ("deploy", "message"),
    [
        ({"instance_count": 2}, "deploy.instance_count: is said, but kind is serverless"),
        ({"serverless": {"memory": "7GiB"}}, "is 7GiB; a serverless endpoint (by the GiB) takes 1GiB to 6GiB"),
        ({"serverless": {"memory": 2048}}, "deploy.serverless.memory: has no unit: write 2048GiB"),
        ({"serverless": {"concurrency": 201}}, "deploy.serverless.concurrency: is 201; it must be at most 200"),
        ({"serverless": {"provisioned": 6}}, "deploy.serverless.provisioned: is 6, more than concurrency, which is 5"),
        (
            {"shift": {"canary": "10%"}, "rollback_on": {"errors": "1%"}},
            "deploy.shift: is said, but kind is serverless, and SageMaker's deployment guardrails are of real-time and",
        ),
        ({"keep_old": "5m"}, "deploy.keep_old: is said, but kind is serverless, and SageMaker's deployment guardrails"),
        ({"max_time": "1h"}, "deploy.max_time: is said, but kind is serverless"),
        (
            {"queue": {"input": "q/", "output": "a/"}},
            "deploy.queue: is an asynchronous endpoint's, but kind is serverl",
        ),
        ({"input": "rows/"}, "deploy.input: is the rows of a batch, but kind is serverless"),
    ],
)
@pytest.mark.fidelity(
    "Endpoints",
    "Deployment guardrails are of real-time and asynchronous endpoints alone: a serverless one has no shift.",
    "SageMaker Developer Guide, Deployment guardrails for updating models in production",
)
def test_what_aws_has_not_for_serverless_endpoints_is_refused(
    tmp_path: Path, deploy: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=r"pipeline\.yaml") as refused:
        make_spec(tmp_path, deploy={"kind": "serverless", **deploy})
    assert message in str(refused.value)


def test_an_instance_is_required_of_all_others(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"deploy\.instance: is required; write instance: ml\.t2\.medium"):
        make_spec(tmp_path, deploy={"timeout": "10m"})


def test_no_serverless_endpoint_is_in_a_vpc_or_has_gpus(tmp_path: Path) -> None:
    vpc = {"subnets": ["subnet-1"], "security_groups": ["sg-1"]}
    inside = environments.environment("prod", {"account": "111122223333", "vpc": vpc, **CAREFUL})
    outside = environments.environment("prod", {"account": "111122223333", **CAREFUL})
    spec = make_spec(tmp_path, deploy=DEPLOY_SERVERLESS)
    check_serverless(spec, outside)
    check_serverless(make_spec(tmp_path), inside)
    with pytest.raises(
        SpecError, match=r"deploy\.kind: is serverless, but SageMaker has no serverless endpoints in a VPC"
    ):
        check_serverless(spec, inside)
    gpu = spec.model_copy(update={"framework": None, "image": "1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2-gpu-py312"})
    with pytest.raises(SpecError, match="image: is for GPUs, but SageMaker has no serverless endpoints with GPUs"):
        check_serverless(gpu, outside)


def test_kinds_of_endpoints_train_nothing_anew(tmp_path: Path) -> None:
    usual = spec_hash(make_spec(tmp_path, deploy={"instance": "ml.m5.large"}))
    assert spec_hash(make_spec(tmp_path, deploy=DEPLOY_ASYNC)) == usual
    assert loaded(tmp_path, ASYNC + QUEUE + ALARMS + "  shift: {rolling: 25%}\n").is_guarded


def test_an_answer_that_is_fetched_may_take_an_hour(tmp_path: Path) -> None:
    slow = "  shift: {rolling: 25%}\n  rollback_on: {p99_latency: 300s}\n"
    assert loaded(tmp_path, ASYNC + QUEUE + slow).rollback_on.latencies == {"p99": 300_000}  # type: ignore[union-attr]
    message = "deploy.rollback_on.p99_latency: is 3601s; SageMaker waits 60s for an answer, 3600s for an async"
    assert message in refusal(tmp_path, ASYNC + QUEUE + slow.replace("300s", "3601s"))


# ------------------------------------------------------------------------------------------------------------ requests


def test_an_asynchronous_endpoints_config_says_where_its_answers_go(tmp_path: Path) -> None:
    queue = {**DEPLOY_ASYNC["queue"], "concurrency": 3, "notify": {"failure": TOPIC}}  # type: ignore[dict-item]
    ran = run(make_spec(tmp_path, deploy={**DEPLOY_ASYNC, "queue": queue}), World())
    (config,) = ran.called("createEndpointConfig")
    assert config["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": "s3://data/a/",
            "S3FailurePath": "s3://data/a/failed/",
            "NotificationConfig": {"ErrorTopic": TOPIC},
        },
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 3},
    }


def test_a_serverless_endpoints_config_has_no_instances(tmp_path: Path) -> None:
    usual = run(make_spec(tmp_path), World()).called("createEndpointConfig")[0]
    ran = run(make_spec(tmp_path, deploy=DEPLOY_SERVERLESS), World())
    (config,) = ran.called("createEndpointConfig")
    (variant,) = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 4, "ProvisionedConcurrency": 1}
    assert not {"InstanceType", "InitialInstanceCount"} & variant.keys()
    assert config["EndpointConfigName"] != usual["EndpointConfigName"], "named by what it holds"


# -------------------------------------------------------------------------------------------------------------- Verify

SAMPLES = [{"body": "1,2", "answer": "7"}, {"body_base64": "Myw0", "answer": "8"}]
RUN = {"pipeline": "digits", "run_id": "20261120-101112-abcd"}
FOLDER = f"runs/digits/{RUN['run_id']}"
EVENT = {
    "endpoint_name": "local-digits",
    "endpoint_config_name": "new",
    "model_package_arn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits/3",
    "evaluated_by": RUN,
    "asynchronous": True,
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An asynchronous endpoint that answers at once what `answers` says, a failure where it begins with an !."""
    aws = installed(monkeypatch, ARTIFACT_BUCKET="artifacts")
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": "new"}]
    aws.s3.objects["artifacts", f"{FOLDER}/evaluation/evaluation.json"] = json.dumps({"samples": SAMPLES}).encode()
    monkeypatch.setattr(handler.queued.Desk, "pause", lambda *_: None, raising=False)

    def invoke(**request: Any) -> dict[str, str]:
        number = len(aws.called("invoke_endpoint_async"))
        answer = aws.sagemaker_runtime.answers.pop(0)
        place = ("a/failed/" if answer.startswith("!") else "a/") + str(number)
        if answer != "never":
            aws.s3.objects["data", place] = answer.removeprefix("!").encode()
        places = {"OutputLocation": f"s3://data/a/{number}", "FailureLocation": f"s3://data/a/failed/{number}"}
        return {"InferenceId": request["InferenceId"], **places}

    aws.sagemaker_runtime.invoke_endpoint_async = invoke
    return aws


def verify(aws: Aws, *answers: str) -> dict[str, Any]:
    aws.sagemaker_runtime.answers = list(answers)
    return handler.handle(EVENT, None)


def test_verify_waits_for_answers_and_takes_them_away(aws: Aws) -> None:
    assert verify(aws, "7\n", "8") == {
        "verified": True,
        "reason": "2 held-out examples answered as they were evaluated",
        "asked": 2,
        "named": False,
    }
    first, second = aws.called("invoke_endpoint_async")
    assert first["InputLocation"] == f"s3://artifacts/{FOLDER}/verifying/1"
    assert aws.s3.objects["artifacts", f"{FOLDER}/verifying/2"] == b"3,4"
    assert second["InferenceId"] == f"ratchet-verify-{RUN['run_id']}-2-1"
    assert [key for bucket, key in aws.s3.objects if bucket == "data"] == []


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (("9",), "example 1 of 2: answered '9', not '7'"),
        (("!first", "!second", "!no columns"), "example 1 of 2: the model answered with an error: no columns"),
        (("!warming up", "7", "7"), "example 2 of 2: answered '7', not '8'"),
    ],
)
def test_verify_says_what_was_wrong(aws: Aws, answers: tuple[str, ...], reason: str) -> None:
    answer = verify(aws, *answers)
    assert (answer["verified"], answer["reason"]) == (False, reason)


def test_verify_gives_up_an_endpoint_that_never_answers(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.queued, "WAIT_SECONDS", 0.05)
    answer = verify(aws, "never")
    assert answer["reason"].startswith("example 1 of 2: no answer within 0.05 s; the endpoint's log says")


def test_verify_waits_for_a_serverless_endpoint_to_start(aws: Aws) -> None:
    runtime = aws.client("sagemaker-runtime")
    tries: list[int] = []

    def starting(**_request: Any) -> Any:
        tries.append(1)
        if len(tries) < 9:
            raise runtime.error("invoke_endpoint", "ModelNotReadyException", "not yet")
        return {"Body": io.BytesIO(b"7")}

    aws.sagemaker_runtime.invoke_endpoint = starting
    assert handler.ask(runtime, "local-digits", SAMPLES[0], lambda _seconds: None) == (None, None)
    assert len(tries) == 9


# -------------------------------------------------------------------------------------------------------------- invoke


class Runtime:
    """InvokeEndpointAsync that answers at once."""

    def __init__(self, world: Commands, answer: bytes, *, fails: bool = False) -> None:
        self._world, self._answer, self._fails = world, answer, fails

    def invoke_endpoint_async(self, *, InputLocation: str, **_: Any) -> dict[str, str]:  # noqa: N803 - boto3's
        key = InputLocation.removeprefix(f"s3://{BUCKET}/")
        assert self._world.s3.objects[BUCKET, key] == b"1,2,3,4\n"
        self._world.s3.objects[BUCKET, "answers/failed/1" if self._fails else "answers/1"] = self._answer
        places = {"OutputLocation": "answers/1", "FailureLocation": "answers/failed/1"}
        return {name: f"s3://{BUCKET}/{key}" for name, key in places.items()}


@pytest.mark.parametrize("fails", [False, True])
def test_invoke_lays_the_file_down_and_waits_for_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    world = world_in(tmp_path, monkeypatch)
    world.deploy("iris-tree")
    world.serve("s3", memory_services.S3())
    world.cloudformation.stacks["ratchet-local-iris-tree"]["Outputs"].append(
        {"OutputKey": "QueueInput", "OutputValue": "iris/requests/"}
    )
    world.serve("sagemaker-runtime", Runtime(world, b"no column" if fails else b"setosa\n", fails=fails))  # type: ignore[arg-type]
    result = world.call("invoke", "iris-tree", "-", given="1,2,3,4\n")
    if fails:
        log = "/aws/sagemaker/Endpoints/local-iris-tree"  # `ratchet logs` prints a run's, not the endpoint's
        assert f"the model of iris-tree failed: no column\nIts log is {log}." in result.stderr
    else:
        assert result.stdout == "setosa\n", result.stderr
    assert [key for _bucket, key in world.s3.objects if key.startswith("iris/requests/ratchet-invoke/")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Endpoint e not found.", "Endpoint e not found. See `ratchet status iris-tree`; a first champion makes the"),
        ("Request r has oversize body.", "Request r has oversize body. See `ratchet status iris-tree`\n"),
    ],
)
def test_only_of_an_endpoint_that_is_not_there_invoke_says_how_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    """A serverless endpoint refuses large bodies by the same error."""
    world = world_in(tmp_path, monkeypatch)
    world.deploy("iris-tree")
    runtime = memory_services.Runtime()
    world.serve("sagemaker-runtime", runtime)
    world.client("sagemaker-runtime").refusals["invoke_endpoint"] = ("ValidationError", said)
    assert told in world.call("invoke", "iris-tree", "-", given="1,2,3,4\n").stderr
