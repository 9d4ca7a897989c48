"""`ratchet export`: a run's compiled model as a folder, from what a run has left; and what it refuses."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from commands_world import ARTIFACTS, World, world_in

from contract import run_table

RUN = "20261120-101112-abcd"
KEY = f"runs/iris-tree/{RUN}/compiled/model.tar.gz"
TRAINED = f"s3://{ARTIFACTS}/runs/iris-tree/{RUN}/train/j/output/model.tar.gz"
FIGURES = {
    "target": "onnx",
    "precision": "float32",
    "examples": 50,
    "unequal": 0,
    "bytes": {"original": 4000, "compiled": 1500},
    "versions": {"python": "3.12", "numpy": "2.4.6", "onnxruntime": "1.31.1"},
}
MEMBERS = {
    "model.onnx": b"onnx",
    "compiled.json": json.dumps(FIGURES).encode(),
    "code/serve.py": b"",
    "runtime/onnxruntime/__init__.py": b"",
}
CANDIDATE = {
    "run_id": RUN,
    "model_data": f"s3://{ARTIFACTS}/{KEY}",
    "trained_model_data": TRAINED,
    "metric": "accuracy",
    "score": "0.96",
}


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = world_in(tmp_path, monkeypatch)
    found.deploy("iris-tree")
    run(found, CANDIDATE)
    found.s3.objects[ARTIFACTS, KEY] = archive(MEMBERS)
    return found


def run(world: World, candidate: dict[str, Any] | None, outcome: str = "Promoted") -> None:
    record = {**run_table.key("iris-tree", run_table.run_item(RUN))}
    told = {"run_id": RUN, "outcome": outcome, **({"candidate": candidate} if candidate else {})}
    serialize = TypeSerializer().serialize
    world.dynamodb.put_item(Item={**record, **{name: serialize(value) for name, value in told.items()}})


@pytest.mark.parametrize("named", [RUN, "iris-tree"])
def test_the_folder_has_the_model_its_code_a_script_and_what_it_needs(world: World, tmp_path: Path, named: str) -> None:
    folder = tmp_path / "edge" / "iris"
    done = world.call("export", named, "--to", str(folder), "--json")
    assert done.exit_code == 0, done.output
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        *(name for name in MEMBERS if not name.startswith("runtime/")),
        "answer.py",
        "environment.json",
        "requirements.txt",
        "README.md",
    }
    assert (folder / "requirements.txt").read_text() == "onnxruntime==1.31.1\nnumpy==2.4.6\n"
    assert json.loads((folder / "environment.json").read_text()) == {}
    readme = (folder / "README.md").read_text()
    assert f"iris-tree, the model of run {RUN}" in readme and "Python 3.12" in readme
    assert "of 50 held-out examples it answers 50" in readme and "Judged by accuracy: 0.96" in readme
    document = json.loads(done.stdout)
    assert (document["run_id"], document["folder"], document["compiled"]) == (RUN, str(folder), FIGURES)


def test_a_threshold_goes_with_it_and_so_does_what_the_folders_code_needs(world: World, tmp_path: Path) -> None:
    run(world, {**CANDIDATE, "threshold": "0.8"})
    world.s3.objects[ARTIFACTS, KEY] = archive({**MEMBERS, "code/requirements.txt": b"pillow==13.0.0\n"})
    folder = tmp_path / "edge"
    folder.mkdir()
    assert world.call("export", RUN, "--to", str(folder)).exit_code == 0
    assert json.loads((folder / "environment.json").read_text()) == {"RATCHET_THRESHOLD": "0.8"}
    assert (folder / "requirements.txt").read_text().splitlines()[2:] == ["pillow==13.0.0"]


def refused(world: World, folder: Path, *, named: str = RUN) -> str:
    done = world.call("export", named, "--to", str(folder))
    assert done.exit_code == 1, done.output
    return " ".join(done.output.split())


def test_a_model_that_is_not_compiled_says_how_it_would_be(world: World, tmp_path: Path) -> None:
    run(world, {name: value for name, value in CANDIDATE.items() if name != "trained_model_data"})
    said = refused(world, tmp_path / "edge")
    assert "isn't compiled" in said and "{compile: {target: onnx}}" in said and "ratchet run iris-tree --wait" in said
    assert not (tmp_path / "edge").exists()


def test_a_run_without_a_model_says_what_became_of_it(world: World, tmp_path: Path) -> None:
    run(world, None, outcome="Failed")
    assert f"run {RUN} has no model to export: it is Failed" in refused(world, tmp_path / "edge")


def test_a_run_that_is_not_there(world: World, tmp_path: Path) -> None:
    assert "there is no run '20261120-101112-ffff'" in refused(world, tmp_path / "e", named="20261120-101112-ffff")


def test_a_folder_with_something_in_it_is_left_alone(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "edge"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert "isn't empty; name a folder that isn't there yet" in refused(world, folder)
    assert "is a file; name a folder" in refused(world, folder / "mine.txt")
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_an_archive_that_is_gone(world: World, tmp_path: Path) -> None:
    del world.s3.objects[ARTIFACTS, KEY]
    assert f"is gone: there is nothing at s3://{ARTIFACTS}/{KEY}" in refused(world, tmp_path / "edge")


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archive({"model.onnx": b"onnx"}),
        archive({**MEMBERS, "compiled.json": b"{"}),
        archive({**MEMBERS, "../outside.py": b""}),
    ],
    ids=["no archive", "no figures", "half the figures", "out of the folder"],
)
def test_a_damaged_archive_writes_nothing(world: World, tmp_path: Path, content: bytes) -> None:
    world.s3.objects[ARTIFACTS, KEY] = content
    assert "the model's archive is damaged, or no compiled model" in refused(world, tmp_path / "edge")
    assert not (tmp_path / "edge").exists() and not (tmp_path / "outside.py").exists()
