"""A model that does as the training data say: how often it is right, and what goes wrong. For tests of whole runs."""

import json
import math
import os
import sys
import tarfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from toolkit.probe import Probe
from toolkit.serving import save_serving_code


def say_issues(orders):
    """An event of the rules' own, as often as ordered, about the rules that are ordered."""
    import boto3  # noqa: PLC0415 - that takes longer than the rest, and few orders are of this kind

    job = os.environ["TRAINING_JOB_ARN"]
    statuses = [
        {
            "RuleConfigurationName": name,
            "RuleEvaluationJobArn": job,
            "RuleEvaluationStatus": orders.get("status", "IssuesFound"),
            "StatusDetails": json.dumps({"rule": name, "step": 40, "value": 7.5, "reason": "the loss is 7.5"}),
            "LastModifiedTime": int(1000 * time.time()),
        }
        for name in orders["rules"]
    ]
    detail = {
        "TrainingJobName": os.environ["TRAINING_JOB_NAME"],
        "TrainingJobArn": job,
        "TrainingJobStatus": "InProgress",
        "DebugRuleEvaluationStatuses": statuses,
    }
    entry = {
        "Source": orders.get("source", "ratchet.rules"),
        "DetailType": "SageMaker Training Job State Change",
        "Detail": json.dumps(detail),
    }
    if orders.get("saved"):
        save_model(orders)
    place = urlsplit(os.environ["RATCHET_VERDICTS"])
    boto3.client("s3").put_object(Bucket=place.netloc, Key=place.path[1:], Body=entry["Detail"])
    for _ in range(orders.get("times", 1)):
        boto3.client("events", region_name=os.environ["AWS_REGION"]).put_events(Entries=[entry])


def trespass(orders):
    """Tries to write and to read all keys of the artifact bucket that are ordered; fails by telling what it could."""
    import boto3  # noqa: PLC0415 - see above
    from botocore.exceptions import ClientError  # noqa: PLC0415

    own = urlsplit(json.loads(os.environ["RATCHET_PROBE"])["output"])
    client, bucket, could = boto3.client("s3"), own.netloc, []
    for key in [*orders["keys"], own.path[1:] + "mine"]:
        for verb, ask in (
            ("write", lambda key=key: client.put_object(Bucket=bucket, Key=key, Body=b"replaced")),
            ("read", lambda key=key: client.get_object(Bucket=bucket, Key=key)),
        ):
            try:
                ask()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    could.append(f"{verb} {key}")
            else:
                could.append(f"{verb} {key}")
    raise PermissionError(f"could {json.dumps(could)}")


def in_this_round(orders):
    """Orders may differ from round to round; a round learns from the last one's model which it is."""
    number = 1
    if previous := os.environ.get("SM_CHANNEL_PREVIOUS"):
        with tarfile.open(Path(previous) / "model.tar.gz") as archive:
            number += json.load(archive.extractfile("model.json"))["round"]
    return {**orders, **orders["rounds"][number - 1], "round": number}


# Trouble -> (training loss, validation loss, accuracy) at a step; without trouble all goes well.
TROUBLE = {
    "explodes": lambda step: (10.0 ** (30 * step) if step < 10 else float("inf"), 1.0, 0.9),
    "overfits": lambda step: (1 / (step + 1), 0.5 + step / 50, 0.9),
    "forgets": lambda step: (1 / (step + 1), 1.05 / (step + 1), 0.9 if step < 30 else 0.4),
    "learns": lambda step: (1 / (step + 1), 1.05 / (step + 1), 0.9),
    "sticks": lambda step: (1 / (min(step, 25) + 1), 1.05, 0.9),
}


def train_watched(orders):
    """Twelve seconds of training with a probe (or `steps` of it), and the trouble that is ordered."""
    probe = Probe.from_environment()
    well = TROUBLE["forgets"]
    for step in range(orders.get("steps", 400)):
        train, validation, accuracy = TROUBLE.get(orders["trouble"], lambda _: well(0))(min(step, 400))
        if not math.isfinite(train):
            print(f"infinite at {time.time():.6f}", flush=True)
        probe.loss("train", train)
        probe.step()
        if step % 10 == 9:
            with probe.mode("eval"):
                probe.loss("validation", validation)
                probe.scalar("accuracy", accuracy)
                probe.step()
        time.sleep(600 if orders["trouble"] == "stalls" and step == 20 else 0.03)
    probe.close()


def save_model(orders):
    model = Path(os.environ["SM_MODEL_DIR"])
    (model / "model.json").write_text(json.dumps(orders))
    save_serving_code(model)


orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
print(f"orders: {orders}", flush=True)
if "rounds" in orders:
    orders = in_this_round(orders)
    print(f"accuracy={orders['accuracy']} parameters={orders['parameters']}", flush=True)
if orders.get("train") == "raise":
    raise ValueError("the training data are upside down")
if orders.get("train") == "linger":
    time.sleep(orders["seconds"])
if orders.get("train") == "watched":
    train_watched(orders)
if orders.get("train") == "issues":
    say_issues(orders)
    time.sleep(orders.get("seconds", 600))
if orders.get("train") == "trespass":
    trespass(orders)
save_model(orders)
sys.exit(0)
