"""A disk becomes full at twenty moments: what was acknowledged is on it, what wasn't is there whole or not at all."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from resources import make_role
from running_aws import ROOT, Aws, Clients
from waiting import until

from localaws.server_file import EXIT_NO_ROOM, read_server, server_file

MOMENTS = 20
SIZE = "48m"


@dataclass
class SmallDisk:
    """A file system of a few megabytes that only one process and those that join it see, and the AWS on it."""

    folder: Path
    server: subprocess.Popen[bytes] | None = None
    holder: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        how = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        mount = f"mount -t tmpfs -o size={SIZE},mode=700 tmpfs {self.folder} && echo mounted && exec sleep 600"
        self.holder = subprocess.Popen([*how, "sh", "-c", mount], stdout=subprocess.PIPE)
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != b"mounted\n":
            pytest.skip("this system lets nobody mount a file system of his own")

    @property
    def inside(self) -> Path:
        """The disk, as others reach it."""
        return Path(f"/proc/{self.holder.pid}/root{self.folder}")

    @property
    def log(self) -> str:
        return self.folder.with_suffix(".log").read_text()

    def run(self) -> subprocess.Popen[bytes]:
        ns = ["-m"] if os.geteuid() == 0 else ["-U", "-m", "--preserve-credentials"]
        enter = ["nsenter", "-t", str(self.holder.pid), *ns]
        serve = [sys.executable, "-m", "localaws.server", "--state", str(self.folder / "aws"), "--port", "0"]
        with self.folder.with_suffix(".log").open("ab") as log:
            return subprocess.Popen([*enter, *serve], cwd=ROOT, stdout=log, stderr=log)

    def start(self) -> Aws:
        self.server = self.run()
        state = self.inside / "aws"
        server = until(lambda: read_server(state), "a server on the small disk")
        return Aws(server, state, Clients(retries=0))

    def kill(self, aws: Aws) -> None:
        assert self.server is not None
        assert self.server.poll() is None, f"the server has ended with {self.server.poll()}"
        os.kill(aws.server.pid, signal.SIGKILL)
        self.server.wait()
        server_file(aws.state).unlink()

    def fill(self) -> None:
        with (self.inside / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        (self.inside / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        for process in (self.server, self.holder):
            if process is not None and process.poll() is None:
                process.kill() if process is self.holder else process.terminate()
                process.wait()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("only Linux has file systems that one process alone sees")
    made = SmallDisk(tmp_path / "disk")
    yield made
    made.close()


class Ledger:
    """What was asked for and what was acknowledged, by kind and name."""

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.refusals: set[str] = set()
        self._lock = threading.Lock()

    def write(self, kind: str, name: str, value: Any, request: Callable[[], Any]) -> None:
        self.asked.setdefault(kind, {})[name] = value
        try:
            request()
        except ClientError as error:
            self.refusals.add(f"{kind}: {error.response['Error']['Code']}: {error.response['Error']['Message']}")
            return
        except BotoCoreError:
            return  # the server was killed
        with self._lock:
            self.acknowledged.setdefault(kind, {})[name] = value


WRITERS = {"objects", "versions", "parts", "items", "messages", "parameters", "events", "machines", "groups", "stacks",
           "functions"}  # fmt: skip


def write(aws: Aws, ledger: Ledger, kind: str, number: int, chance: random.Random, urls: dict[str, str]) -> None:
    """One write of a kind, with a name that no other has."""
    name, body = f"{kind}-{number}", chance.randbytes(chance.choice((10, 3_000, 40_000)))
    text = body[:20].hex()
    noted = partial(ledger.write, kind, name)
    if kind == "objects":
        noted(body, lambda: aws.client("s3").put_object(Bucket="plain", Key=name, Body=body))
    elif kind == "versions":
        noted(body, lambda: aws.client("s3").put_object(Bucket="versioned", Key="one", Body=body, Metadata={"n": name}))
    elif kind == "parts":
        part = {"Bucket": "plain", "Key": "large", "UploadId": urls["upload"], "PartNumber": number + 1}
        noted(len(body), lambda: aws.client("s3").upload_part(Body=body, **part))
    elif kind == "items":
        item = {"p": {"S": name}, "v": {"S": text}}
        noted(text, lambda: aws.client("dynamodb").put_item(TableName="table", Item=item))
    elif kind == "messages":
        noted(name, lambda: aws.client("sqs").send_message(QueueUrl=urls["queue"], MessageBody=name))
    elif kind == "parameters":
        noted(text, lambda: aws.client("ssm").put_parameter(Name=f"/{name}", Value=text, Type="String"))
    else:
        write_rarer(aws, noted, kind, name, urls)


def write_rarer(aws: Aws, noted: Any, kind: str, name: str, urls: dict[str, str]) -> None:
    if kind == "events":
        events = [{"timestamp": 1_000 * int(os.times().elapsed) + 1_790_000_000_000, "message": name}]
        logs = aws.client("logs")
        noted(name, lambda: logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events))
    elif kind == "machines":
        machine = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
        made = {"name": name, "definition": json.dumps(machine), "roleArn": urls["machine_role"]}
        noted(name, lambda: aws.client("stepfunctions").create_state_machine(**made))
    elif kind == "groups":
        create = aws.client("sagemaker").create_model_package_group
        noted(name, lambda: create(ModelPackageGroupName=name, ModelPackageGroupDescription="x" * 900))
    elif kind == "stacks":
        topic = {"T": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}}
        body = json.dumps({"Resources": topic})
        noted(name, lambda: aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body))
    else:
        made = {
            "FunctionName": name,
            "Role": urls["function_role"],
            "Runtime": "python3.13",
            "Handler": "index.handler",
        }
        noted(name, lambda: aws.client("lambda").create_function(Code={"ZipFile": package(name)}, **made))


def package(text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", f"def handler(event, context): return {text!r}\n")
    return content.getvalue()


def prepared(aws: Aws) -> dict[str, str]:
    """What is written into."""
    s3 = aws.client("s3")
    for bucket in ("plain", "versioned"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    aws.client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    aws.client("logs").create_log_group(logGroupName="group")
    aws.client("logs").create_log_stream(logGroupName="group", logStreamName="stream")
    return {
        "upload": s3.create_multipart_upload(Bucket="plain", Key="large")["UploadId"],
        "queue": aws.client("sqs").create_queue(QueueName="queue")["QueueUrl"],
        "function_role": make_role(aws, "lambda.amazonaws.com"),
        "machine_role": make_role(aws, "states.amazonaws.com"),
    }


def pages(client: Any, operation: str, member: str, **request: Any) -> list[Any]:
    return [each for page in client.get_paginator(operation).paginate(**request) for each in page.get(member, [])]


def found(aws: Aws, urls: dict[str, str]) -> dict[str, dict[str, Any]]:
    """All that there is, by kind and name, in the words of the ledger."""
    s3 = aws.client("s3")
    keys = [each["Key"] for each in pages(s3, "list_objects_v2", "Contents", Bucket="plain")]
    versions = [each["VersionId"] for each in pages(s3, "list_object_versions", "Versions", Bucket="versioned")]
    answers = [s3.get_object(Bucket="versioned", Key="one", VersionId=version) for version in versions]
    upload = {"Bucket": "plain", "Key": "large", "UploadId": urls["upload"]}
    items = pages(aws.client("dynamodb"), "scan", "Items", TableName="table")
    parameters = pages(aws.client("ssm"), "describe_parameters", "Parameters")
    value = aws.client("ssm").get_parameter
    return {
        "objects": {key: s3.get_object(Bucket="plain", Key=key)["Body"].read() for key in keys},
        "versions": {each["Metadata"]["n"]: each["Body"].read() for each in answers},
        "parts": {f"parts-{p['PartNumber'] - 1}": p["Size"] for p in pages(s3, "list_parts", "Parts", **upload)},
        "items": {each["p"]["S"]: each["v"]["S"] for each in items},
        "messages": {body: body for body in messages(aws)},
        "parameters": {p["Name"][1:]: value(Name=p["Name"])["Parameter"]["Value"] for p in parameters},
        **found_rarer(aws),
    }


def found_rarer(aws: Aws) -> dict[str, dict[str, Any]]:
    events = pages(aws.client("logs"), "filter_log_events", "events", logGroupName="group")
    machines = pages(aws.client("stepfunctions"), "list_state_machines", "stateMachines")
    groups = pages(aws.client("sagemaker"), "list_model_package_groups", "ModelPackageGroupSummaryList")
    functions = pages(aws.client("lambda"), "list_functions", "Functions")
    names = {
        "events": [each["message"] for each in events],
        "machines": [each["name"] for each in machines],
        "groups": [each["ModelPackageGroupName"] for each in groups],
        "stacks": [each["StackName"] for each in pages(aws.client("cloudformation"), "describe_stacks", "Stacks")],
        "functions": [each["FunctionName"] for each in functions],
    }
    return {kind: {name: name for name in those} for kind, those in names.items()}


def messages(aws: Aws) -> Iterator[str]:
    """Every message in the queue; for a while nobody else sees them."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    receive = partial(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
    while received := receive().get("Messages"):
        yield from (message["Body"] for message in received)


def compare(ledger: Ledger, there: dict[str, dict[str, Any]]) -> None:
    for kind in sorted(WRITERS):
        acknowledged, asked = ledger.acknowledged.get(kind, {}), ledger.asked.get(kind, {})
        missing = {name for name, value in acknowledged.items() if there[kind].get(name) != value}
        assert not missing, f"{kind} that were acknowledged"
        assert all(asked[name] == value for name, value in there[kind].items()), f"{kind} that nobody asked for"


@pytest.mark.fidelity(
    "S3",
    "A write that couldn't be stored is an InternalError, and nothing of it is there.",
    "S3 API, Error responses: InternalError; S3 User Guide, data consistency model: a write is atomic",
)
def test_nothing_that_is_acknowledged_is_lost_on_a_full_disk(disk: SmallDisk) -> None:
    aws, ledger, chance = disk.start(), Ledger(), random.Random(20)  # noqa: S311 - nothing secret
    urls = prepared(aws)
    for moment in range(MOMENTS):
        turn = [kind for kind in sorted(WRITERS) for _ in range(2)]
        chance.shuffle(turn)
        full_at = chance.randrange(len(turn) - 6)
        for number, kind in enumerate(turn):
            if number == full_at:
                disk.fill()
            write(aws, ledger, kind, 100 * moment + number, chance, urls)
        if moment % 5 == 4:
            disk.kill(aws)
            disk.free()
            aws = disk.start()
            compare(ledger, found(aws, urls))
        disk.free()
    assert {told.partition(":")[0] for told in ledger.refusals} == WRITERS, "each kind was refused at some moment"
    assert all("is full" in told for told in ledger.refusals), ledger.refusals
    assert set(ledger.acknowledged) == WRITERS, "each kind was taken at some moment"


def test_a_full_disk_is_read_and_emptied_and_named_at_the_start(disk: SmallDisk) -> None:
    aws = disk.start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="k", Body=b"kept")
    for number in range(40):
        s3.put_object(Bucket="plain", Key=f"large/{number}", Body=bytes(500_000))
    disk.fill()
    with pytest.raises(ClientError, match=r"InternalError.*The disk that holds .* is full .* nothing was changed"):
        s3.put_object(Bucket="plain", Key="k", Body=b"lost")
    assert s3.get_object(Bucket="plain", Key="k")["Body"].read() == b"kept"
    disk.kill(aws)
    refused = disk.run()
    assert refused.wait(20) == EXIT_NO_ROOM
    assert "the state can't be written: " in disk.log.splitlines()[-1]
    disk.free()
    aws = disk.start()
    s3 = aws.client("s3")
    keys = [{"Key": f"large/{number}"} for number in range(40)]
    (disk.inside / "filler").write_bytes(bytes(22_000_000))
    s3.delete_objects(Bucket="plain", Delete={"Objects": keys})
    s3.put_object(Bucket="plain", Key="k", Body=b"new")
    assert s3.get_object(Bucket="plain", Key="k")["Body"].read() == b"new"


@pytest.mark.fidelity(
    "S3",
    "A write that can't be kept is an InternalError, and leaves what was there.",
    "S3 API, Error responses",
)
def test_a_disk_that_becomes_full_under_a_large_put_leaves_the_old_object(disk: SmallDisk) -> None:
    aws, content = disk.start(), os.urandom(16 << 20)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="model", Body=content[: 2 << 20])
    url = s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "model"})
    connection = http.client.HTTPConnection(f"127.0.0.1:{aws.server.port}", timeout=60)
    connection.putrequest("PUT", url.partition(connection.host + f":{aws.server.port}")[2])
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[: 4 << 20])
    kept = until(lambda: [each for each in bodies(aws) if not each.endswith(".part")] if part(aws) else None)
    disk.fill()
    connection.send(content[4 << 20 :])
    answer = connection.getresponse()
    assert (answer.status, b"<Code>InternalError</Code>" in (told := answer.read())) == (500, True)
    assert b"the disk is full" in told
    until(lambda: bodies(aws) == kept)
    assert s3.get_object(Bucket="bucket", Key="model")["Body"].read() == content[: 2 << 20]
    disk.free()
    s3.put_object(Bucket="bucket", Key="model", Body=content)
    assert s3.get_object(Bucket="bucket", Key="model")["Body"].read() == content


def bodies(aws: Aws) -> list[str]:
    return sorted(path.name for path in (aws.state / "s3").glob("*/*"))


def part(aws: Aws) -> bool:
    """Whether an object is on its way onto the disk."""
    return any(name.endswith(".part") for name in bodies(aws))
