"""An environment's AWS in memory for the commands' unit tests: stacks, objects, runs; requests checked by botocore."""

from __future__ import annotations

import io
import json
import os
import shutil
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from memory_aws import Aws, Client
from memory_services import Dynamo, SageMaker, Service

from contract import run_table
from ratchet import account, cli
from ratchet.account import Account, Server
from ratchet.spec import environments

ROOT = Path(__file__).parents[2]
BUCKET, ARTIFACTS, TABLE = "the-data", "the-artifacts", "the-runs"
SHARED_OUTPUTS = {"DataBucketName": BUCKET, "ArtifactBucketName": ARTIFACTS, "RunTableName": TABLE}
CAREFUL = {"region": "us-east-1", "removal": "destroy", "log_retention_days": 30}
Document = dict[str, Any]


class CloudFormation(Service):
    """Stacks by name; a deletion takes as many looks as `looks` says, and ends as `ends` says."""

    def __init__(self) -> None:
        self.stacks: dict[str, Document] = {}
        self.ends, self.events = "DELETE_COMPLETE", list[Document]()

    def add(self, name: str, outputs: dict[str, str], **more: Any) -> None:
        told = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        known = {"StackId": f"id-of-{name}", "StackStatus": "CREATE_COMPLETE", "Outputs": told}
        self.stacks[name] = {"StackName": name, **known, **more}

    def describe_stacks(self, *, StackName: str | None = None) -> Document:  # noqa: N803 - boto3's
        found = [each for each in self.stacks.values() if StackName in (None, each["StackName"], each["StackId"])]
        by_name = [each for each in found if StackName != each["StackName"] or each["StackStatus"] != self.ends]
        if StackName and not by_name:
            raise self.error("describe_stacks", "ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [dict(each) for each in by_name]}

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803 - boto3's
        [stack] = self.describe_stacks(StackName=StackName)["Stacks"]
        self.stacks[stack["StackName"]]["StackStatus"] = self.ends

    def describe_stack_events(self, **_: Any) -> Document:
        return {"StackEvents": self.events}


class S3(Service):
    """Current objects by key, of one bucket and the other; every version of them was put and may be deleted."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: Any) -> Document:  # noqa: N803 - boto3's
        self.objects[Bucket, Key] = Body if isinstance(Body, bytes) else Body.read()
        return {"VersionId": f"version-of-{Key}"}

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str = "") -> None:  # noqa: N803 - boto3's
        assert VersionId in ("", f"version-of-{Key}")
        del self.objects[Bucket, Key]

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-") -> Document:  # noqa: N803 - boto3's
        if (Bucket, Key) not in self.objects:
            raise self.error("get_object", "NoSuchKey", "The specified key does not exist.")
        start, _, end = Range.removeprefix("bytes=").partition("-")
        return {"Body": io.BytesIO(self.objects[Bucket, Key][int(start) : int(end) + 1 if end else None])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, Delimiter: str = "", **_: Any) -> Document:  # noqa: N803
        at = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
        found = [
            {"Key": key, "Size": len(body), "LastModified": at, "ETag": f'"{zlib.crc32(body):08x}"'}
            for (bucket, key), body in sorted(self.objects.items())
            if bucket == Bucket and key.startswith(Prefix)
        ]
        here = [each for each in found if not Delimiter or Delimiter not in each["Key"][len(Prefix) :]]
        names = {each["Key"][len(Prefix) :].partition(Delimiter or "/")[0] for each in found if each not in here}
        below = {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in sorted(names)]} if names else {}
        return {"KeyCount": len(here) + len(names), **({"Contents": here} if here else {}), **below}


class RunTable(Dynamo):
    """The run table, which commands also list."""

    def query(self, *, ExpressionAttributeValues: Document, Limit: int, **_: Any) -> Document:  # noqa: N803 - boto3's
        pipeline = ExpressionAttributeValues[":pipeline"]["S"]
        found = [item for (of, key), item in self.items.items() if of == pipeline and key.startswith("run#")]
        return {"Items": sorted(found, key=lambda item: str(item["item"]["S"]), reverse=True)[:Limit]}

    def add_run(self, pipeline: str, run_id: str, outcome: str, of: str | None = None) -> None:
        """A run that trained, or brought back, the model of the run `of`."""
        key = run_table.key(pipeline, run_table.run_item(run_id))
        candidate = {"candidate": {"M": {"run_id": {"S": of}}}} if of else {}
        self.put_item(Item={**key, "run_id": {"S": run_id}, "outcome": {"S": outcome}, **candidate})


class World(Aws):
    """The environment `local`, with its shared stack, and a checkout of the test's own with one model, iris-tree."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        kept = {"dynamodb": RunTable(), "s3": S3(), "cloudformation": CloudFormation(), "sagemaker": SageMaker()}
        for name, service in kept.items():
            self.serve(name, service)
        self._clients["s3"].upload_file = self._upload_file  # type: ignore[attr-defined]
        self.cloudformation.add("ratchet-local-shared", SHARED_OUTPUTS)

    def _upload_file(self, path: str, bucket: str, key: str) -> None:
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=Path(path).read_bytes())

    def serve(self, name: str, service: Service) -> None:
        self._services[name], self._clients[name] = service, Client(self, name, service)

    def deploy(self, pipeline: str, **more: Any) -> None:
        machine = f"arn:aws:states:us-east-1:000000000000:stateMachine:{pipeline}"
        outputs = {"StateMachineArn": machine, "EndpointName": f"local-{pipeline}"}
        self.cloudformation.add(f"ratchet-local-{pipeline}", outputs, **more)

    def keys(self, bucket: str = BUCKET) -> list[str]:
        return sorted(key for of, key in self.s3.objects if of == bucket)

    def call(self, *arguments: str, given: str = "") -> Result:
        return CliRunner().invoke(cli.main, list(arguments), input=given)


class Session:
    def __init__(self, world: World) -> None:
        self.client: Callable[..., Any] = lambda service, **_settings: world.client(service)


def write_checkout(root: Path) -> None:
    (root / "training_code" / "toolkit").mkdir(parents=True)
    settings = {"local": {"account": "000000000000", **CAREFUL}, "prod": {"account": "111122223333", **CAREFUL}}
    (root / "cdk.json").write_text(json.dumps({"context": {"environments": settings}}))
    shutil.copytree(ROOT / "training_code" / "iris_tree", root / "training_code" / "iris_tree")


def world_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A checkout in `root`, in which commands are called from here on, and the AWS that they find."""
    write_checkout(root)
    for name in ("RATCHET_HOME", "RATCHET_IMAGES", "RATCHET_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    found = World(root)
    target = environments.environment("local", {"account": "000000000000", **CAREFUL})
    for way_in in ("connect", "of_server"):
        monkeypatch.setattr(account, way_in, lambda *_: Account(target, Session(found)))  # type: ignore[arg-type]
    server = Server("http://127.0.0.1:1", 1, "us-east-1", "000000000000", "KEY", "secret", "settings", os.getpid())
    monkeypatch.setattr(account, "read_server", lambda _state: server)
    return found
