"""Views, deployed: drawn beside a run's training, whatever goes wrong in them, and drawn again long after it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from deployed import Pipeline, Scripted
from running_aws import ROOT, TOOLKIT

from contract import files
from contract import views as words
from ratchet import cli

MODEL = Path(__file__).parent / "viewed_model"
FILES = {path.name: path.read_text() for path in MODEL.glob("*.py")}
GOOD = [
    {"view": "losses", "every": 20},
    {"view": "confusion"},
    {"view": "path", "every": 40, "parameters": {"colour": "teal"}},
    {"view": "views.pixels", "name": "grey-pixels", "every": 40},
    {"view": "pixels", "name": "after_each", "every": "evaluation", "parameters": {"rows": 2}},
]
BAD = [{"view": name, "every": 40} for name in ("raises", "more_views.hangs", "too_much", "not_saved")]
RULES = [{"rule": "ExplodingTensor", "parameters": {"collection_names": ["losses"]}}]
PIPELINES = {
    "viewed": Scripted({"views": GOOD, "rules": RULES}, FILES),
    "viewed-badly": Scripted({"views": [GOOD[2], *BAD]}, FILES),
}
# Of 120 steps, 0 to 119; a picture after an evaluation stands at the training steps before it.
PICTURES = {
    "losses": (20, 100, words.VEGA_LITE),
    "confusion": (20, 120, words.VEGA_LITE),
    "path": (40, 80, words.SVG),
    "grey-pixels": (40, 80, words.PNG),
    "after_each": (20, 120, words.PNG),
}


def tensors(pipeline: Pipeline, run_id: str) -> str:
    return files.run_folder(pipeline.name, run_id) + files.TENSORS


def read(pipeline: Pipeline, key: str) -> bytes:
    found = pipeline.aws.client("s3").get_object(Bucket=pipeline.shared["ArtifactBucketName"], Key=key)
    content: bytes = found["Body"].read()
    return content


def document(pipeline: Pipeline, run_id: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(pipeline, f"{tensors(pipeline, run_id)}/{words.document(name)}"))
    return found


class Person:
    """The commands, as called in a checkout that has the model's folder."""

    def __init__(self, pipeline: Pipeline, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = root / ".ratchet"
        self.home.mkdir(parents=True)
        (self.home / "aws").symlink_to(pipeline.aws.state)
        shutil.copy(ROOT / "cdk.json", root)
        self.folder = root / "training_code" / pipeline.name
        Scripted({"views": GOOD, "rules": RULES}, FILES).write(self.folder.parent, pipeline.name)
        shutil.copytree(TOOLKIT, self.folder.parent / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.chdir(root)
        monkeypatch.setenv("RATCHET_HOME", str(self.home))

    def __call__(self, *words_: str) -> Result:
        return CliRunner().invoke(cli.main, list(words_))

    def drawn(self, *words_: str, code: int = 0) -> dict[str, Any]:
        result = self("view", *words_, "--json")
        assert result.exit_code == code, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found


@pytest.fixture(scope="module")
def viewed(deployed: Callable[[str], Pipeline]) -> Pipeline:
    return deployed("viewed")


@pytest.fixture(scope="module")
def run(viewed: Pipeline) -> Mapping[str, Any]:
    """The record of a run with five views."""
    last = [f"{name}/{last}" for name, (_, last, _) in PICTURES.items()]
    viewed.order(accuracy=0.9, pictures=last)
    return viewed.run()


@pytest.fixture
def person(viewed: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(viewed, tmp_path / "checkout", monkeypatch)


def test_a_run_leaves_its_pictures(viewed: Pipeline, run: Mapping[str, Any]) -> None:
    assert run["outcome"] == "Promoted", run.get("error")
    for name, (_, last, ending) in PICTURES.items():
        found = document(viewed, run["run_id"], name)
        assert (found["name"], found["status"], found["failed"], found["problems"]) == (name, words.ENDED, 0, [])
        by_step = {picture["step"]: picture for picture in found["pictures"]}
        assert last in by_step, f"{name}: {sorted(by_step)}"
        for step, picture in by_step.items():
            assert picture["file"] == words.picture(name, step, ending)
            content = read(viewed, f"{tensors(viewed, run['run_id'])}/{picture['file']}")
            assert len(content) == picture["bytes"] > 0
    assert b'stroke="teal"' in read(viewed, f"{tensors(viewed, run['run_id'])}/{words.picture('path', 80, words.SVG)}")


def test_views_that_go_wrong_break_nothing_and_say_so(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("viewed-badly")
    pipeline.order(accuracy=0.9, pictures=["path/160"], steps=200)
    record = pipeline.run()
    assert record["outcome"] == "Promoted", record.get("error")
    assert document(pipeline, record["run_id"], "path")["pictures"]
    said = {
        "raises": "IndexError: index 7 is out of bounds for axis 0 with size 2",
        "too_much": " MiB; at most 2 MiB: draw less",
        "not_saved": ": there is no tensor of that name",
    }
    for name, reason in said.items():
        found = document(pipeline, record["run_id"], name)
        assert found["pictures"] == [] and found["failed"] >= 1, found
        assert reason in found["problems"][0]["reason"], found["problems"]
    assert "views.py:" in document(pipeline, record["run_id"], "raises")["problems"][0]["reason"]


def test_a_run_that_a_rule_stops_keeps_its_pictures(viewed: Pipeline) -> None:
    viewed.order(accuracy=0.9, explodes=100, pictures=["path/80"])
    record = viewed.run()
    assert record["outcome"] == "StoppedByRule", record.get("error")
    assert document(viewed, record["run_id"], "path")["pictures"]


def test_a_view_is_drawn_afterwards_as_it_was_beside_the_training(
    viewed: Pipeline, run: Mapping[str, Any], person: Person
) -> None:
    answer = person.drawn(run["run_id"], "path", "--step", "80")
    assert answer["problems"] == [] and [picture["step"] for picture in answer["pictures"]] == [80]
    (picture,) = answer["pictures"]
    own = read(viewed, f"{tensors(viewed, run['run_id'])}/{words.picture('path', 80, words.SVG)}")
    assert Path(picture["path"]).read_bytes() == own
    assert Path(picture["path"]) == person.home / "views" / run["run_id"] / "path" / "000000000080.svg"


def test_all_that_is_due_is_drawn_of_any_view(run: Mapping[str, Any], person: Person, tmp_path: Path) -> None:
    built_in = person.drawn(run["run_id"], "losses", "--every", "50", "--output", str(tmp_path / "losses"))
    assert [picture["step"] for picture in built_in["pictures"]] == [0, 50, 100]
    assert {Path(picture["path"]).name for picture in built_in["pictures"]} == {f"{n:012d}.svg" for n in (0, 50, 100)}
    assert (tmp_path / "losses" / "000000000050.vl.json").is_file(), "what the view itself has drawn lies beside it"


def test_the_folders_own_code_draws_what_the_runs_could_not(run: Mapping[str, Any], person: Person) -> None:
    views = person.folder / "views.py"
    views.write_text(views.read_text() + "\n\ndef later(trial, step):\n    return path(trial, step, colour='plum')\n")
    result = person("view", run["run_id"], "later")
    assert result.exit_code == 1
    assert "is 'later', which is no function of views.py and no built-in view" in result.stderr
    (picture,) = person.drawn(run["run_id"], "later", "--current-code", "--step", "40")["pictures"]
    assert 'stroke="plum"' in Path(picture["path"]).read_text()


def test_what_cannot_be_drawn_is_said(run: Mapping[str, Any], person: Person) -> None:
    answer = person.drawn(run["run_id"], "views.raises", "--step", "40", code=1)
    assert answer["pictures"] == [] and "IndexError" in answer["problems"][0]["reason"]
    unknown = person("view", "20260101-000000-0000", "path")
    assert (unknown.exit_code, "there is no run '20260101-000000-0000'" in unknown.stderr) == (1, True)


def test_a_training_that_is_tried_out_draws_its_views_too(viewed: Pipeline, person: Person) -> None:
    viewed.order(accuracy=0.9, pictures=["path/80", "losses/100"])
    result = person("train", viewed.name, "--json")
    assert result.exit_code == 0, result.output
    tried = json.loads(result.stdout)
    newest = {view["view"]: view for view in tried["views"]}
    assert newest.keys() == PICTURES.keys()
    assert b'stroke="teal"' in Path(newest["path"]["path"]).read_bytes()
    assert newest["losses"]["path"].endswith(".svg"), "what opens anywhere"
    (again,) = person.drawn(tried["training_job"], "path", "--step", str(newest["path"]["step"]))["pictures"]
    assert again["path"] == newest["path"]["path"]


def test_the_role_that_draws_is_asked_for_what_it_may(viewed: Pipeline, run: Mapping[str, Any], person: Person) -> None:
    role = viewed.role("ViewsViewing")
    with viewed.without("s3:GetObject", role):
        told = person.drawn(run["run_id"], "path", "--step", "80", code=1)
    assert told["status"] == "Failed" and "s3:GetObject" in told["failure"] and role in told["failure"]
