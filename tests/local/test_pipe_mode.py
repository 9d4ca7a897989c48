"""Pipe mode on the embedded AWS: objects and augmented manifests as named pipes, read by scripts and by the toolkit."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hosting_kit import archive
from job_kit import GOES_ON_UNTIL_STOPPED, Jobs, hearing
from running_aws import Aws

Document = dict[str, Any]
CHECKOUT = Path(__file__).parents[2]
# What the toolkit's reader is made of, as every training job of Ratchet's has it.
SHIPPED = [
    *(f"toolkit/{name}.py" for name in ("__init__", "container", "errors", "manifests", "recordio")),
    *(f"contract/{name}.py" for name in ("__init__", "environment", "manifests", "names")),
]


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


def source(jobs: Jobs, script: str) -> str:
    files: dict[str, str | bytes] = {"train.py": script}
    for name in SHIPPED:
        root = CHECKOUT / "training_code" if name.startswith("toolkit") else CHECKOUT
        files[name] = (root / name).read_bytes()
    return jobs.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", archive(files))


def manifest(jobs: Jobs, lines: list[str]) -> str:
    return jobs.put(f"manifests/{uuid.uuid4().hex}.manifest", "\n".join(lines))


def augmented(jobs: Jobs, name: str, lines: list[str], attributes: list[str], **more: Any) -> Document:
    """A channel with an augmented manifest, wrapped in RecordIO."""
    made = jobs.channel(name, manifest(jobs, lines), "AugmentedManifestFile", InputMode="Pipe", **more)
    made["DataSource"]["S3DataSource"]["AttributeNames"] = attributes
    return {**made, "RecordWrapperType": "RecordIO"}


def piped(jobs: Jobs, name: str, uri: str, kind: str = "S3Prefix", **more: Any) -> Document:
    return jobs.channel(name, uri, kind, InputMode="Pipe", **more)


def numbered(count: int) -> list[str]:
    return [json.dumps({"number": number, "class": f"c{number % 7}", "not-asked": "x"}) for number in range(count)]


def answers(jobs: Jobs, job: Document) -> Document:
    """What a job has printed, by its first word."""
    lines = jobs.log_lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    found = (line.partition(" ") for line in lines if line.startswith("SAYS-"))
    return {name.removeprefix("SAYS-"): json.loads(said) for name, _, said in found}


READS_ALL = """
import json, os, stat, time
from toolkit import manifests

def say(name, value):
    print(f"SAYS-{name}", json.dumps(value), flush=True)

def raw(pipe):
    with open("/opt/ml/input/data/" + pipe, "rb") as file:
        return file.read().decode("latin-1")

say("first", [stat.S_ISFIFO(os.stat("/opt/ml/input/data/" + name).st_mode) for name in ("train_0", "plain_0")])
for epoch in range(2):
    records = manifests.records("train", ["class", "number"])
    for at, record in enumerate(records):
        assert record == {"class": f"c{at % 7}", "number": at}, (epoch, at, record)
        if at % 500 == 0:
            time.sleep(0.01)  # a reader that is slower than S3
    say(f"count-{records.epoch}", records.count)
pictures = [list(manifests.records("pictures", ["source-ref", "class"])) for _ in range(2)]
for epoch, found in enumerate(pictures):
    assert all(each["source-ref"] == b"picture %d" % each["class"] for each in found)
    say(f"pictures-{epoch}", [each["class"] for each in found])
say("plain", [raw("plain_0"), raw("plain_1")])
say("picked", raw("picked_0"))
say("left", sorted(os.listdir("/opt/ml/input/data")))
say("config", json.load(open("/opt/ml/input/config/inputdataconfig.json")))
"""


@pytest.mark.fidelity(
    "Training jobs",
    "Pipe mode streams S3Prefix, ManifestFile and AugmentedManifestFile channels, as they are or wrapped in RecordIO.",
    "SageMaker API, Channel and S3DataSource; SageMaker DG, Augmented Manifest File Format for Pipe Mode Training",
)
def test_ten_thousand_records_come_in_order_in_each_epoch(jobs: Jobs) -> None:
    pictures = [jobs.put(f"pictures/{number}.png", f"picture {number}") for number in range(20)]
    lines = [json.dumps({"source-ref": uri, "class": number}) for number, uri in enumerate(pictures)]
    jobs.put("plain/a.csv", "1,2\n")
    jobs.put("plain/b.csv", "")
    jobs.put("plain/c.csv", "3,4\n")
    picked = jobs.put("picked.manifest", json.dumps([{"prefix": f"s3://{jobs.bucket}/plain/"}, "c.csv", "a.csv"]))
    job = jobs.train(
        "",
        source=source(jobs, READS_ALL),
        InputDataConfig=[
            # The last line is empty, and no record.
            augmented(jobs, "train", [*numbered(10_000), "", ""], ["class", "number"]),
            augmented(jobs, "pictures", lines, ["source-ref", "class"], ShuffleConfig={"Seed": 7}),
            piped(jobs, "plain", f"s3://{jobs.bucket}/plain/"),
            piped(jobs, "picked", picked, "ManifestFile", RecordWrapperType="RecordIO"),
        ],
    )
    said = answers(jobs, job)
    assert said["first"] == [True, True]
    assert (said["count-0"], said["count-1"]) == (10_000, 10_000)
    first, second = said["pictures-0"], said["pictures-1"]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second, "each epoch is shuffled anew"
    assert list(range(20)) not in (first, second)
    assert said["plain"] == ["1,2\n3,4\n"] * 2
    assert said["picked"].encode("latin-1").hex(" ", 4) == "0a23d7ce 04000000 332c340a 0a23d7ce 04000000 312c320a"
    assert said["left"] == ["picked_1", "pictures_2", "plain_2", "train_2"], "the next epochs' pipes, and no others"
    assert said["config"]["train"]["TrainingInputMode"] == "Pipe"
    assert said["config"]["train"]["RecordWrapperType"] == "RecordIO"


STOPS_HALF_WAY = """
import os, time
from toolkit import manifests
for epoch in range(2):
    for record in manifests.records("train", ["number"]):
        if record["number"] == 1000:
            print("epoch", epoch, flush=True)
            break
while not os.path.exists("/opt/ml/input/data/train_2"):
    time.sleep(0.01)  # "your code may need to retry until the pipe is created"
held = open("/opt/ml/input/data/train_2", "rb", buffering=0)
held.read(1)
"""


def test_a_job_may_stop_reading_half_way(aws: Aws, jobs: Jobs) -> None:
    lines = [json.dumps({"number": number, "text": "x" * 100}) for number in range(10_000)]
    channel = augmented(jobs, "train", lines, ["number"])
    job = jobs.train("", source=source(jobs, STOPS_HALF_WAY), InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Completed", job
    assert [line for line in jobs.log_lines(job["TrainingJobName"]) if line.startswith("epoch")] == [
        "epoch 0",
        "epoch 1",
    ]
    open_files = [str(path.readlink()) for path in Path(f"/proc/{aws.server.pid}/fd").iterdir() if path.is_symlink()]
    assert [path for path in open_files if job["TrainingJobName"] in path] == []


def test_a_job_that_never_reads_can_be_stopped(jobs: Jobs) -> None:
    opened = f"open('/opt/ml/input/data/train_0', 'rb', buffering=0).read(1)\n{GOES_ON_UNTIL_STOPPED}"
    channels = [piped(jobs, name, f"s3://{jobs.bucket}/train/") for name in ("train", "unread")]
    request = hearing(jobs.training_request(opened, InputDataConfig=channels))
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(request["TrainingJobName"], "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    assert jobs.ended(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"class": "c"}', "line 3 of {uri} has no attribute 'number'; it has 'class'"),
        ('{"number": 3', "line 3 of {uri} is not JSON: Expecting"),
        ('{"number": 3, "source-ref": "3.png"}', "'source-ref' of line 3 of {uri} must be an object's S3 URI, not '3"),
    ],
)  # fmt: skip
def test_a_bad_line_fails_the_job_and_is_named(jobs: Jobs, line: str, reason: str) -> None:
    good = json.dumps({"number": 1, "source-ref": f"s3://{jobs.bucket}/train/part-0.csv"})
    channel = augmented(jobs, "train", [good, good, line], ["number", "source-ref"])
    job = jobs.train("print('begun')", InputDataConfig=[channel])
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    assert job["FailureReason"].startswith(
        f"ClientError: Data download failed for channel train: {reason.format(uri=uri)}"
    )
    assert "begun" not in jobs.log_lines(job["TrainingJobName"])


SAVES_WHATEVER_COMES = """
import os, pathlib
pathlib.Path("/opt/ml/model/m").write_bytes(open("/opt/ml/input/data/train_0", "rb").read())
"""


def test_an_object_that_cannot_be_read_fails_a_job_that_may_have_a_model(jobs: Jobs) -> None:
    """What was streamed until then looks like no whole epoch to the script."""
    gone = f"s3://{jobs.bucket}/train/gone.csv"
    lines = [json.dumps({"source-ref": uri}) for uri in (f"s3://{jobs.bucket}/train/part-0.csv", gone)]
    job = jobs.train(SAVES_WHATEVER_COMES, InputDataConfig=[augmented(jobs, "train", lines, ["source-ref"])])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed for channel train: NoSuchKey")
    assert "train/gone.csv" in job["FailureReason"]
    assert "ModelArtifacts" not in job or not jobs.keys(f"out/{job['TrainingJobName']}")
