"""What is on its way when the kill comes, and what must be so when all has come to rest again."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from deployed import Pipeline
from running_aws import Aws
from waiting import until

from bench.kills_ledger import BUCKET, Ledger, digest
from contract.triggers import RECONCILE

# What a request to a killed server ends with; a response that was cut off has no document, or half of one.
CUT_OFF = (BotoCoreError, ClientError, ValueError, KeyError, OSError)
PATIENCE_SECONDS = 60.0
ROWS = 100
ENDPOINT = "kills-direct"
# Right answers more that make a model better beyond doubt, as the gate counts.
_STEP = 3


@dataclass
class Findings:
    """What was found, as sentences."""

    kills: int = 0
    lost: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong_champions: list[str] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)
    episodes: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)


@dataclass
class World:
    """The AWS as it is now, and what episodes remember."""

    aws: Aws
    pipeline: Pipeline
    ledger: Ledger
    findings: Findings
    chance: random.Random
    number: int = 0
    accuracy: int = 60
    told: dict[str, Any] = field(default_factory=dict)

    def restarted(self, aws: Aws) -> None:
        self.aws = aws
        self.pipeline = Pipeline(aws, self.pipeline.name, self.pipeline.shared, self.pipeline.own)


@dataclass(frozen=True)
class Episode:
    """`begin` is cut off within `seconds`; `settle` is called on the next server."""

    begin: Callable[[World], None]
    settle: Callable[[World], None]
    seconds: float


def prepare(world: World) -> None:
    """Two champions, so that there is one to go back to; and an endpoint that is updated from one to the other."""
    for _ in range(2):
        next_orders(world)
        outcome = world.pipeline.run()["outcome"]
        if outcome != "Promoted":
            raise SystemExit(f"the pipeline that is to be killed doesn't work: {outcome}")
    sagemaker, state = world.aws.client("sagemaker"), world.pipeline.state
    for which in ("champion", "previous_champion"):
        variant = {"VariantName": "one", "ModelName": state[which]["model_name"], "InitialInstanceCount": 1}
        variant["InstanceType"] = "ml.t2.medium"
        # The pipeline deletes models that it doesn't need; what serves here is loaded already, or is a copy.
        copy = sagemaker.describe_model(ModelName=state[which]["model_name"])
        made = {name: copy[name] for name in ("PrimaryContainer", "Containers", "ExecutionRoleArn") if name in copy}
        sagemaker.create_model(ModelName=f"{ENDPOINT}-{which.replace('_', '-')}", **made)
        variant["ModelName"] = f"{ENDPOINT}-{which.replace('_', '-')}"
        sagemaker.create_endpoint_config(EndpointConfigName=variant["ModelName"], ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=f"{ENDPOINT}-champion")
    until(lambda: _endpoint(world)[0] == "InService", ENDPOINT, PATIENCE_SECONDS)


def next_orders(world: World) -> None:
    """Training data that make a model which the gate finds better than the last."""
    world.accuracy = _better(world)
    world.pipeline.order(accuracy=world.accuracy / ROWS, number=world.number)


def _better(world: World) -> int:
    return min(world.accuracy + _STEP, ROWS - 1)


# ------------------------------------------------------------------------------------------------------------- runs


def _begin_run(world: World) -> None:
    world.told = {}
    next_orders(world)
    world.told = world.pipeline.trigger(forced=True)


def _begin_bad_run(world: World) -> None:
    """A model that the gate finds better, and that lies when it serves."""
    world.told = {}
    world.pipeline.order(accuracy=_better(world) / ROWS, number=world.number, endpoint="lie")
    world.told = world.pipeline.trigger(forced=True)


def _begin_rollback(world: World) -> None:
    world.told = {}
    world.told = world.pipeline.trigger("rollback")


def _settle_run(world: World) -> None:
    wrong = world.findings.wrong_champions
    # What its schedule asks of the launcher every five minutes: to finish what was cut off.
    world.pipeline.trigger(RECONCILE)
    try:
        until(lambda: not {"running", "pending"} & world.pipeline.state.keys(), "rest", PATIENCE_SECONDS)
        # A new server loads the models again before the endpoint is what it was.
        until(lambda: not _is_updating(world), "the endpoint", PATIENCE_SECONDS)
    except AssertionError:
        wrong.append(f"kill {world.number + 1}: the pipeline doesn't come to rest: {world.pipeline.state}")
        return
    run_id = world.told.get("run_id") if world.told.get("status") == "started" else None
    if run_id and world.pipeline.item(f"run#{run_id}").get("outcome", "Running") == "Running":
        world.findings.lost.append(f"kill {world.number + 1}: run {run_id} was acknowledged and has no end")
    why = _disagreement(world)
    if why:
        wrong.append(f"kill {world.number + 1}: {why}")


def _is_updating(world: World) -> bool:
    return str(world.pipeline.deployed()["endpoint"][0]).endswith(("Updating", "Creating", "RollingBack"))


def _disagreement(world: World) -> str:
    """How endpoint, run table and answers differ; "" where they agree."""
    champion = world.pipeline.state.get("champion")
    if champion is None:
        return "the run table names no champion any more"
    serving = world.pipeline.deployed()["endpoint"]
    if serving != ("InService", champion["endpoint_config_name"]):
        return f"{serving} serves where {champion['endpoint_config_name']} is the champion"
    right = _right_answers(world, world.pipeline.own["EndpointName"])
    if right != round(ROWS * float(champion["score"])):
        return f"{right} of {ROWS} answers are right where the champion's score is {champion['score']}"
    return ""


def _right_answers(world: World, endpoint: str) -> int:
    body = "\n".join(map(str, range(ROWS)))
    answer = world.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="text/csv", Accept="text/csv", Body=body
    )
    labels = answer["Body"].read().decode().split()
    return sum(label == str(row % 2) for row, label in enumerate(labels))


# ---------------------------------------------------------------------------------------------------------- endpoint


def _endpoint(world: World) -> tuple[str, str]:
    found = world.aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return found["EndpointStatus"], found["EndpointConfigName"]


def _begin_update(world: World) -> None:
    world.told = {"before": _endpoint(world)[1]}
    other = "champion" if world.told["before"].endswith("previous-champion") else "previous-champion"
    world.told["asked"] = f"{ENDPOINT}-{other}"
    world.aws.client("sagemaker").update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=world.told["asked"])


def _settle_update(world: World) -> None:
    try:
        until(lambda: _endpoint(world)[0] == "InService", ENDPOINT, PATIENCE_SECONDS)
        right = _right_answers(world, ENDPOINT)
    except (AssertionError, ClientError) as error:
        world.findings.wrong_champions.append(f"kill {world.number + 1}: {ENDPOINT} after an update: {error}")
        return
    config = _endpoint(world)[1]
    expected = {f"{ENDPOINT}-previous-champion": 63, f"{ENDPOINT}-champion": 66}[config]
    if right != expected or config not in (world.told.get("before", config), world.told.get("asked", config)):
        world.findings.wrong_champions.append(f"kill {world.number + 1}: {config} has {right} right answers")


# ------------------------------------------------------------------------------------------------------------ stacks


def _stack(world: World) -> str:
    return f"kills-{world.number}"


def _create_stack(world: World) -> None:
    name = _stack(world)
    resources: dict[str, Any] = {
        f"Queue{number}": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-{number}"}}
        for number in range(6)
    }
    resources["Bucket"] = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{name}-bucket"}}
    resources["Topic"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{name}-topic"}}
    body = json.dumps({"Resources": resources})
    world.ledger.note(
        "stacks", name, "", lambda: world.aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    )


def _create_and_destroy(world: World) -> None:
    _create_stack(world)
    until(lambda: _status(world).endswith("_COMPLETE"), _stack(world), PATIENCE_SECONDS)
    world.aws.client("cloudformation").delete_stack(StackName=_stack(world))
    until(lambda: not _status(world), "its end", PATIENCE_SECONDS)


def _status(world: World) -> str:
    try:
        found = world.aws.client("cloudformation").describe_stacks(StackName=_stack(world))["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise
    return "" if found[0]["StackStatus"] == "DELETE_COMPLETE" else str(found[0]["StackStatus"])


def _settle_created(world: World) -> None:
    if _stack(world) in world.ledger.acknowledged["stacks"] and not _status(world):
        world.findings.lost.append(f"kill {world.number + 1}: stack {_stack(world)} was acknowledged and isn't there")
    _settle_destroyed(world)


def _settle_destroyed(world: World) -> None:
    """A stack that was cut off can be deleted, and leaves nothing."""
    if _status(world):
        world.aws.client("cloudformation").delete_stack(StackName=_stack(world))
        until(lambda: not _status(world), f"{_stack(world)} to go", PATIENCE_SECONDS)
    prefix = f"{_stack(world)}-"
    queues = world.aws.client("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
    buckets = [each["Name"] for each in world.aws.client("s3").list_buckets()["Buckets"]]
    topics = [each["TopicArn"] for each in world.aws.client("sns").list_topics()["Topics"]]
    left = [*queues, *(each for each in buckets if each.startswith(prefix)), *(t for t in topics if prefix in t)]
    world.findings.orphans += [f"kill {world.number + 1}: {each} of a deleted stack" for each in left]


# ---------------------------------------------------------------------------------------------------------- multipart


def _begin_multipart(world: World) -> None:
    s3, key = world.aws.client("s3"), f"large-{world.number}"
    world.told = {"key": key, "parts": {}}
    world.told["upload"] = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    for number in range(1, 5):
        body = bytes([number]) * ((5 << 20) + number)
        part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=world.told["upload"], PartNumber=number, Body=body)
        world.told["parts"][number] = part["ETag"], body
    _complete(world)
    world.told["completed"] = True


def _complete(world: World) -> None:
    parts = [{"PartNumber": number, "ETag": tag} for number, (tag, _) in sorted(world.told["parts"].items())]
    where = {"Bucket": BUCKET, "Key": world.told["key"], "UploadId": world.told["upload"]}
    world.aws.client("s3").complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


def _settle_multipart(world: World) -> None:
    """What was acknowledged of an upload can be completed, and is what was sent."""
    if not world.told.get("parts"):
        return
    try:
        _complete(world)  # again, where the answer was lost: S3 answers the same
        found = world.aws.client("s3").get_object(Bucket=BUCKET, Key=world.told["key"])["Body"].read()
    except ClientError as error:
        world.findings.lost.append(f"kill {world.number + 1}: an upload of acknowledged parts: {error}")
        return
    sent = b"".join(body for _, (_, body) in sorted(world.told["parts"].items()))
    if digest(found) != digest(sent):
        world.findings.lost.append(f"kill {world.number + 1}: {world.told['key']} isn't what was sent")


def _write_only(_world: World) -> None:
    time.sleep(0)


EPISODES = {
    "writes": Episode(_write_only, _write_only, 0.5),
    "run": Episode(_begin_run, _settle_run, 3.0),
    "multipart": Episode(_begin_multipart, _settle_multipart, 0.6),
    "rollback": Episode(_begin_rollback, _settle_run, 1.5),
    "deploy": Episode(_create_stack, _settle_created, 0.6),
    "bad_run": Episode(_begin_bad_run, _settle_run, 4.0),
    "destroy": Episode(_create_and_destroy, _settle_destroyed, 1.5),
    "update": Episode(_begin_update, _settle_update, 1.5),
}
