"""A transform job beside the bare predict loop: every row of a file answered by the digits' forest.

    throughput_ratio       rows a second of the whole job, from its request to its end, over those of the bare loop,
                           which has its model before it begins: read, predict, join, write, in batches as large
    rows_per_second        of the job
    bare_rows_per_second   of the loop
    wrong_rows             rows that the job didn't answer once, in order, with their name, as the loop did

Medians; both take turns.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import io
import json
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bench import harness
from demo import data
from infra.images import images
from localaws.sagemaker.containers.images import Images
from ratchet import account, project, spec
from ratchet.spec.source_package import source_package

ROWS, SMALL_ROWS, REPETITIONS, SMALL = 100_000, 3_000, 5, 1
REGION = "us-east-1"
MODEL, TOOLKIT = (harness.ROOT / "training_code" / name for name in ("digits_forest", "toolkit"))
POLL_SECONDS = 0.05  # a look costs both sides some milliseconds of a core
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}

Client = Callable[[str], Any]


@dataclass(frozen=True)
class Turn:
    """Seconds of the job and of the loop, and how many rows aren't as they should be."""

    job: float
    bare: float
    wrong: int


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """On an embedded AWS of its own."""
    with harness.home():
        harness.ratchet("up", "--no-deploy")
        return compared(account.connect(project.find(), "local").client, small, say)


def compared(client: Client, small: bool, say: Callable[[str], None]) -> harness.Document:
    """Job and loop in turns, on an AWS that runs; the first turn warms both up, where there are several."""
    rows = SMALL_ROWS if small else ROWS
    with tempfile.TemporaryDirectory() as folder:
        batch = Batch(client, Path(folder), rows)
        turns = []
        for _ in range(SMALL if small else 1 + REPETITIONS):
            turns.append(batch.turn())
            say(f"{rows} rows: job {turns[-1].job:.2f} s, bare loop {turns[-1].bare:.2f} s")
    return document(rows, turns if small else turns[1:])


def document(rows: int, turns: list[Turn]) -> harness.Document:
    """The figures."""
    samples = {
        "throughput_ratio": [turn.bare / turn.job for turn in turns],
        "rows_per_second": [rows / turn.job for turn in turns],
        "bare_rows_per_second": [rows / turn.bare for turn in turns],
    }
    figures = {name: round(statistics.median(values), 3) for name, values in samples.items()}
    return {"figures": {**figures, "rows": rows, "wrong_rows": sum(turn.wrong for turn in turns)}, "samples": samples}


class Batch:
    """A bucket, a role, a model of the digits, and a file of rows."""

    def __init__(self, client: Client, folder: Path, rows: int) -> None:
        self._client, self._folder = client, folder
        self._image = images(spec.load(MODEL / "pipeline.yaml"), REGION).training
        self._python = Images(harness.IMAGES).environment(self._image, lambda _text: None).python
        self._bucket = f"batch-{uuid.uuid4().hex[:8]}"
        self._s3 = client("s3")
        self._s3.create_bucket(Bucket=self._bucket)
        self._make_model()
        digits = [row.partition(",")[2] for row in data.csv_text(data.digits()).splitlines()]
        text = "".join(f"row{number},{digits[number % len(digits)]}\n" for number in range(rows))
        (folder / "rows.csv").write_text(text)
        self._s3.put_object(Bucket=self._bucket, Key="in/rows.csv", Body=text.encode())

    def turn(self) -> Turn:
        """The loop, and the job on the same rows."""
        bare = self._bare("answer")["seconds"]
        began, out = time.perf_counter(), uuid.uuid4().hex
        self._transform(out)
        seconds = time.perf_counter() - began
        body = self._s3.get_object(Bucket=self._bucket, Key=f"{out}/rows.csv.out")["Body"].read().decode()
        expected = (self._folder / "bare.csv").read_text().splitlines()
        wrong = sum(one != other for one, other in zip_longest(body.splitlines(), expected))
        return Turn(seconds, bare, wrong)

    def _make_model(self) -> None:
        code = source_package(MODEL, TOOLKIT).files
        for name, path in code:
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self._folder / name)
        (self._folder / "digits.csv").write_text(data.csv_text(data.digits()))
        self._bare("fit")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.add(self._folder / "model.joblib", "model.joblib")
            for name, path in code:
                tar.add(path, f"code/{name}")
        self._s3.put_object(Bucket=self._bucket, Key="model.tar.gz", Body=buffer.getvalue())
        iam, version = self._client("iam"), {"Version": "2012-10-17"}
        trust = json.dumps({**version, "Statement": [TRUST]})
        role = iam.create_role(RoleName=self._bucket, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        policy = json.dumps({**version, "Statement": [MAY]})
        iam.put_role_policy(RoleName=self._bucket, PolicyName="all", PolicyDocument=policy)
        container = {
            "Image": self._image,
            "ModelDataUrl": f"s3://{self._bucket}/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "serve.py"},
        }
        self._client("sagemaker").create_model(
            ModelName=self._bucket, PrimaryContainer=container, ExecutionRoleArn=role
        )

    def _bare(self, order: str) -> dict[str, float]:
        script = Path(__file__).with_name("batch_bare.py")
        command = [str(self._python), "-P", str(script), str(self._folder), order]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout)
        return found

    def _transform(self, out: str) -> None:
        sagemaker, name = self._client("sagemaker"), f"batch-{out}"
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self._bucket}/in/"}}
        sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=self._bucket,
            TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
            TransformOutput={
                "S3OutputPath": f"s3://{self._bucket}/{out}",
                "Accept": "text/csv",
                "AssembleWith": "Line",
            },
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
            BatchStrategy="MultiRecord",
        )
        while (job := sagemaker.describe_transform_job(TransformJobName=name))["TransformJobStatus"] == "InProgress":
            time.sleep(POLL_SECONDS)
        if job["TransformJobStatus"] != "Completed":
            raise SystemExit(f"{name} is {job['TransformJobStatus']}: {job.get('FailureReason')}")


def main() -> int:
    return harness.run("batch", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
