"""Version 3 of the SageMaker SDK, unmodified: its Session, ModelTrainer, HyperparameterTuner, ScriptProcessor and
ModelBuilder, and the resource classes beneath them."""

from __future__ import annotations

import json

import pytest
from client_kit import MODEL, SDK3, Client, needs
from hosting_kit import archive
from image_uris import SKLEARN
from job_kit import Jobs

pytestmark = needs(SDK3 / "python")
ACCOUNT_S_BUCKET = "sagemaker-us-east-1-000000000000"


@pytest.mark.fidelity(
    "Clients",
    "ModelTrainer's request: ContainerEntrypoint with a driver that a channel brings, source code as a channel, "
    "hyperparameters in a file; ScriptProcessor's and ModelBuilder's likewise; the work is done.",
    "aws/sagemaker-python-sdk: sagemaker-train model_trainer.py, sagemaker-core processing.py, sagemaker-serve",
)
def test_version_3_trains_processes_serves_and_asks(client: Client, jobs: Jobs, role: str) -> None:
    outcome = client.script(SDK3, "sdk3_session.py", role, SKLEARN, jobs.prefix)
    assert outcome["bucket"] == ACCOUNT_S_BUCKET
    assert outcome["status"] == "Completed"
    assert outcome["counted"] == ["2 --of script", "2 --of folder"]
    assert outcome["answer"].split() == ["8", "12"]  # row sums 3 and 7, offset 3, two training files
    assert outcome["content_type"].startswith("text/csv")
    assert client.outside.hosts == [], "STS at a URL of its own, telemetry"


def test_version_3_waits_for_jobs_and_endpoints_by_its_resource_classes(client: Client, jobs: Jobs) -> None:
    files = {path.name: path.read_bytes() for path in MODEL.iterdir() if path.is_file()}
    jobs.put("code/sourcedir.tar.gz", archive(files))
    outcome = client.script(SDK3, "sdk3_resources.py", jobs.bucket, jobs.role, SKLEARN, jobs.prefix)
    assert outcome["status"] == "Completed"
    assert outcome["model"].startswith(f"s3://{jobs.bucket}/output/")
    assert outcome["answer"].split() == ["9", "13"]  # row sums 3 and 7, offset 3, three training files


@pytest.mark.fidelity(
    "Clients",
    "HyperparameterTuner's request: script mode beside driver channels, ranges as text; its wait, its best training "
    "job and its analytics read what a tuning job says.",
    "aws/sagemaker-python-sdk: sagemaker-train tuner.py, sagemaker-core analytics.py",
)
def test_version_3_tunes(client: Client, jobs: Jobs, role: str) -> None:
    outcome = client.script(SDK3, "sdk3_tuner.py", role, SKLEARN, jobs.prefix)
    assert (outcome["status"], outcome["completed"]) == ("Completed", 3)
    assert outcome["best"] == outcome["best_in_table"]
    assert outcome["ranges"] == ["depth", "kernel", "lr"]
    assert {"depth", "kernel", "lr", "FinalObjectiveValue", "TrainingElapsedTimeSeconds"} <= set(outcome["columns"])
    told = next(line for line in jobs.log_lines(outcome["best"]) if line.startswith("told"))
    assert told.split()[1:5] == ["--depth", "--kernel", "--lr", "--offset"]
    assert told.split()[6:] == ["3", "1"]


@pytest.mark.fidelity(
    "Clients",
    "ModelTrainer simulates what its role may and reads whom it trusts before it asks for a job.",
    "aws/sagemaker-python-sdk, sagemaker-core: helper/iam_role_resolver.py",
)
def test_version_3_names_what_a_role_lacks(client: Client, jobs: Jobs) -> None:
    asked = "from sagemaker.train.defaults import TrainDefaults; import sys; print(TrainDefaults.get_role(sys.argv[1]))"
    refused = client.attempt(SDK3 / "python", "-c", asked, jobs.role)
    assert "Missing permissions: " in refused.stderr and "ecr:GetAuthorizationToken" in refused.stderr
    assert "s3:GetObject" not in refused.stderr, "the role has it"

    unchecked = Client(client.aws, client.outside, {"SAGEMAKER_VALIDATE_ROLE": "false"})
    assert unchecked.run(SDK3 / "python", "-c", asked, jobs.role).split()[-1] == jobs.role


@pytest.mark.fidelity(
    "Clients",
    "get_execution_role() and Session.account_id() ask STS at a URL of the SDK's own, whatever AWS_ENDPOINT_URL says.",
    "aws/sagemaker-python-sdk, sagemaker-core: session_helper.py, sts_regional_endpoint",
)
def test_what_version_3_asks_sts_itself_leaves_and_no_setting_keeps_it(client: Client) -> None:
    asked = "from sagemaker.core.helper.session_helper import Session; Session().account_id()"
    environment = Client(client.aws, client.outside, {"AWS_MAX_ATTEMPTS": "1"})
    assert environment.attempt(SDK3 / "python", "-c", asked).returncode != 0
    assert set(client.outside.hosts) == {"sts.us-east-1.amazonaws.com"}


def test_a_job_is_given_the_settings_too(client: Client, jobs: Jobs) -> None:
    name = jobs.train(
        "import os, pathlib; print(pathlib.Path(os.environ['SAGEMAKER_USER_CONFIG_OVERRIDE']).read_text())"
    )["TrainingJobName"]
    assert f"        DefaultS3Bucket: {ACCOUNT_S_BUCKET}" in jobs.log_lines(name)


def test_the_exported_settings_are_the_sdk_s_own(client: Client) -> None:
    loaded = (
        "from sagemaker.core.config.config import load_sagemaker_config as load; import json; print(json.dumps(load()))"
    )
    settings = json.loads(client.run(SDK3 / "python", "-c", loaded).splitlines()[-1])
    assert settings["SageMaker"]["PythonSDK"]["Modules"]["TelemetryOptOut"] is True
