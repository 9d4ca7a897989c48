"""Whole runs whose challengers are a shadow first, under load: who agrees takes over, who doesn't never answers.

What is only waited for passes a hundred times as fast; the pipeline says what it would say in an account.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from asking import asked_without_pause
from deployed import Alone, Pipeline, Scripted
from waiting import until

SHADOWED: dict[str, Any] = {
    "instance": "ml.t2.medium",
    "shift": {"shadow": "5m", "agree": "95%", "then": {"canary": "20%", "bake": "1m"}},
    "rollback_on": {"errors": "1%", "p90_latency": "400ms"},
    "keep_champions": 1,
}
PIPELINES = {"shadowed": Scripted({"deploy": SHADOWED})}


@pytest.fixture(scope="module")
def shadowed(alone: Alone) -> Iterator[Pipeline]:
    """A pipeline with a champion that is right in 70 of 100 cases."""
    with alone("shadowed", clock_scale=100) as pipeline:
        pipeline.order(accuracy=0.7)
        first = pipeline.run()
        assert first["outcome"] == "Promoted"
        assert first["shadow"]["skipped"].startswith("no champion served")
        yield pipeline


def challenged(pipeline: Pipeline, **orders: Any) -> dict[str, Any]:
    """A challenger that is better where it is judged, its end; nobody gets anything but the right answer meanwhile."""
    pipeline.order(at=time.time(), **orders)
    with asked_without_pause(pipeline) as asked:
        record = pipeline.run()
    assert (asked.failures, asked.answers) == ([], {b"1"})
    return record


def assert_in_order(pipeline: Pipeline, champion: str) -> None:
    """That run's model serves, without a shadow, and there is nothing that neither serves nor may come back."""
    state, there = pipeline.state, pipeline.deployed()
    assert state["champion"]["run_id"] == champion
    assert there["endpoint"] == ("InService", state["champion"]["endpoint_config_name"])
    kept = [entry for entry in (state["champion"], state.get("previous_champion"), *state["retained"]) if entry]
    assert there["models"] <= {entry["model_name"] for entry in kept}
    assert there["configs"] <= {entry["endpoint_config_name"] for entry in kept}


def test_a_shadow_that_disagrees_is_out_and_the_record_says_where(shadowed: Pipeline) -> None:
    champion = shadowed.state["champion"]["run_id"]
    record = challenged(shadowed, accuracy=0.9, endpoint="lie")
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "ShadowDisagrees"), record["error"]
    seen = record["shadow"]
    assert 10 < seen["pairs"] == seen["differ"] and seen["errors"] == 0
    assert seen["copies"] >= seen["pairs"]
    (served, wrong), first = (
        ({each[name] for each in seen["examples"]} for name in ("served", "shadow")),
        seen["examples"][0],
    )
    assert (served, wrong) == ({"1"}, {"0"})
    assert first["event_id"] in record["error"]["cause"]
    assert record["error"]["cause"].startswith(
        "as a shadow: 0 % of its answers are the champion's, and the spec wants 95 %"
    )
    assert_in_order(shadowed, champion)
    captured = shadowed.aws.client("s3").list_objects_v2(
        Bucket=shadowed.shared["ArtifactBucketName"], Prefix=f"captures/shadowed/{record['run_id']}/"
    )
    assert {entry["Key"].split("/")[4] for entry in captured["Contents"]} == {"AllTraffic", "Shadow"}


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [("crash", "ShadowFailed", "did not pass the ping health check"), ("dawdles", "ShadowDisagrees", "p90 latency")],
)
def test_a_shadow_that_never_answers_or_is_slow_is_out(shadowed: Pipeline, how: str, error: str, told: str) -> None:
    champion = shadowed.state["champion"]["run_id"]
    record = challenged(shadowed, accuracy=0.9, endpoint=how)
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", error), record["error"]
    assert told in record["error"]["cause"]
    assert_in_order(shadowed, champion)


def test_a_run_that_is_stopped_while_there_is_a_shadow_is_repaired(shadowed: Pipeline) -> None:
    champion = shadowed.state["champion"]["run_id"]
    shadowed.order(accuracy=0.9, at=time.time())
    run_id = shadowed.trigger()["run_id"]
    endpoint = shadowed.own["EndpointName"]
    describe = shadowed.aws.client("sagemaker").describe_endpoint
    until(lambda: "ShadowProductionVariants" in describe(EndpointName=endpoint), "the shadow")
    shadowed.aws.client("stepfunctions").stop_execution(executionArn=shadowed.item(f"run#{run_id}")["execution_arn"])
    assert shadowed.record(run_id)["outcome"] == "Stopped"
    shadowed.idle()
    until(lambda: len(shadowed.deployed()["configs"]) == 1, "the repair to be recorded")
    shadowed.idle()
    assert_in_order(shadowed, champion)


def test_a_shadow_that_agrees_takes_over_by_its_canary(shadowed: Pipeline) -> None:
    record = challenged(shadowed, accuracy=0.9)
    assert record["outcome"] == "Promoted", record.get("error")
    assert record["shadow"]["agrees"] is True
    assert record["shadow"]["differ"] == 0 < record["shadow"]["pairs"]
    states = shadowed.states(record["run_id"])
    order = [
        state for state in states if state in ("Deploy", "Shadow", "Compare", "EndShadow", "UpdateEndpoint", "Verify")
    ]
    assert order == ["Deploy", "Shadow", "Compare", "EndShadow", "UpdateEndpoint", "Verify"]
    assert_in_order(shadowed, record["run_id"])
