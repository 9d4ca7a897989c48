"""The aws command and the SageMaker SDK, unmodified, in an environment of their own, on the embedded AWS."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest
from image_uris import SKLEARN
from running_aws import Aws

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".venvs" / "sdk" / "bin"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

pytestmark = pytest.mark.skipif(
    not (SDK / "aws").exists(), reason="the SDK's environment isn't there; `make test` makes it (.venvs/sdk)"
)


def sourcedir() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("train.py", "serve.py"):
            tar.add(Path(__file__).parent / "sdk" / name, arcname=name)
    return archive.getvalue()


@pytest.fixture
def suffix() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def bucket(aws: Aws, suffix: str) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=f"sdk-{suffix}")
    s3.put_object(Bucket=f"sdk-{suffix}", Key="code/sourcedir.tar.gz", Body=sourcedir())
    s3.put_object(Bucket=f"sdk-{suffix}", Key="train/one.csv", Body=b"1\n")
    s3.put_object(Bucket=f"sdk-{suffix}", Key="train/two.csv", Body=b"2\n")
    return f"sdk-{suffix}"


@pytest.fixture
def role(aws: Aws, suffix: str, bucket: str) -> str:
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=f"sdk-{suffix}", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }
    iam.put_role_policy(RoleName=f"sdk-{suffix}", PolicyName="job", PolicyDocument=json.dumps(policy))
    return str(arn)


def run(aws: Aws, *command: str) -> str:
    done = subprocess.run(command, env=aws.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.fidelity(
    "Clients",
    "The SageMaker SDK trains, serves and asks, unmodified.",
    "aws/sagemaker-python-sdk itself",
)
def test_the_sagemaker_sdk_trains_serves_and_asks(aws: Aws, bucket: str, role: str, suffix: str) -> None:
    script = Path(__file__).parent / "sdk" / "session.py"
    printed = run(aws, str(SDK / "python"), str(script), bucket, role, SKLEARN, suffix)

    outcome = json.loads(printed.splitlines()[-1])
    assert outcome["status"] == "Completed"
    assert outcome["model"].startswith(f"s3://{bucket}/output/")
    assert outcome["answer"].split() == ["8", "12"]  # row sums 3 and 7, offset 3, two training files


@pytest.mark.fidelity("Clients", "The aws command sees the same world, unmodified.", "aws/aws-cli itself")
def test_the_aws_command_sees_the_same_world(aws: Aws, bucket: str, tmp_path: Path) -> None:
    aws_command = str(SDK / "aws")
    identity = json.loads(run(aws, aws_command, "sts", "get-caller-identity"))
    assert identity["Account"] == "000000000000"

    (tmp_path / "three.csv").write_text("3\n")
    run(aws, aws_command, "s3", "cp", str(tmp_path / "three.csv"), f"s3://{bucket}/train/three.csv")
    listed = run(aws, aws_command, "s3", "ls", f"s3://{bucket}/train/")
    assert [line.split()[-1] for line in listed.splitlines()] == ["one.csv", "three.csv", "two.csv"]

    jobs = json.loads(run(aws, aws_command, "sagemaker", "list-training-jobs", "--name-contains", "no-such-job"))
    assert jobs["TrainingJobSummaries"] == []
