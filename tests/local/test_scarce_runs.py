"""Whole runs where instances are scarce and where the endpoint's event is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from deployed import Alone, Pipeline, Scripted
from waiting import until

NOT_TO_BE_HAD, WITHOUT_QUOTA = "ml.c5.xlarge", "ml.c5.2xlarge"
SETTINGS = {
    "without_capacity": [NOT_TO_BE_HAD],
    "quotas": {f"{WITHOUT_QUOTA} for training job usage": 0},
}
PIPELINES = {
    "scarce": Scripted(
        {
            "train": {"instance": [NOT_TO_BE_HAD, WITHOUT_QUOTA, "ml.m5.large"]},
            "evaluate": {"instance": [NOT_TO_BE_HAD, "ml.t3.medium"]},
            "deploy": {"instance": [NOT_TO_BE_HAD, "ml.t2.medium"]},
        }
    )
}


@pytest.fixture(scope="module")
def scarce(alone: Alone) -> Iterator[Pipeline]:
    with alone("scarce", **SETTINGS) as pipeline:
        yield pipeline


@pytest.mark.fidelity(
    "Endpoints",
    "Instance pools are tried in the order of their priorities; DescribeEndpoint counts each one's instances.",
    "SageMaker DG, Deploy to multiple instance types with instance pools; SageMaker API, InstancePoolSummary",
)
def test_each_step_takes_the_first_type_that_is_to_be_had(scarce: Pipeline) -> None:
    scarce.order(accuracy=0.7)
    record = scarce.run()
    assert (record["outcome"], record.get("error")) == ("Promoted", None)
    client = scarce.aws.client("sagemaker")
    trained = client.describe_training_job(TrainingJobName=record["jobs"]["train"])
    assert trained["ResourceConfig"]["InstanceType"] == record["instances"]["train"] == "ml.m5.large"
    evaluated = client.describe_processing_job(ProcessingJobName=record["jobs"]["evaluate"])
    cluster = evaluated["ProcessingResources"]["ClusterConfig"]
    assert cluster["InstanceType"] == record["instances"]["evaluate"] == "ml.t3.medium"
    (variant,) = client.describe_endpoint(EndpointName=scarce.own["EndpointName"])["ProductionVariants"]
    assert variant["InstancePools"] == [
        {"InstanceType": NOT_TO_BE_HAD, "CurrentInstanceCount": 0},
        {"InstanceType": "ml.t2.medium", "CurrentInstanceCount": 1},
    ]
    assert record["deployment"]["instance"] == "ml.t2.medium"
    states = scarce.states(record["run_id"])
    assert states.count("Train") == 3 and states.count("Evaluate") == 2 and states.count("TrainCleared") == 1
    assert scarce.ask(1) in ("0", "1")


def test_a_lost_event_is_made_up_for_by_the_launchers_regular_look(scarce: Pipeline) -> None:
    """The machine looks by itself, too, a minute later."""
    events, names = scarce.aws.client("events"), []
    for rule in events.list_rules(NamePrefix="ratchet-local-scarce-TriggersEndpointAtRest")["Rules"]:
        names.append(rule["Name"])
        events.disable_rule(Name=rule["Name"])
    assert len(names) == 1
    before = scarce.deployed()["endpoint"]
    scarce.order(accuracy=0.8)
    run_id = str(scarce.trigger()["run_id"])
    until(lambda: scarce.deployed()["endpoint"][1] != before[1], "the new model")
    kept: Any = until(lambda: scarce.item(f"run#{run_id}").get("awaits_endpoint"), "the wait")
    assert kept["status"] == "Updating" and kept["config"] == before[1]
    scarce.trigger("reconcile")
    record = scarce.record(run_id)
    assert record["outcome"] == "Promoted" and "awaits_endpoint" not in record
    visits = [visit for visit in scarce.execution(run_id).visits if visit.name == "WaitForEndpoint"]
    assert len(visits) == 1 and (visits[0].seconds or 0) < 55, "it didn't wait for its own look"
    events.enable_rule(Name=names[0])
