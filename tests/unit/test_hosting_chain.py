"""Several containers as one, and the requests that make such models: no processes, see test_hosting_fleet.py."""

from __future__ import annotations

import dataclasses
import os
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from test_hosting_fleet import ThreadedContainer, plan
from waiting import WAIT_SECONDS, until

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import invocation, model_request
from localaws.sagemaker.hosting.chain import Chain, Link
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError, Start, VariantPlan
from localaws.sagemaker.hosting.invocation import Invoker, InvokeRequest, ModelError
from localaws.sagemaker.hosting.worker import Worker, start_worker

Document = dict[str, Any]


class Stage(ThreadedContainer):
    """A container that appends its name to what it is sent, or does what a body `to <names>: <verb>` tells it to."""

    def __init__(self, descriptor: int, name: str, *, healthy: bool) -> None:
        super().__init__(descriptor, str, healthy=healthy)
        self.name = name
        self.asked: list[tuple[str, str]] = []
        self._model.functions = dataclasses.replace(self._model.functions, transform_fn=self._transform)

    def _transform(self, _model: object, body: str | bytes, content_type: str, accept: str) -> Any:
        text = body if isinstance(body, str) else body.decode()
        self.asked.append((content_type, accept))
        names, _, verb = text.partition(">")[0].removeprefix("to ").partition(": ")
        done = getattr(self, verb)() if self.name in names.split(" and ") else None
        return done or (f"{text}>{self.name}", f"text/{self.name}")

    def refuse(self) -> Any:
        return SimpleNamespace(
            status_code=415, content_type="text/plain", headers={}, get_data=lambda: b"no such thing"
        )

    def dawdle(self) -> None:
        time.sleep(0.3)

    def end(self) -> None:
        self.stop()

    def swell(self) -> tuple[str, str]:
        return "x" * 6_000_000, "text/plain"


class Chained:
    """A deployment of one chain, and what its containers were asked."""

    def __init__(self, *names: str, is_direct: bool = False, sick: str = "") -> None:
        self.stages: list[dict[str, Stage]] = []
        self.recorded: list[Document] = []
        # Those that are well have to answer within it, however busy the machine is.
        limit = 1.0 if sick else WAIT_SECONDS
        self.deployment = Deployment([plan(startup_seconds=limit)], self._start(names, is_direct=is_direct, sick=sick))
        serving: Any = SimpleNamespace(get=lambda _name: self.deployment, wait_for=lambda *_: self.deployment)
        metrics: Any = SimpleNamespace(
            record=lambda *_: None, record_containers=lambda _source, seconds, _direct: self.recorded.append(seconds)
        )
        platform: Any = SimpleNamespace(region="us-east-1", account="000000000000")
        self.invoker = Invoker(SimpleNamespace(is_coming_back=lambda _: False), serving, metrics, platform)  # type: ignore[arg-type]

    def _start(self, names: tuple[str, ...], *, is_direct: bool, sick: str) -> Start:
        def start(_plan: VariantPlan, _instance: str) -> Worker:
            made: dict[str, Stage] = {}

            def worker(name: str) -> Worker:
                def spawn(descriptor: int) -> Stage:
                    made[name] = Stage(os.dup(descriptor), name, healthy=name not in sick)
                    return made[name]

                return start_worker(spawn)

            links = [Link(name, worker(name)) for name in names]
            self.stages.append(made)
            return Chain(links, is_direct=is_direct)

        return start

    def ask(self, body: str, **more: Any) -> Any:
        request = InvokeRequest("e", body.encode(), "text/csv", "text/last", **more)
        return self.invoker.invoke(request)

    def __enter__(self) -> Chained:
        self.deployment.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.deployment.stop()


@pytest.mark.fidelity(
    "Models",
    "An inference pipeline: each container's answer and its Content-Type are the next one's request.",
    "amazon-sagemaker-examples#729: XGBoost's container refuses what scikit-learn's answered with",
)
@pytest.mark.fidelity(
    "Models",
    "What output_fn calls text/csv in scikit-learn's image is text/csv; charset=utf-8 to the next container.",
    "amazon-sagemaker-examples#3235",
)
@pytest.mark.fidelity(
    "Models",
    "The caller's Accept is the last container's to see; the others answer as their own default says.",
    "amazon-sagemaker-examples#729: scikit-learn's container answers JSON although the caller accepts text/csv",
)
def test_a_request_goes_through_all_containers_and_the_last_one_answers() -> None:
    with Chained("a", "b", "c") as chained:
        answer = chained.ask("1")
        assert (answer.status, answer.body, answer.content_type) == (200, b"1>a>b>c", "text/c")
        [stages] = chained.stages
        default = "application/json"  # of SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT
        assert [stages[name].asked for name in "abc"] == [
            [("text/csv", default)], [("text/a; charset=utf-8", default)], [("text/b; charset=utf-8", "text/last")]
        ]  # fmt: skip
        assert [list(seconds) for seconds in chained.recorded] == [["a", "b", "c"]]


@pytest.mark.fidelity(
    "Models",
    "ModelError of an inference pipeline names the container: Received client error (415) from container-2.",
    "amazon-sagemaker-examples#729; SageMaker DG, Troubleshoot Inference Pipelines",
)
def test_an_error_of_a_container_is_the_answer_and_says_which_it_was() -> None:
    with Chained("a", "b", "c") as chained:
        with pytest.raises(ModelError) as caught:
            chained.ask("to b: refuse")
        assert caught.value.message.startswith(
            'Received client error (415) from b with message "no such thing". See https://us-east-1.console.aws.amazon'
            ".com/cloudwatch/home?region=us-east-1#logEventViewer:group=/aws/sagemaker/Endpoints/e in account"
        )
        members = caught.value.members
        assert (members["OriginalStatusCode"], members["OriginalMessage"]) == (415, "no such thing")
        [instance] = chained.deployment._all()
        assert members["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/e:log-stream:A/{instance.id}/b")
        assert chained.stages[0]["c"].asked == []
        assert [list(seconds) for seconds in chained.recorded] == [["a", "b"]], "the latencies of those that were asked"


@pytest.mark.fidelity(
    "Models",
    "A container's answer of more than 5 MB isn't passed on; the ModelError says between which containers.",
    "SageMaker DG, Troubleshoot Inference Pipelines",
)
def test_what_a_container_passes_on_has_a_limit() -> None:
    with Chained("a", "b") as chained:
        with pytest.raises(ModelError) as caught:
            chained.ask("to a: swell")
        assert caught.value.message.startswith(
            "Received response from a with status code 200. However, the request payload from a to b is 6000000 bytes, "
            "which has exceeded the maximum limit of 5 MB. See https://us-east-1.console.aws.amazon.com/cloudwatch/home"
        )
        assert len(chained.ask("to b: swell").body) == 6_000_000, "the last one's answer is no request"
        with chained.deployment.lease(None) as (_, worker):
            worker.max_answer = 7_000_000  # as a transform job does
        assert chained.ask("to a: swell").body.endswith(b"x>b")


def test_the_time_that_a_request_may_take_is_for_all_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "RESPONSE_SECONDS", 0.4)
    with Chained("a", "b") as chained:
        with pytest.raises(ModelError, match=r"server error \(0\) from b .*a response from container b\. Review"):
            chained.ask("to a and b: dawdle")
        assert until(lambda: len(chained.stages) == 2, "the instance that hung is started again, all of it")
        assert chained.ask("1").body == b"1>a>b"


@pytest.mark.parametrize("ending", ["a", "b"])
def test_a_container_that_ends_takes_the_others_with_it_and_all_start_again(ending: str) -> None:
    with Chained("a", "b") as chained:
        with pytest.raises(ModelError, match=rf"server error \(500\) from {ending} "):
            chained.ask(f"to {ending}: end")
        assert chained.ask("1").body == b"1>a>b", "the next request waits for them"
        assert [stage.wait(WAIT_SECONDS) for stage in chained.stages[0].values()] == [0, 0]


@pytest.mark.fidelity(
    "Models",
    "Containers that fail the ping check are named: The container-2 for production variant … did not pass the ping.",
    "amazon-sagemaker-examples#1072; SageMaker DG, Troubleshoot Inference Pipelines",
)
@pytest.mark.parametrize(
    ("sick", "named"), [("b", "The b for production variant A"), ("ac", "The a, c for production variant A")]
)
def test_all_containers_must_be_healthy_and_those_that_are_not_are_named(sick: str, named: str) -> None:
    chained = Chained("a", "b", "c", sick=sick)
    with pytest.raises(FleetError) as caught:
        chained.deployment.start()
    assert str(caught.value).startswith(f"{named} did not pass the ping health check. Please check CloudWatch logs")
    assert [stage.wait(WAIT_SECONDS) for stage in chained.stages[0].values()] == [0, 0, 0], "none is left"


@pytest.mark.fidelity(
    "Models",
    "Mode=Direct: TargetContainerHostname's container alone answers; without one, or with another's, it is refused.",
    "SageMaker DG, Invoke a multi-container endpoint with direct invocation",
)
def test_a_container_may_be_asked_by_name_where_requests_must_say_it() -> None:
    with Chained("a", "b", is_direct=True) as chained:
        answer = chained.ask("1", target_container="b")
        assert (answer.body, answer.content_type) == (b"1>b", "text/b")
        assert chained.stages[0]["b"].asked == [("text/csv", "text/last")]
        assert [list(seconds) for seconds in chained.recorded] == [["b"]]
        for name, told in (
            (None, "give TargetContainerHostname"),
            ("c", "no container with TargetContainerHostname c"),
        ):
            with pytest.raises(SageMakerError, match=told):
                chained.ask("1", target_container=name)
    with Chained("a", "b") as chained, pytest.raises(SageMakerError, match="not configured for direct invocation"):
        chained.ask("1", target_container="a")


IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::000000000000:role/host"


def model(*names: str | None, **more: Any) -> Document:
    """CreateModel's request with containers of these names."""
    containers = [{"Image": IMAGE, **({"ContainerHostname": name} if name else {})} for name in names]
    return {"ModelName": "m", "ExecutionRoleArn": ROLE, **({"Containers": containers} if names else {}), **more}


@pytest.mark.fidelity(
    "Models",
    "A hostname for one container of a model means one for each, all different; without any, container-1 and so on.",
    "SageMaker API, ContainerDefinition: ContainerHostname; SageMaker DG, CloudWatch Logs for Amazon SageMaker AI",
)
@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (model("a", "b", PrimaryContainer={"Image": IMAGE}), "Give either PrimaryContainer or Containers, not both"),
        (model(), "Give either PrimaryContainer or Containers, not both"),
        (model("a", None, "c"), "Container 2 of 3 has no ContainerHostname, but others have"),
        (model("a", "b", "a"), "ContainerHostname must be unique among a model's containers: a is there twice."),
        (model(None, None, InferenceExecutionConfig={"Mode": "Direct"}), "Mode=Direct needs a ContainerHostname"),
        (
            model(PrimaryContainer={"Image": IMAGE}, InferenceExecutionConfig={"Mode": "Direct"}),
            "Mode=Direct needs Containers, not PrimaryContainer",
        ),
        (
            {"ModelName": "m", "ExecutionRoleArn": ROLE,
             "Containers": 2 * [{"Image": IMAGE, "Environment": {"A": 17_000 * "a"}}]},
            "The Environment maps of a model's containers have 34002 bytes together; the limit is 32768 bytes.",
        ),
        (
            {"ModelName": "m", "ExecutionRoleArn": ROLE, "Containers": [{"Image": IMAGE}, {"Mode": "MultiModel"}]},
            "not supported here: Mode=MultiModel of a container",
        ),
        (
            {"ModelName": "m", "ExecutionRoleArn": ROLE, "Containers": [{"Image": IMAGE}, {}]},
            "A container needs either Image or ModelPackageName.",
        ),
        ({"ModelName": "m", "Containers": [{"Image": IMAGE}]}, "ExecutionRoleArn is missing"),
    ],
)  # fmt: skip
def test_containers_that_cant_be_one_model_are_refused(request_: Document, told: str) -> None:
    with pytest.raises(SageMakerError, match=re.escape(told)):
        model_request.check(request_)


def test_containers_without_names_are_numbered() -> None:
    given = model_request.containers_of(model(None, None))
    assert [each["ContainerHostname"] for each in model_request.with_hostnames(given)] == ["container-1", "container-2"]
    named = model_request.containers_of(model("a", "b"))
    model_request.check(model("a", "b"))
    assert model_request.with_hostnames(named) == named
