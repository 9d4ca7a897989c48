"""The same code makes the same templates and assets, whenever and wherever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from synthesis import ROOT, settings, synthesize, write_pipeline


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file that a synth has written, but for the archives, whose bytes may depend on zlib's version."""
    return {
        str(path.relative_to(folder)): b"" if path.suffix == ".gz" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_synths_are_byte_identical(assemblies: Callable[[str], Path], tmp_path: Path) -> None:
    synthesize(settings("prod"), ROOT / "training_code", tmp_path)
    assert any(name.endswith(".template.json") for name in outputs(tmp_path))
    assert outputs(tmp_path) == outputs(assemblies("prod"))


def test_a_copy_elsewhere_with_other_times_makes_the_same(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "somewhere" / "else")
    for path in (tmp_path / "somewhere").rglob("*"):
        os.utime(path, (0, 0))
    (tmp_path / "somewhere" / "else" / "tickets" / "__pycache__").mkdir()
    (tmp_path / "somewhere" / "else" / "tickets" / "__pycache__" / "train.pyc").write_bytes(b"cache")
    synthesize(settings("dev"), tmp_path / "here", tmp_path / "1")
    synthesize(settings("dev"), tmp_path / "somewhere" / "else", tmp_path / "2")
    assert outputs(tmp_path / "1") == outputs(tmp_path / "2")


def test_only_the_changed_pipelines_template_changes(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_pipeline(models)
    folder = write_pipeline(models, name="letters", data={"train": "letters/train/", "test": "letters/test/"})
    before = synthesize(settings("local"), models, tmp_path / "1")
    (folder / "train.py").write_text("print('trained better')\n")
    after = synthesize(settings("local"), models, tmp_path / "2")
    changed = {name for name in before if before[name].document != after[name].document}
    assert changed == {"letters"}
    old, new = (found["letters"].one("Custom::Pipeline")["Properties"]["CodeHash"] for found in (before, after))
    assert old != new


def test_what_is_no_code_changes_nothing(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "models")
    before = synthesize(settings("local"), tmp_path / "models", tmp_path / "1")
    (folder / "README.md").write_text("# Tickets\n")
    (folder / "data").mkdir()
    (folder / "data" / "tickets.csv").write_text("1,2\n")
    after = synthesize(settings("local"), tmp_path / "models", tmp_path / "2")
    assert {name: found.document for name, found in before.items()} == {
        name: found.document for name, found in after.items()
    }
