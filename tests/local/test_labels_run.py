"""An audit of labels, deployed: planted errors are found by a job that may read that channel alone, and what is marked
becomes a channel beside it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deployed import Pipeline, Scripted
from running_aws import ROOT, TOOLKIT

from contract import label_audits
from ratchet import cli

MODEL = Scripted({"labels": ["train"]})
PIPELINES = {"audited": MODEL}
WRONG = {4, 17, 33, 50}


def rows() -> list[str]:
    """Sixty of three classes, four of them labelled as the next class."""
    drawn = random.Random(1)  # noqa: S311 - no secret
    found = []
    for index in range(60):
        label = (index + (index in WRONG)) % 3
        numbers = (f"{10 * (index % 3) + drawn.gauss(0, 1):.2f}" for _ in range(3))
        found.append(f"{label},{','.join(numbers)}\n")
    return found


class Person:
    """The command, as called in a checkout that has the model's folder."""

    def __init__(self, pipeline: Pipeline, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = root / ".ratchet"
        self.home.mkdir(parents=True)
        (self.home / "aws").symlink_to(pipeline.aws.state)
        shutil.copy(ROOT / "cdk.json", root)
        self.folder = root / "training_code" / pipeline.name
        MODEL.write(self.folder.parent, pipeline.name)
        shutil.copytree(TOOLKIT, self.folder.parent / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.chdir(root)
        monkeypatch.setenv("RATCHET_HOME", str(self.home))

    def __call__(self, *words: str, code: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(cli.main, ["labels", "audited", *words, "--json"])
        assert result.exit_code == code, result.output + result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found


@pytest.fixture
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    found = deployed("audited")
    found.put("train/rows.csv", "".join(rows()))
    return found


@pytest.fixture
def person(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(pipeline, tmp_path / "checkout", monkeypatch)


def objects(pipeline: Pipeline) -> dict[str, str]:
    """What the data bucket holds of the pipeline."""
    s3, bucket = pipeline.aws.client("s3"), pipeline.shared["DataBucketName"]
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="audited/")["Contents"]]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


def test_planted_errors_are_found_and_put_right(pipeline: Pipeline, person: Person, tmp_path: Path) -> None:
    found = person("--folds", "3")
    suspects = {each["place"]: each for each in found["suspects"]}
    places = {f"rows.csv:{index + 1}" for index in WRONG}
    assert set(list(suspects)[:4]) == places, suspects
    assert found["learner"].startswith("a forest of 300") and found["examples"] == 60
    page = Path(found["page"])
    assert page.parent == person.home / "labels" / "audited" and all(place in page.read_text() for place in places)

    whose = {"version": label_audits.VERSION, "pipeline": "audited", "environment": "local", "channel": "train"}
    marked = [
        {"place": place, "given": suspects[place]["given"], "label": suspects[place]["suggested"]} for place in places
    ]
    file = tmp_path / "corrections.json"
    file.write_text(json.dumps({**whose, "audit": found["audit"], "corrections": marked}))
    before = objects(pipeline)
    made = person("--apply", str(file))
    assert (made["prefix"], made["corrected"], made["left_out"]) == ("audited/train-corrected-1/", 4, 0)
    after = objects(pipeline)
    assert before.items() <= after.items()
    right = [f"{index % 3}{row[1:]}" for index, row in enumerate(rows())]
    assert after["audited/train-corrected-1/rows.csv"] == "".join(right)


def test_a_learner_of_ones_own_judges_and_what_it_does_wrong_is_said(person: Person) -> None:
    own = person.folder / "label_audit.py"
    own.write_text(
        "def probabilities(known, labels, asked, classes):\n"
        "    return [[float(example.body.startswith(str(n))) for n in (0, 1, 2)] for example in asked]\n"
    )
    told = person(code=1)
    assert told["status"] == "Failed"
    assert (
        "label_audit.py: probabilities must return 12 rows of 3 probabilities each, which sum to 1" in told["failure"]
    )


def test_the_role_that_audits_is_asked_for_what_it_may(pipeline: Pipeline, person: Person) -> None:
    role = pipeline.role("LabelsAuditing")
    with pipeline.without("s3:GetObject", role):
        told = person(code=1)
    assert told["status"] == "Failed" and "s3:GetObject" in told["failure"] and role in told["failure"]
