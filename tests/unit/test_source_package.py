"""A model's code as an archive: what is in it, and when its hash changes."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

import contract
from ratchet.spec import ConfigurationError
from ratchet.spec.deploy_chain import Container
from ratchet.spec.source_package import MAXIMUM_BYTES, source_package


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "train.py").write_text("train")
    (folder / "serve.py").write_text("serve")
    (folder / "pipeline.yaml").write_text("name: model")
    return folder


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    folder = tmp_path / "toolkit"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "serving.py").write_text("serving")
    return folder


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: member for member in tar.getmembers()}


def test_it_holds_the_models_code_the_toolkit_and_the_contract(model: Path, toolkit: Path) -> None:
    (model / "features").mkdir()
    (model / "features" / "text.py").write_text("text")
    (model / "requirements.txt").write_text("nltk\n")
    names = list(members(source_package(model, toolkit).archive()))
    modules = sorted(path.name for path in Path(contract.__file__).parent.glob("*.py"))
    assert [name for name in names if name.startswith("contract/")] == [f"contract/{name}" for name in modules]
    assert [name for name in names if not name.startswith("contract/")] == [
        "features/text.py",
        "requirements.txt",
        "serve.py",
        "toolkit/__init__.py",
        "toolkit/serving.py",
        "train.py",
    ]


@pytest.mark.parametrize(
    "name", ["README.md", ".env", "data/train.csv", "tests/test_train.py", "__pycache__/a.pyc", "sample/a.txt", "a.csv"]
)
def test_what_is_no_code_stays_out_and_changes_nothing(model: Path, toolkit: Path, name: str) -> None:
    before = source_package(model, toolkit)
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text("something")
    after = source_package(model, toolkit)
    assert name not in members(after.archive())
    assert (after.code_hash, after.archive()) == (before.code_hash, before.archive())


def test_times_modes_and_owners_are_not_this_machines(model: Path, toolkit: Path) -> None:
    before = source_package(model, toolkit)
    os.utime(model / "train.py", (1, 1))
    (model / "train.py").chmod(0o700)
    assert source_package(model, toolkit).archive() == before.archive()
    member = members(before.archive())["train.py"]
    assert (member.uid, member.gid, member.uname, member.gname, member.mode) == (0, 0, "", "", 0o644)


@pytest.mark.parametrize("change", ["model/train.py", "toolkit/serving.py", "model/new.py"])
def test_a_change_of_code_is_a_change_of_hash(model: Path, toolkit: Path, change: str) -> None:
    before = source_package(model, toolkit).code_hash
    (model.parent / change).write_text("changed")
    assert source_package(model, toolkit).code_hash != before


def test_moving_a_byte_between_files_is_a_change(model: Path, toolkit: Path) -> None:
    (model / "a.py").write_text("xy")
    (model / "b.py").write_text("z")
    before = source_package(model, toolkit).code_hash
    (model / "a.py").write_text("x")
    (model / "b.py").write_text("yz")
    assert source_package(model, toolkit).code_hash != before


def test_pipeline_yaml_is_not_code(model: Path, toolkit: Path) -> None:
    before = source_package(model, toolkit).code_hash
    (model / "pipeline.yaml").write_text("name: other")
    assert source_package(model, toolkit).code_hash == before


@pytest.mark.parametrize("name", ["train.py", "serve.py"])
def test_required_files(model: Path, toolkit: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{name}: is missing"):
        source_package(model, toolkit)


def test_a_link_is_refused(model: Path, toolkit: Path) -> None:
    (model / "shared.py").symlink_to(toolkit / "serving.py")
    with pytest.raises(ConfigurationError, match=r"shared.py: is a link"):
        source_package(model, toolkit)


def test_the_toolkits_name_is_taken(model: Path, toolkit: Path) -> None:
    (model / "toolkit").mkdir()
    with pytest.raises(ConfigurationError, match="model/toolkit: "):
        source_package(model, toolkit)


def test_data_among_the_code_is_refused(model: Path, toolkit: Path) -> None:
    with (model / "weights.bin").open("wb") as file:
        file.truncate(MAXIMUM_BYTES)
    with pytest.raises(ConfigurationError, match=r"its code is 20 MiB, weights.bin the largest; at most 20 MiB"):
        source_package(model, toolkit)


def test_a_chains_archive_says_what_serves_and_needs_no_serve_py(model: Path, toolkit: Path) -> None:
    chain = [Container(entry="words.py", environment={"LOUD": "1"}), Container(entry="labels.py", name="names")]
    (model / "serve.py").unlink()
    (model / "words.py").write_text("words")
    with pytest.raises(ConfigurationError, match=r"labels\.py: is missing; a model's folder needs labels\.py, how the"):
        source_package(model, toolkit, chain)
    (model / "labels.py").write_text("labels")
    package = source_package(model, toolkit, chain)
    with tarfile.open(fileobj=io.BytesIO(package.archive()), mode="r:gz") as tar:
        said = json.load(tar.extractfile("chain.json") or io.BytesIO())
    assert said == [
        {"name": "words", "entry": "words.py", "framework": None, "environment": {"LOUD": "1"}},
        {"name": "names", "entry": "labels.py", "framework": None, "environment": {}},
    ]
    assert list(members(package.archive())) == sorted(members(package.archive()))
    assert package.code_hash != source_package(model, toolkit, chain[::-1]).code_hash


def test_a_file_in_the_chains_place_is_refused(model: Path, toolkit: Path) -> None:
    (model / "chain.json").write_text("[]")
    chain = [Container(entry="serve.py"), Container(entry="serve.py", name="again")]
    with pytest.raises(ConfigurationError, match=r"chain\.json: the name is taken: what deploy\.chain says"):
        source_package(model, toolkit, chain)
