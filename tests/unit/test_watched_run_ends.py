"""However a run ends whose deployment is watched: the champion serves, its alarms are gone, the next run promotes."""

from __future__ import annotations

import pytest
from ends_world import Ends, Trouble, watched

__all__ = ["watched"]


def champion(ends: Ends) -> str:
    return str((ends.state.champion or {})["run_id"])


def assert_as_before(ends: Ends, before: str) -> None:
    """Nothing in use was deleted (the memory asserts it), nothing is left over, and the next run works."""
    ends.assert_agreed()
    assert champion(ends) == before
    assert ends.record(ends.run())["outcome"] == "Promoted"
    ends.assert_agreed()
    assert ends.aws.cloudwatch.alarms == {}
    (config,) = [entry["endpoint_config_name"] for entry in ends.state.retained if entry["model_name"]][:1]
    assert ends.sagemaker.endpoint == {"EndpointStatus": "InService", "EndpointConfigName": config}
    assert len(ends.sagemaker.configs) <= 2, "the champion's, and the one before"


def test_a_challenger_that_nothing_is_wrong_with_is_promoted_and_its_alarms_go(watched: Ends) -> None:
    run_id = watched.run()
    assert champion(watched) == run_id and not watched.aws.cloudwatch.alarms
    deleted = [name for request in watched.aws.called("delete_alarms") for name in request["AlarmNames"]]
    config = (watched.state.champion or {})["endpoint_config_name"]
    assert deleted[-2:] == [f"{config}-errors", f"{config}-p99-latency"]
    assert_as_before(watched, run_id)


@pytest.mark.parametrize("how", ["sounds", "deleted"])
def test_a_deployment_that_an_alarm_ends_leaves_the_champion(watched: Ends, how: str) -> None:
    """Or whose alarm somebody deletes meanwhile: SageMaker can't tell that all is well."""
    before = champion(watched)
    if how == "sounds":
        watched.sagemaker.sounds = True
    else:
        put = watched.sagemaker.update_endpoint

        def update(config: str, alarms: list[str]) -> None:
            put(config, alarms)
            watched.aws.cloudwatch.alarms.clear()

        watched.sagemaker.update_endpoint = update  # type: ignore[method-assign]
    record = watched.record(watched.run())
    if how == "deleted":
        watched.sagemaker.update_endpoint = put  # type: ignore[method-assign]
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "DeploymentRolledBack")
    assert "SageMaker gives no reason; it was watched by the alarms local-digits-forest-" in record["error"]["cause"]
    assert record["champion_after"]["run_id"] == before
    assert_as_before(watched, before)


@pytest.mark.parametrize("how", ["stopped", "lost", "timed out"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("task", ["putMetricAlarm", "describeAlarms", "updateEndpoint", "verifier"])
def test_a_run_that_is_ended_from_outside_while_it_deploys(watched: Ends, task: str, after: bool, how: str) -> None:
    before = champion(watched)
    run_id = watched.run(Trouble(task, how, after))
    assert watched.record(run_id)["outcome"] == ("Stopped" if how == "stopped" else "Failed")
    if how == "lost":
        assert watched.record(champion(watched))["outcome"] == "Promoted", "it was tried again"
        before = champion(watched)
    assert_as_before(watched, before)


def test_a_run_that_gives_up_waits_the_update_out_and_restores_the_champion(watched: Ends) -> None:
    before = champion(watched)
    assign = watched.definition["States"]["UpdateEndpoint"]["Assign"]
    kept, assign["deploy_deadline"] = assign["deploy_deadline"], "{% $millis() - 1 %}"
    watched.sagemaker.looks = 9
    record = watched.record(watched.run())
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "DeploymentFailed")
    assign["deploy_deadline"], watched.sagemaker.looks = kept, 2
    assert_as_before(watched, before)


@pytest.mark.parametrize("task", ["putMetricAlarm", "describeAlarms", "updateEndpoint", "describeEndpoint"])
def test_a_run_that_is_refused_a_call_while_it_deploys(watched: Ends, task: str) -> None:
    before = champion(watched)
    run_id = watched.run(Trouble(refused=frozenset({("machine", task)})))
    assert watched.record(run_id)["outcome"] == "Failed"
    assert_as_before(watched, before)


def test_alarms_that_the_recorder_may_not_delete_are_said_and_go_with_the_next_run(watched: Ends) -> None:
    run_id = watched.run(Trouble(refused=frozenset({("recorder", "delete_alarms")})))
    record = watched.record(run_id)
    assert (record["outcome"], record["error"]["error"]) == ("Promoted", "AfterwardsFailed")
    assert len(watched.aws.cloudwatch.alarms) == 2
    assert_as_before(watched, run_id)
