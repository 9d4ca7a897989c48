"""Endpoints of each kind, where people look: `status` and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from commands_world import World, world_in
from run_documents import RUN_ID, record

from contract import run_table, scaling
from ratchet import autoscaling, report, runs

NAME = "local-iris-tree"
IN_SERVICE = {"EndpointName": NAME, "EndpointStatus": "InService", "EndpointConfigName": "c1"}
SCALED = {"in_force": True, "was": scaling.STOPPED, "min": 1, "max": 4, "invocations_per_instance": 1000, "times": 2}


def variant(count: int, name: str = "AllTraffic") -> dict[str, Any]:
    return {"VariantName": name, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


ENDPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "of one instance": ({"ProductionVariants": [variant(1)]}, "InService, 1 instance"),
    "asynchronous": (
        {"ProductionVariants": [variant(2)], "AsyncInferenceConfig": {"OutputConfig": {}}},
        "InService, asynchronous, 2 instances",
    ),
    "serverless": (
        {"ProductionVariants": [{"VariantName": "AllTraffic", "CurrentServerlessConfig": {"MemorySizeInMB": 2048}}]},
        "InService, serverless",
    ),
    "with a shadow": (
        {"ProductionVariants": [variant(2)], "ShadowProductionVariants": [variant(2, "Shadow")]},
        "InService, 2 instances, with a shadow",
    ),
    "that is being updated": (
        {
            "EndpointStatus": "Updating",
            "ProductionVariants": [variant(3)],
            "PendingDeploymentSummary": {"EndpointConfigName": "c2"},
        },
        "Updating, 3 instances, on its way to c2",
    ),
    "that is being created": ({"EndpointStatus": "Creating"}, "Creating"),
}


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path, monkeypatch)
    world.deploy("iris-tree")
    return world


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_status_tells_an_endpoints_kind_and_its_instances(world: World, kind: str) -> None:
    described, told = ENDPOINTS[kind]
    world.sagemaker.endpoints[NAME] = [{**IN_SERVICE, **described}]
    lines = [line.strip() for line in world.call("status", "iris-tree").stdout.splitlines()]
    assert f"endpoint   {NAME}  {told}" in lines


def test_an_endpoint_that_is_not_there_yet_is_told(world: World) -> None:
    assert f"endpoint   {NAME}  not created yet" in world.call("status", "iris-tree").stdout


def test_programs_are_told_the_same(world: World) -> None:
    world.sagemaker.endpoints[NAME] = [{**IN_SERVICE, **ENDPOINTS["with a shadow"][0]}]
    (told,) = json.loads(world.call("status", "--json").stdout)["pipelines"]
    assert told["endpoint"] == {
        "name": NAME, "status": "InService", "config": "c1", "failure": None, "kind": "endpoint", "instances": 2,
        "shadow": "Shadow", "deploying": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, ""),
        ({"stopped": scaling.STOPPED}, ""),
        (SCALED, "1 to 4 instances, by 1000 requests each a minute, 2 scheduled actions"),
        ({**SCALED, "times": 0}, "1 to 4 instances, by 1000 requests each a minute"),
        (
            {"in_force": True, "was": scaling.OTHERWISE, "min": 2, "max": 6, "times": 1},
            "2 to 6 instances, 1 scheduled action, put back by this run, which found it otherwise",
        ),
        (
            {"in_force": False, "was": scaling.NOT_SCALED, "reason": "not authorized"},
            "not as pipeline.yaml says: not authorized",
        ),
    ],
)
def test_scaling_is_told_in_a_sentence(found: Any, told: str) -> None:
    assert autoscaling.sentence({scaling.SCALING: found}) == told


def test_status_and_the_report_tell_how_the_endpoint_is_scaled(world: World) -> None:
    said = "1 to 4 instances, by 1000 requests each a minute, 2 scheduled actions"
    key = run_table.key("iris-tree", run_table.run_item(RUN_ID))
    item = {"run_id": RUN_ID, "outcome": "UpToDate", scaling.SCALING: SCALED}
    serialized = {name: TypeSerializer().serialize(value) for name, value in item.items()}
    world.dynamodb.put_item(Item={**key, **serialized})
    assert f"scaling    {said}" in world.call("status", "iris-tree").stdout
    page = page_of(scaling=SCALED)
    assert f"<th>Scaling</th><td>{said}</td>" in page
    assert "<th>Scaling</th>" not in page_of()


def test_the_report_tells_on_which_of_several_instance_types_a_run_ran() -> None:
    page = page_of(
        jobs={"train": "the-job"}, instances={"train": "ml.m5.large"}, deployment={"instance": "ml.c5.large"}
    )
    assert "<code>the-job</code> on ml.m5.large" in page
    assert "<th>Answers on</th><td>ml.c5.large</td>" in page


def test_the_report_tells_the_threshold_of_a_champion() -> None:
    champion = {"run_id": RUN_ID, "metric": "accuracy", "score": 0.9913, "threshold": "0.8"}
    assert "accuracy 0.9913, with the threshold 0.8" in page_of(champion_after=champion)


def page_of(**changes: Any) -> str:
    run = runs.of_item(record(**changes))
    return " ".join(report.render(report.Sources(run, "local", "000000000000", "us-east-1")).split())
