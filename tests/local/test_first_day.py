"""The first day in an account, by the very lines of docs/account.md: on the embedded AWS as the environment `dev`, with
ordinary credentials in a profile, as to everything but `local` it is an account like another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from checkouts import ROOT, Ran, Shell, checkout
from hosting_kit import Hosting, echo_archive
from job_kit import GOES_ON_UNTIL_STOPPED, Jobs
from running_aws import Aws, AwsFactory
from waiting import until

PAGE = (ROOT / "docs" / "account.md").read_text()
AWS_COMMAND = ROOT / ".venvs" / "sdk" / "bin"
# Quotas of instances that nothing here uses but the tests of quotas.
NO_QUOTA = "ml.c5.xlarge"
QUOTAS = {
    f"{NO_QUOTA} for training job usage": 0,
    "ml.c5.2xlarge for training job usage": 1,
    "ml.c5.xlarge for processing job usage": 0,
    "ml.c5.large for endpoint usage": 0,
}


def steps() -> dict[str, str]:
    """The checklist's steps, each with its lines."""
    section = PAGE.partition("\n## The first day\n")[2].partition("\n**Rehearse it")[0]
    found = re.findall(r"^\*\*(\d\. [^*]+?)\.?\*\*.*?\n```sh\n(.*?)```", section, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Aws]:
    """An AWS that nobody has used yet."""
    factory = AwsFactory(tmp_path_factory.mktemp("account"))
    factory.state.mkdir(exist_ok=True)
    (factory.state / "settings.json").write_text(json.dumps({"quotas": QUOTAS}))
    yield factory.start()
    factory.stop()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, account: Aws) -> Shell:
    """A person's shell: a checkout, a home with a profile, and no variable that names an endpoint."""
    folder = tmp_path_factory.mktemp("person")
    root = checkout(folder / "checkout")
    # Two minutes of quiet are for people; nothing here waits for one.
    settings = json.loads((root / "cdk.json").read_text())
    environments = settings["context"]["environments"]
    environments["dev"]["quiet_at_most"] = environments["prod"]["quiet_at_most"] = "2s"
    environments["prod"]["account"] = account.server.account
    (root / "cdk.json").write_text(json.dumps(settings))
    profile = {
        "endpoint_url": account.server.endpoint_url,
        "region": account.server.region,
        "aws_access_key_id": account.server.access_key_id,
        "aws_secret_access_key": account.server.secret_access_key,
    }
    (folder / ".aws").mkdir()
    lines = ["[profile rehearsal]", *(f"{name} = {value}" for name, value in profile.items())]
    (folder / ".aws" / "config").write_text("\n".join(lines) + "\n")
    return Shell(root, folder / "home", {"HOME": str(folder), "AWS_PROFILE": "rehearsal"})


@pytest.fixture(scope="module")
def day(shell: Shell) -> dict[str, Ran]:
    """All steps, one after the other; what each said."""
    if not (AWS_COMMAND / "aws").exists():
        pytest.skip("the aws command isn't there; `make test-clients` makes it (.venvs/sdk)")
    ran: dict[str, Ran] = {}
    first = next(iter(steps().values())).splitlines()[0]
    for title, lines in steps().items():
        activated = "" if lines.startswith(first) else f"{first}\n"
        ran[title] = shell.bash(f'export PATH="$PATH:{AWS_COMMAND}"\n{activated}{lines}')
        assert ran[title].code == 0, f"{title}\n{ran[title].output}\n{ran[title].errors}"
    return ran


def test_the_checklist_has_the_steps_of_a_first_day() -> None:
    found = steps()
    assert [title.partition(".")[0] for title in found] == [str(number) for number in range(1, 9)]
    lines = "".join(found.values())
    for command in ("cdk bootstrap", "cdk deploy", "ratchet data churn put", "ratchet run", "ratchet invoke"):
        assert command in lines
    for command in ("aws sns subscribe", "ratchet delete", "cdk destroy"):
        assert command in lines
    assert "ratchet env" not in lines and "AWS_ENDPOINT_URL" not in lines
    for line in lines.splitlines():
        assert not line.startswith("cdk ") or " -c environment=dev" in line, line
        assert not re.search(r"ratchet (?!new)", line) or " -e dev" in line, line


def test_each_line_does_what_the_page_says(day: dict[str, Ran], account: Aws) -> None:
    told = {title.partition(".")[0]: ran.output + ran.errors for title, ran in day.items()}
    assert f'"Account": "{account.server.account}"' in told["1"]
    assert f"Environment aws://{account.server.account}/{account.server.region} bootstrapped" in told["2"]
    assert "ratchet-dev-churn.Data = train: churn/train/, test: churn/test/" in told["3"]
    assert "SubscriptionArn" in told["4"]
    assert "empty" in told["5"] and "a run starts by itself" in told["5"]
    assert "Promoted" in told["6"] or "UpToDate" in told["6"]
    assert told["7"].strip().endswith("fault")
    assert "ratchet-dev-churn" in told["8"]
    left = {stack["StackName"] for stack in account.client("cloudformation").describe_stacks()["Stacks"]}
    assert not {name for name in left if name.startswith("ratchet-dev")}


def test_an_environment_is_refused_in_a_shell_that_points_elsewhere(shell: Shell, account: Aws) -> None:
    led = Shell(shell.root, shell.home, {**shell.credentials, "AWS_ENDPOINT_URL": account.server.endpoint_url})
    for command in ("cdk ls -c environment=dev", "ratchet status -e dev"):
        refused = led.bash(f"source .venv/bin/activate\n{command}")
        assert refused.code != 0
        assert "this shell points AWS's programs elsewhere (AWS_ENDPOINT_URL=" in refused.errors


def test_credentials_of_another_account_are_refused(shell: Shell, tmp_path: Path, account: Aws) -> None:
    root = checkout(tmp_path / "checkout")
    settings = json.loads((root / "cdk.json").read_text())
    for name in ("dev", "prod"):
        settings["context"]["environments"][name]["account"] = "111122223333"
    (root / "cdk.json").write_text(json.dumps(settings))
    other = Shell(root, tmp_path / "home", shell.credentials)
    refused = other("status", "-e", "prod")
    assert refused.code == 1
    assert f"these credentials are account {account.server.account}'s, but cdk.json says" in refused.errors
    deployed = other.bash("source .venv/bin/activate\ncdk deploy -c environment=dev ratchet-dev-shared")
    assert deployed.code != 0
    assert "111122223333" in deployed.errors and account.server.account in deployed.errors


# ---------------------------------------------------------------------------------------------------------- production


@pytest.fixture(scope="module")
def production(shell: Shell, day: dict[str, Ran]) -> Shell:
    """`prod`, pinned to the account, with the pipeline that the checklist has made; it trains on what has no quota."""
    spec = shell.root / "training_code" / "churn" / "pipeline.yaml"
    spec.write_text(spec.read_text().replace("instance: ml.m5.large", f"instance: {NO_QUOTA}", 1))
    script = "cdk deploy -c environment=prod -c pipelines=churn --all --require-approval never"
    deployed = shell.bash(f"source .venv/bin/activate\n{script}")
    assert deployed.code == 0, deployed.output + deployed.errors
    return shell


def outputs(account: Aws, stack: str) -> dict[str, str]:
    described = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def test_prod_deploys_and_protects_its_stacks(production: Shell, account: Aws) -> None:
    for stack in ("ratchet-prod-shared", "ratchet-prod-churn"):
        described = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        assert (described["StackStatus"], described["EnableTerminationProtection"]) == ("CREATE_COMPLETE", True)
    refused = production("delete", "churn", "-e", "prod", "--yes")
    assert refused.code == 1
    assert "ratchet-prod-churn is protected (removal: retain in cdk.json)" in refused.errors


def test_a_run_without_a_quota_ends_at_once_and_says_what_to_do(production: Shell) -> None:
    for channel in ("train", "test"):
        put = production("data", "churn", "put", f"training_code/churn/sample/{channel}", channel, "-e", "prod")
        assert put.code == 0, put.errors
    ran = production("run", "churn", "-e", "prod", "--wait")
    assert ran.code == 3, ran.output + ran.errors
    assert f"this account's quota '{NO_QUOTA} for training job usage' is 0, and waiting doesn't raise it" in ran.output
    assert "request an increase in Service Quotas" in ran.output


@pytest.mark.fidelity(
    "S3",
    "A bucket's requests are logged as objects below the prefix in the destination, where its policy lets the service.",
    "Amazon S3 User Guide: Logging requests with server access logging; Amazon S3 server access log format",
)
def test_prod_logs_who_reads_its_data(production: Shell, account: Aws) -> None:
    s3, data = account.client("s3"), outputs(account, "ratchet-prod-shared")["DataBucketName"]
    logging = s3.get_bucket_logging(Bucket=data)["LoggingEnabled"]
    assert logging["TargetPrefix"] == "Data/"
    s3.put_object(Bucket=data, Key="churn/elsewhere/a.csv", Body=b"1,2\n")
    s3.get_object(Bucket=data, Key="churn/elsewhere/a.csv")

    def lines() -> list[str]:
        found = s3.list_objects_v2(Bucket=logging["TargetBucket"], Prefix="Data/").get("Contents", [])
        bodies = [s3.get_object(Bucket=logging["TargetBucket"], Key=each["Key"])["Body"].read() for each in found]
        return [line for body in bodies for line in body.decode().splitlines() if "churn/elsewhere/a.csv" in line]

    until(lambda: len(lines()) == 2, "the access logs")
    put, got = lines()
    assert re.match(rf"\d{{12}} {data} \[\d\d/\w{{3}}/\d{{4}}:[\d:]{{8}} \+0000\] 127.0.0.1 arn:aws:iam::", put)
    assert " REST.PUT.OBJECT churn/elsewhere/a.csv " in put and " REST.GET.OBJECT churn/elsewhere/a.csv " in got
    assert re.search(r'"GET /\S+ HTTP/1.1" 200 - 4 4 ', got)


# -------------------------------------------------------------------------------------------------------------- quotas


def limited(usage: str, quota: int, used: int) -> str:
    return (
        f"The account-level service limit '{usage}' is {quota} Instances, with current utilization of {used} Instances "
        "and a request delta of 1 Instances."
    )


def cluster(instance: str) -> dict[str, Any]:
    return {"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 5}


@pytest.mark.fidelity(
    "Training jobs",
    "A job beyond the quota of its instance type is refused with ResourceLimitExceeded, naming the quota and its use.",
    "github.com/gabehollombe-aws/jupyter-notebooks/issues/1; github.com/aws/amazon-sagemaker-examples/issues/1543",
)
def test_a_job_beyond_a_quota_is_refused_in_sagemakers_words(account: Aws) -> None:
    jobs = Jobs(account)
    none, one = (f"ml.c5.{size} for training job usage" for size in ("xlarge", "2xlarge"))
    with pytest.raises(ClientError) as refused:
        jobs.sagemaker.create_training_job(**jobs.training_request("", ResourceConfig=cluster("ml.c5.xlarge")))
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceeded"
    assert limited(none, quota=0, used=0) in refused.value.response["Error"]["Message"]
    request = jobs.processing_request("", ProcessingResources={"ClusterConfig": cluster("ml.c5.xlarge")})
    with pytest.raises(ClientError, match=limited("ml.c5.xlarge for processing job usage", quota=0, used=0)):
        jobs.sagemaker.create_processing_job(**request)

    running = jobs.hearing_request(GOES_ON_UNTIL_STOPPED, ResourceConfig=cluster("ml.c5.2xlarge"))
    jobs.sagemaker.create_training_job(**running)
    second = jobs.training_request("", ResourceConfig=cluster("ml.c5.2xlarge"))
    with pytest.raises(ClientError, match=limited(one, quota=1, used=1)):
        jobs.sagemaker.create_training_job(**second)
    jobs.until_logged(running["TrainingJobName"], "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=running["TrainingJobName"])
    jobs.ended(running["TrainingJobName"])
    jobs.sagemaker.create_training_job(**second)
    jobs.ended(second["TrainingJobName"])


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint beyond the quota of its instance type is refused with ResourceLimitExceeded.",
    "github.com/aws-samples/sagemaker-custom-project-templates/issues/51",
)
def test_an_endpoint_beyond_a_quota_is_refused(account: Aws) -> None:
    hosting = Hosting(account)
    model = hosting.model("limited", echo_archive("limited"))
    config = hosting.config("limited", {"ModelName": model, "InstanceType": "ml.c5.large", "InitialInstanceCount": 1})
    with pytest.raises(ClientError, match=limited("ml.c5.large for endpoint usage", quota=0, used=0)):
        account.client("sagemaker").create_endpoint(EndpointName=hosting.name("limited"), EndpointConfigName=config)
