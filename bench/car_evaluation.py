"""Car evaluation by a chain of three containers: how often it is right, and whether served answers are offline ones.

    accuracy    of held-out cars, the mean of five folds, each trained and answered offline as evaluation does
    folds       so many
    identical   the share of all cars that the embedded AWS answers as offline: by InvokeEndpoint, each alone, and by a
                transform job, many in a request; the model is the first fold's
    rows        cars, of which four fifths are learned from

It may be given data; without, the cars are those that training_code/car_evaluation/cars.py makes:

    python bench/car_evaluation.py --data FILE.csv      UCI's car evaluation: a line of names, then a car a line
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import csv
import io
import json
import random
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from bench import harness
from infra.images import chain_images, images
from infra.workflow.chain import PROGRAM
from infra.workflow.hosting import ENVIRONMENT
from localaws.sagemaker.containers.images import Images
from ratchet import account, project, spec
from ratchet.spec.source_package import source_package

FOLDS, SMALL_FOLDS, SMALL_ROWS = 5, 1, 120
REGION = "us-east-1"
MODEL, TOOLKIT = (harness.ROOT / "training_code" / name for name in ("car_evaluation", "toolkit"))
POLL_SECONDS = 0.05
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
CSV = "text/csv"

Client = Callable[[str], Any]
Rows = list[list[str]]


@dataclass(frozen=True)
class Table:
    """Cars, with the names of their columns; one is `class`."""

    header: list[str]
    rows: Rows

    def text(self, rows: Rows) -> str:
        """Some of them as CSV, with the names."""
        return _csv([self.header, *rows])

    def questions(self) -> list[str]:
        """Each car as an endpoint is asked, without its class."""
        place = self.header.index("class")
        return [_csv([[*row[:place], *row[place + 1 :]]]).strip() for row in self.rows]

    def classes(self) -> list[str]:
        """Each car's class."""
        return [row[self.header.index("class")] for row in self.rows]


def measure(data: Path | None, small: bool, say: Callable[[str], None]) -> harness.Document:
    """On an embedded AWS of its own."""
    with harness.home():
        harness.ratchet("up", "--no-deploy")
        return compared(account.connect(project.find(), "local").client, read(data), small, say)


def read(data: Path | None) -> Table:
    """A file's cars, or those that are made, shuffled: UCI's are sorted."""
    text = data.read_text() if data else _made()
    header, *rows = [row for row in csv.reader(io.StringIO(text)) if row]
    random.Random(0).shuffle(rows)  # noqa: S311 - nothing here is secret
    return Table(header, rows)


def _made() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(MODEL / "cars.py"), folder, "--train", "1728", "--test", "0"]
        subprocess.run(command, check=True, capture_output=True)
        return Path(folder, "train", "cars.csv").read_text()


def compared(client: Client, table: Table, small: bool, say: Callable[[str], None]) -> harness.Document:
    """Folds offline, then the first one's model on an AWS that runs."""
    if small:
        table = Table(table.header, table.rows[:SMALL_ROWS])
    with tempfile.TemporaryDirectory() as folder:
        offline = Offline(Path(folder), table)
        right = []
        for number, fold in enumerate(folds(len(table.rows))[: SMALL_FOLDS if small else FOLDS]):
            right.append(offline.accuracy(number, fold))
            say(f"fold {number + 1}: {right[-1]:.4f} of {len(fold)} cars")
        served = Served(client, offline.archive(0))
        answers = {"InvokeEndpoint": served.invoked(table), "transform job": served.transformed(table)}
        expected = offline.answers(0)
    same = {way: [one == other for one, other in zip(found, expected, strict=True)] for way, found in answers.items()}
    for way, each in same.items():
        say(f"{way}: {sum(each)} of {len(each)} cars as offline")
    figures = {
        "accuracy": round(statistics.fmean(right), 4),
        "folds": len(right),
        "identical": statistics.fmean(all(each) for each in zip(*same.values(), strict=True)),
        "rows": len(table.rows),
    }
    return {"figures": figures, "samples": {"accuracy": right}}


def folds(rows: int) -> list[range]:
    """The held-out rows of each fold: every row once."""
    return [range(*edges) for edges in pairwise(rows * number // FOLDS for number in range(FOLDS + 1))]


class Offline:
    """The model's folder as a job has it, trained and asked in XGBoost's image."""

    def __init__(self, folder: Path, table: Table) -> None:
        self._folder, self._table = folder, table
        self._spec = spec.load(MODEL / "pipeline.yaml")
        self._python = Images(harness.IMAGES).environment(images(self._spec, REGION).training, _quiet).python
        for name, content in source_package(MODEL, TOOLKIT, self._spec.deploy.chain).contents():
            path = folder / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "questions.csv").write_text("\n".join(table.questions()))

    def accuracy(self, number: int, fold: range) -> float:
        """The share of a fold's cars that are answered right by a model that learned from the others."""
        learned = [row for place, row in enumerate(self._table.rows) if place not in fold]
        train = self._folder / str(number) / "train"
        train.mkdir(parents=True)
        (train / "cars.csv").write_text(self._table.text(learned))
        script = Path(__file__).with_name("car_evaluation_offline.py")
        command = [str(self._python), "-P", str(script), str(self._folder), str(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"fold {number + 1} failed: {done.stderr}")
        answers, classes = self.answers(number), self._table.classes()
        return statistics.fmean(answers[place] == classes[place] for place in fold)

    def answers(self, number: int) -> list[str]:
        """Its answers to all cars."""
        return (self._folder / str(number) / "answers.csv").read_text().splitlines()

    def archive(self, number: int) -> bytes:
        """Its model.tar.gz."""
        model = self._folder / str(number) / "model"
        return harness.archive({str(path.relative_to(model)): path.read_bytes() for path in _files(model)})


class Served:
    """The model on an AWS: three containers that load one archive."""

    def __init__(self, client: Client, archive: bytes) -> None:
        self._client, self._name = client, f"cars-{uuid.uuid4().hex[:8]}"
        self._s3, self._sagemaker = client("s3"), client("sagemaker")
        self._s3.create_bucket(Bucket=self._name)
        self._s3.put_object(Bucket=self._name, Key="model.tar.gz", Body=archive)
        self._sagemaker.create_model(ModelName=self._name, Containers=self._containers(), ExecutionRoleArn=self._role())

    def invoked(self, table: Table) -> list[str]:
        """Each car's answer by InvokeEndpoint, asked alone."""
        name, sagemaker = self._name, self._sagemaker
        variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        ended = _ended(lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus", "Creating")
        if ended != "InService":
            raise SystemExit(f"the endpoint is {ended}")
        ask = partial(self._client("sagemaker-runtime").invoke_endpoint, EndpointName=name)
        answers = [
            ask(Body=question, ContentType=CSV, Accept=CSV)["Body"].read().decode() for question in table.questions()
        ]
        sagemaker.delete_endpoint(EndpointName=name)
        return answers

    def transformed(self, table: Table) -> list[str]:
        """The same by a transform job."""
        name, sagemaker = self._name, self._sagemaker
        self._s3.put_object(Bucket=name, Key="in/cars.csv", Body="\n".join(table.questions()).encode())
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"}}
        sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=name,
            TransformInput={"DataSource": source, "ContentType": CSV, "SplitType": "Line"},
            TransformOutput={"S3OutputPath": f"s3://{name}/out", "Accept": CSV, "AssembleWith": "Line"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            BatchStrategy="MultiRecord",
        )
        look = partial(sagemaker.describe_transform_job, TransformJobName=name)
        if _ended(look, "TransformJobStatus", "InProgress") != "Completed":
            raise SystemExit(f"the transform job failed: {look().get('FailureReason')}")
        text: str = self._s3.get_object(Bucket=name, Key="out/cars.csv.out")["Body"].read().decode()
        return text.splitlines()

    def _containers(self) -> list[dict[str, Any]]:
        """As a run of the pipeline makes them."""
        pipeline = spec.load(MODEL / "pipeline.yaml")
        hosting = images(pipeline, REGION).hosting
        return [
            {
                "ContainerHostname": container.hostname,
                "Image": own or hosting,
                "ModelDataUrl": f"s3://{self._name}/model.tar.gz",
                "Environment": {**ENVIRONMENT, **container.environment, PROGRAM: container.entry},
            }
            for container, own in zip(pipeline.deploy.chain, chain_images(pipeline, REGION), strict=True)
        ]

    def _role(self) -> str:
        iam, version = self._client("iam"), {"Version": "2012-10-17"}
        trust, policy = (json.dumps({**version, "Statement": [statement]}) for statement in (TRUST, MAY))
        role: str = iam.create_role(RoleName=self._name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName=self._name, PolicyName="all", PolicyDocument=policy)
        return role


def _ended(look: Callable[[], Any], status: str, going: str) -> str:
    while (found := str(look()[status])) == going:
        time.sleep(POLL_SECONDS)
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _quiet(_text: str) -> None:
    return None


def main() -> int:
    parser = harness.parser(str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="CSV with a column `class` (default: made cars)")
    options = parser.parse_args()
    return harness.run_with(options, "car_evaluation", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
