"""What was acknowledged, and what of it is there after a kill: objects, versions, items, messages, parameters, logs."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from running_aws import Aws

BUCKET, VERSIONED, TABLE, QUEUE, GROUP, STREAM = "kills", "kills-versions", "kills", "kills", "kills", "stream"
_LARGEST = 60_000
# A killed server's port answers nobody: the next request isn't worth more than a moment.
_PAUSE_SECONDS = 0.02


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Ledger:
    """Acknowledged writes by kind and name, of writers that go on through every kill."""

    def __init__(self, seed: int) -> None:
        self.asked: dict[str, dict[str, str]] = defaultdict(dict)
        self.acknowledged: dict[str, dict[str, str]] = defaultdict(dict)
        self._chance = random.Random(seed)  # noqa: S311 - nothing secret
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._of: Aws | None = None
        self._made: dict[str, Callable[[str, bytes], Any]] = {}

    def prepare(self, aws: Aws) -> None:
        s3, dynamodb, logs = aws.client("s3"), aws.client("dynamodb"), aws.client("logs")
        for bucket in (BUCKET, VERSIONED):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        aws.client("sqs").create_queue(QueueName=QUEUE)
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)

    def note(self, kind: str, name: str, value: str, request: Callable[[], Any]) -> Any:
        """Ask; the answer, which is taken down, or None where there was none."""
        with self._lock:
            self.asked[kind][name] = value
        try:
            answer = request()
        except (BotoCoreError, ClientError):
            return None
        with self._lock:
            self.acknowledged[kind][name] = value
        return answer

    def write_until(self, aws: Aws, stopping: threading.Event) -> None:
        """Write, one after the other, until told to stop."""
        requests = self._ready_requests(aws)
        for number in self._numbers:
            if stopping.is_set():
                return
            kind, body = list(requests)[number % len(requests)], self._chance.randbytes(number * 7919 % _LARGEST)
            name, value = f"{kind}-{number}", digest(body)
            if self.note(kind, name, value, lambda: requests[kind](name, body)) is None:  # noqa: B023 - called at once
                time.sleep(_PAUSE_SECONDS)

    def _ready_requests(self, aws: Aws) -> dict[str, Callable[[str, bytes], Any]]:
        """How each kind is written; made once for each server, which takes a while."""
        if self._of is not aws:
            self._of, self._made = aws, _requests(aws)
        return self._made

    def ready(self, aws: Aws) -> None:
        """Be ready to write to this server at once."""
        self._ready_requests(aws)

    def lost(self, aws: Aws) -> list[str]:
        """What was acknowledged and isn't there as it was, and what is there and nobody asked for."""
        there = {kind: dict(list_all(aws)) for kind, list_all in _LISTED.items()}
        gone = [
            f"{name} is not what was acknowledged"
            for kind, names in self.acknowledged.items()
            for name, value in names.items()
            if kind in there and there[kind].get(name) != value
        ]
        unknown = [
            f"{name} is half of what was asked for"
            for kind, names in there.items()
            for name, value in names.items()
            if self.asked[kind].get(name) != value
        ]
        return gone + unknown


def _requests(aws: Aws) -> dict[str, Callable[[str, bytes], Any]]:
    s3, table = aws.client("s3"), aws.client("dynamodb")
    queue = aws.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
    send, put = aws.client("sqs").send_message, aws.client("ssm").put_parameter
    stream = {"logGroupName": GROUP, "logStreamName": STREAM}
    say = aws.client("logs").put_log_events

    def event(text: str) -> list[dict[str, Any]]:
        return [{"timestamp": int(time.time() * 1000), "message": text}]

    return {
        "objects": lambda name, body: s3.put_object(Bucket=BUCKET, Key=f"folder/{name}", Body=body),
        "versions": lambda name, body: s3.put_object(Bucket=VERSIONED, Key="one", Body=body, Metadata={"name": name}),
        "items": lambda name, body: table.put_item(
            TableName=TABLE, Item={"name": {"S": name}, "value": {"S": digest(body)}}
        ),
        "messages": lambda name, body: send(QueueUrl=queue, MessageBody=f"{name} {digest(body)}"),
        "parameters": lambda name, body: put(Name=f"/kills/{name}", Value=digest(body), Type="String"),
        "events": lambda name, body: say(**stream, logEvents=event(f"{name} {digest(body)}")),
    }


def _pages(client: Any, operation: str, member: str, **request: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(member, [])


def _objects(aws: Aws) -> Iterator[tuple[str, str]]:
    s3 = aws.client("s3")
    for entry in _pages(s3, "list_objects_v2", "Contents", Bucket=BUCKET, Prefix="folder/"):
        body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        yield entry["Key"].rpartition("/")[2], digest(body)


def _versions(aws: Aws) -> Iterator[tuple[str, str]]:
    s3 = aws.client("s3")
    for entry in _pages(s3, "list_object_versions", "Versions", Bucket=VERSIONED):
        found = s3.get_object(Bucket=VERSIONED, Key=entry["Key"], VersionId=entry["VersionId"])
        yield found["Metadata"]["name"], digest(found["Body"].read())


def _items(aws: Aws) -> Iterator[tuple[str, str]]:
    for item in _pages(aws.client("dynamodb"), "scan", "Items", TableName=TABLE):
        yield item["name"]["S"], item["value"]["S"]


def _messages(aws: Aws) -> Iterator[tuple[str, str]]:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get("Messages"):
        for message in received:
            name, _, value = message["Body"].partition(" ")
            yield name, value
    # The next server delivers them again: what is in flight isn't kept.


def _parameters(aws: Aws) -> Iterator[tuple[str, str]]:
    for found in _pages(aws.client("ssm"), "get_parameters_by_path", "Parameters", Path="/kills"):
        yield found["Name"].rpartition("/")[2], found["Value"]


def _events(aws: Aws) -> Iterator[tuple[str, str]]:
    for event in _pages(aws.client("logs"), "filter_log_events", "events", logGroupName=GROUP):
        name, _, value = event["message"].partition(" ")
        yield name, value


_LISTED: dict[str, Callable[[Aws], Iterator[tuple[str, str]]]] = {
    "objects": _objects,
    "versions": _versions,
    "items": _items,
    "messages": _messages,
    "parameters": _parameters,
    "events": _events,
}
WRITTEN = tuple(_LISTED)
