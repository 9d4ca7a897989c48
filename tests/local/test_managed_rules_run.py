"""`rules_service: sagemaker`, deployed: SageMaker evaluates the rules, and the same stopper serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from image_uris import SKLEARN
from waiting import until

RULES = [
    {"rule": "LossNotDecreasing", "parameters": {"num_steps": 10}},
    {
        "rule": "Overfit",
        "name": "overfit-told",
        "parameters": {"ratio_threshold": 0.5, "patience": 2},
        "action": "notify",
    },
    {"rule": "DeadRelu", "action": "record"},
]


# An image of one's own, as far as the spec knows: for scikit-learn SageMaker Debugger has no hook, the probe has.
SPEC: dict[str, Any] = {
    "framework": None,
    "image": SKLEARN,
    "rules_service": "sagemaker",
    "rules": RULES,
    "probe": {"collections": {"losses": {"interval": 1}}},
}
PIPELINES = {"managed": Scripted(SPEC)}


@pytest.fixture(scope="module")
def managed(deployed: Callable[[str], Pipeline]) -> Pipeline:
    pipeline = deployed("managed")
    pipeline.order(accuracy=0.8, train="watched", trouble="learns", steps=40)
    assert pipeline.run(forced=True)["outcome"] == "Promoted"
    return pipeline


def training_job(pipeline: Pipeline, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = pipeline.aws.client("sagemaker").describe_training_job(
        TrainingJobName=f"local-managed-{run_id}-train"
    )
    return found


def statuses(job: dict[str, Any]) -> dict[str, str]:
    return {
        status["RuleConfigurationName"]: status["RuleEvaluationStatus"] for status in job["DebugRuleEvaluationStatuses"]
    }


def test_a_managed_rule_stops_training_through_the_same_stopper(managed: Pipeline) -> None:
    champion = managed.state["champion"]
    managed.order(accuracy=0.9, train="watched", trouble="sticks", steps=20_000)  # ten minutes: the rule ends it
    record = managed.run()
    print("CAUSE", (record.get("error") or {}).get("cause"))
    assert record["outcome"] == "StoppedByRule"
    verdict = record["stopped_by"]
    assert (verdict["name"], verdict["rule"], verdict["status"]) == (RULES[0]["rule"], RULES[0]["rule"], "IssuesFound")
    assert int(verdict["step"]) % 10 == 0
    assert verdict["reason"].startswith("RuleEvaluationConditionMet: Evaluation of the rule LossNotDecreasing at step ")
    assert managed.state["champion"] == champion
    job = training_job(managed, record["run_id"])
    assert (job["TrainingJobStatus"], statuses(job)["LossNotDecreasing"]) == ("Stopped", "IssuesFound")
    assert record["rules"][0]["status"] == "IssuesFound"


def test_each_rule_is_a_processing_job_and_says_at_last_what_it_found(managed: Pipeline) -> None:
    managed.order(accuracy=0.5, train="watched", trouble="overfits", steps=60)
    record = managed.run()
    assert record["outcome"] == "NotBetter", "its action is notify"
    found = {entry["name"]: entry for entry in record["rules"]}
    assert {name: entry["status"] for name, entry in found.items()} == {
        "LossNotDecreasing": "NoIssuesFound",
        "overfit-told": "IssuesFound",
        "DeadRelu": "Error",
    }
    assert "which was never saved; saved were loss/" in found["DeadRelu"]["reason"]
    assert found["overfit-told"]["action"] == "notify" and found["overfit-told"]["step"] is not None
    job = training_job(managed, record["run_id"])
    client = managed.aws.client("sagemaker")
    for status in job["DebugRuleEvaluationStatuses"]:
        name = status["RuleEvaluationJobArn"].rpartition("/")[2]
        assert client.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] in ("Completed", "Failed")
    bucket, prefix = managed.shared["ArtifactBucketName"], f"runs/managed/{record['run_id']}/train/debugger/"
    listed = managed.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    beginning = f"{prefix}{job['TrainingJobName']}/debug-output/"
    assert any(entry["Key"].startswith(f"{beginning}ratchet/index/") for entry in listed), "the tensors are in S3"


def test_a_role_that_may_not_describe_its_job_is_named(managed: Pipeline) -> None:
    role = managed.role("RunRecorder")
    managed.order(accuracy=0.6, train="watched", trouble="learns", steps=20)
    with managed.without("sagemaker:DescribeTrainingJob", role):
        run_id = managed.trigger()["run_id"]
        until(lambda: managed.executions()[0]["status"] != "RUNNING", f"the end of {run_id}")
    cause = managed.aws.client("stepfunctions").describe_execution(
        executionArn=managed.executions()[0]["executionArn"]
    )["cause"]
    assert "sagemaker:DescribeTrainingJob" in cause and role in cause
