"""`ratchet tune` on the tuning jobs of the embedded AWS: what it shows is what really happened."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from image_uris import SKLEARN
from job_kit import Jobs
from running_aws import Aws
from waiting import until

from ratchet import cli

METRIC = "validation:f1"
# Two values, a second apart, so that CloudWatch keeps two.
LEARNS = """
import sys, time
rate = float(dict(zip(sys.argv[1::2], sys.argv[2::2]))["--rate"])
print(f"f1={rate / 2};", flush=True)
time.sleep(1.1)
print(f"f1={rate};", flush=True)
"""


def request(jobs: Jobs, name: str) -> dict[str, Any]:
    objective = {"Type": "Maximize", "MetricName": METRIC}
    rate = {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.9", "ScalingType": "Logarithmic"}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "RandomSeed": 1,
            "HyperParameterTuningJobObjective": objective,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 4},
            "ParameterRanges": {"ContinuousParameterRanges": [rate]},
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": jobs.script_mode(jobs.source(LEARNS)),
            "AlgorithmSpecification": {
                "TrainingImage": SKLEARN,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": METRIC, "Regex": "f1=([0-9.]+);"}],
            },
            "RoleArn": jobs.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{jobs.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        },
    }


def test_what_a_tuning_job_found_is_shown(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "aws").symlink_to(aws.state)
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path))
    jobs = Jobs(aws)
    name = jobs.name("hpo")
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request(jobs, name))

    def described() -> dict[str, Any]:
        found: dict[str, Any] = jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return found

    until(lambda: described()["HyperParameterTuningJobStatus"] != "InProgress")
    status = json.loads(call("status", name, "--json"))
    rates = sorted(float(trial["hyperparameters"]["rate"]) for trial in status["trials"])
    assert [trial["status"] for trial in status["trials"]] == ["completed"] * 4
    assert status["best"]["objective"] == pytest.approx(rates[-1])
    assert status["best"]["name"] == described()["BestTrainingJob"]["TrainingJobName"]
    assert re.search(rf"^{name} +Random +Completed +4 of 4", call("list"), re.MULTILINE)

    page = Path(json.loads(call("report", name, "--json"))["report"]).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="page">(.*?)</script>', page, re.DOTALL)
    assert found
    data = json.loads(found[1])["data"]
    assert sorted(row["h0"] for row in data["trials"]) == pytest.approx(rates)
    last = {row["i"]: row["value"] for row in data["curves"]}
    assert sorted(last.values()) == pytest.approx(rates)
    assert len(data["curves"]) == 8


def call(*arguments: str) -> str:
    result = CliRunner().invoke(cli.main, ["tune", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout
