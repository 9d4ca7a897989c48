"""However a run ends, on a real endpoint: it serves the champion afterwards, and table and record say the same."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed import Pipeline, Scripted, opened
from running_aws import AwsFactory
from waiting import until

PIPELINES = {"ending": Scripted()}


@pytest.fixture(scope="module")
def ending(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline with a champion."""
    pipeline = deployed("ending")
    pipeline.order(accuracy=0.7)
    assert pipeline.run(forced=True)["outcome"] == "Promoted"
    return pipeline


def assert_agreed(pipeline: Pipeline) -> None:
    """Once nothing runs or waits; of all runs the records are written, and the champion answers."""
    champion = pipeline.idle()["champion"]
    assert pipeline.deployed()["endpoint"] == ("InService", champion["endpoint_config_name"])
    for execution in pipeline.executions():
        outcome = pipeline.item(f"run#{execution['name']}")["outcome"]
        assert outcome != "Running" and (outcome == "Promoted" or execution["name"] != champion["promoted_by"])
    assert pipeline.ask(1) == "1"


def champion(pipeline: Pipeline) -> str:
    return str(pipeline.state["champion"]["run_id"])


@contextmanager
def impatient(pipeline: Pipeline) -> Iterator[None]:
    """The pipeline's machine gives up each deployment at once."""
    client, machine = pipeline.aws.client("stepfunctions"), pipeline.own["StateMachineArn"]
    before = client.describe_state_machine(stateMachineArn=machine)["definition"]
    definition = json.loads(before)
    for begins in ("CreateEndpoint", "UpdateEndpoint"):
        definition["States"][begins]["Assign"]["deploy_deadline"] = "{% $millis() - 1 %}"
    client.update_state_machine(stateMachineArn=machine, definition=json.dumps(definition))
    try:
        yield
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=before)


@pytest.mark.fidelity(
    "Endpoints",
    "An update can't be cancelled, and while it lasts another one is refused: whoever gives it up waits it out.",
    "SageMaker API reference, UpdateEndpoint; aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go",
)
def test_a_deployment_that_is_given_up_leaves_the_champion_serving(ending: Pipeline) -> None:
    before = champion(ending)
    ending.order(accuracy=0.9, endpoint="slow")
    with impatient(ending):
        record = ending.run(forced=True)
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "DeploymentFailed")
    assert "RestoreChampion" in ending.states(record["run_id"])
    assert_agreed(ending)
    assert champion(ending) == before


@pytest.mark.parametrize("state", ["Train", "AwaitEndpoint"])
def test_a_run_that_a_person_stops_leaves_the_champion_serving(ending: Pipeline, state: str) -> None:
    before = champion(ending)
    ending.idle()
    ending.order(accuracy=0.9, endpoint="slow", train="linger", seconds=1 if state == "Train" else 0)
    answer = ending.trigger(forced=True)
    until(lambda: state in ending.states(answer["run_id"]), state)
    ending.aws.client("stepfunctions").stop_execution(executionArn=answer["execution_arn"])
    assert ending.record(answer["run_id"])["outcome"] == "Stopped"
    assert_agreed(ending)
    assert champion(ending) == before
    repairs = [
        each["name"]
        for each in ending.executions()
        if ending.item(f"run#{each['name']}")["trigger"]["kind"] == "repair"
    ]
    assert len(repairs) == (0 if state == "Train" else 1)


def test_a_promotion_that_cannot_be_recorded_is_taken_back(ending: Pipeline) -> None:
    before = champion(ending)
    ending.idle()
    ending.order(accuracy=0.9)
    with ending.without("dynamodb:PutItem", ending.role("RunRecorder")):
        answer = ending.trigger(forced=True)
        record = ending.record(answer["run_id"])
        ending.idle()
    assert (record["outcome"], record["error"]["error"]) == ("Failed", "NotRecorded")
    assert_agreed(ending)
    assert champion(ending) == before


def test_what_a_person_does_to_the_endpoint_is_put_back_by_the_next_run(ending: Pipeline) -> None:
    sagemaker, name = ending.aws.client("sagemaker"), ending.own["EndpointName"]
    ending.order(accuracy=0.7)
    assert ending.run(forced=True)["outcome"] in ("Promoted", "NotBetter")
    sagemaker.delete_endpoint(EndpointName=name)
    until(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"], "the endpoint to go")
    record = ending.run()
    assert record["outcome"] == "UpToDate"
    assert record["repaired"].startswith("there was no endpoint, though there is the champion")
    assert_agreed(ending)


def test_a_rollback_that_the_server_does_not_survive_stays_a_rollback(fresh_deployed_aws: AwsFactory) -> None:
    """Killed when the champion has moved, before all of it is recorded: it isn't run again the other way round."""
    aws = fresh_deployed_aws.start()
    pipeline = opened(aws, "ending", PIPELINES["ending"])
    for accuracy in (0.7, 0.9):
        pipeline.order(accuracy=accuracy)
        assert pipeline.run()["outcome"] == "Promoted"
    left, back = champion(pipeline), str(pipeline.state["previous_champion"]["run_id"])
    run_id = pipeline.trigger("rollback")["run_id"]
    with suppress(ClientError):
        while champion(pipeline) == left:
            time.sleep(0.01)
    os.kill(aws.server.pid, signal.SIGKILL)

    restarted = Pipeline(fresh_deployed_aws.start(), pipeline.name, pipeline.shared, pipeline.own)
    assert_agreed(restarted)
    assert champion(restarted) == back
    assert restarted.record(run_id)["outcome"] == "Promoted"
    assert restarted.ask(85) == "0", "0.7 is right below 70"
    assert [each["name"] for each in rollbacks(restarted)] == [run_id]


def rollbacks(pipeline: Pipeline) -> list[dict[str, Any]]:
    found = pipeline.executions()
    return [each for each in found if pipeline.item(f"run#{each['name']}")["trigger"]["kind"] == "rollback"]
