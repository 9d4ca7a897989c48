"""`ratchet tune` on the tuning jobs of the embedded AWS: what it shows is what really happened."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from job_kit import Jobs, one_range
from running_aws import Aws
from waiting import until

from ratchet import cli

# Two values, a second apart, so that CloudWatch keeps two.
LEARNS = """
import sys, time
rate = float(dict(zip(sys.argv[1::2], sys.argv[2::2]))["--rate"])
print(f"f1={rate / 2};", flush=True)
time.sleep(1.1)
print(f"f1={rate};", flush=True)
"""


def request(jobs: Jobs, name: str) -> dict[str, Any]:
    limits = {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 4}
    rate = one_range("rate", "0.001", "0.9", ScalingType="Logarithmic")
    asked = jobs.tuning_request(jobs.source(LEARNS), RandomSeed=1, ResourceLimits=limits, ParameterRanges=rate)
    return {**asked, "HyperParameterTuningJobName": name}


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
