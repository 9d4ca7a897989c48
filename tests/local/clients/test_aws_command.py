"""The aws command, versions 1 and 2, unmodified: what scripts and people do with it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from client_kit import AWS1, AWS2, Client, needs
from job_kit import Jobs

pytestmark = needs(AWS1)
BOTH = pytest.mark.parametrize("command", [AWS1, pytest.param(AWS2, marks=needs(AWS2))], ids=["version 1", "version 2"])


@BOTH
def test_the_aws_command_sees_the_same_world(client: Client, jobs: Jobs, command: Path, tmp_path: Path) -> None:
    identity = json.loads(client.run(command, "sts", "get-caller-identity"))
    assert identity["Account"] == "000000000000"

    prefix = f"{jobs.bucket}/{command.parent.name}"
    (tmp_path / "three.csv").write_text("3\n")
    client.run(command, "s3", "cp", tmp_path / "three.csv", f"s3://{prefix}/three.csv")
    client.run(command, "s3", "sync", tmp_path, f"s3://{prefix}/synced/")
    listed = client.run(command, "s3", "ls", "--recursive", f"s3://{prefix}/")
    assert [line.split("/", 1)[1] for line in listed.splitlines()] == ["synced/three.csv", "three.csv"]
    assert client.run(command, "s3", "cp", f"s3://{prefix}/three.csv", "-") == "3\n"

    none = json.loads(client.run(command, "sagemaker", "list-training-jobs", "--name-contains", "no-such-job"))
    assert none["TrainingJobSummaries"] == []
    refused = client.attempt(command, "sagemaker", "describe-training-job", "--training-job-name", "no-such-job")
    assert refused.returncode in {254, 255}, "254 says that the service refused"
    assert "ValidationException" in refused.stderr and "Requested resource not found." in refused.stderr
    assert client.outside.hosts == []


@pytest.mark.fidelity(
    "Clients",
    "Version 1 of the aws command sends sqs, emr, rds, docdb, neptune and health to URLs of its own, whatever "
    "AWS_ENDPOINT_URL says, unless it is given --endpoint-url; version 2 has no such list.",
    "aws/aws-cli, branch develop: awscli/customizations/overridesslcommonname.py; branch v2 lacks the file",
)
@needs(AWS2)
def test_queues_are_here_for_version_2_and_for_version_1_with_the_endpoint_named(client: Client) -> None:
    url = json.loads(client.run(AWS2, "sqs", "create-queue", "--queue-name", "of-version-2"))["QueueUrl"]
    client.run(AWS2, "sqs", "send-message", "--queue-url", url, "--message-body", "hello")
    here = ("--endpoint-url", client.aws.server.endpoint_url)
    received = json.loads(client.run(AWS1, *here, "sqs", "receive-message", "--queue-url", url))
    assert [message["Body"] for message in received["Messages"]] == ["hello"]
    assert client.outside.hosts == []

    assert client.attempt(AWS1, "sqs", "list-queues").returncode != 0
    assert set(client.outside.hosts) == {"queue.amazonaws.com"}


@pytest.mark.fidelity(
    "Clients",
    "Version 2 of the aws command takes binary parameters as base64, unless it is told raw-in-base64-out; version 1 "
    "takes them as they are.",
    "AWS CLI user guide, migration guide for version 2: cli_binary_format",
)
@needs(AWS2)
def test_binary_parameters_are_base64_for_version_2(client: Client) -> None:
    def encrypted(command: Path, plaintext: str, *more: str) -> str:
        answer = client.run(command, "kms", "encrypt", "--key-id", key, "--plaintext", plaintext, *more)
        blob = json.loads(answer)["CiphertextBlob"]
        decrypted = client.aws.client("kms").decrypt(CiphertextBlob=base64.b64decode(blob))
        return str(decrypted["Plaintext"].decode())

    key = client.aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    as_base64 = base64.b64encode(b"hello").decode()
    assert encrypted(AWS1, "hello") == "hello"
    assert encrypted(AWS2, as_base64) == "hello"
    assert encrypted(AWS2, "hello", "--cli-binary-format", "raw-in-base64-out") == "hello"


@BOTH
def test_a_job_s_log_is_followed(client: Client, jobs: Jobs, command: Path) -> None:
    name = jobs.train("print('hello from the job')")["TrainingJobName"]
    wait = ("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name)
    client.run(command, *wait)
    group = ("--log-group-name", "/aws/sagemaker/TrainingJobs")
    events = json.loads(client.run(command, "logs", "filter-log-events", *group, "--log-stream-name-prefix", name))
    assert "hello from the job" in [event["message"] for event in events["events"]]
    if command == AWS2:  # version 1 has no tail
        tailed = client.run(AWS2, "logs", "tail", group[1], "--log-stream-name-prefix", name, "--format", "short")
        assert any(line.endswith("hello from the job") for line in tailed.splitlines())
