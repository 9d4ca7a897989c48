"""The folders of training_code beside each other: what they copy is the same text, and none reads another's data."""

from __future__ import annotations

import ast
from itertools import permutations
from pathlib import Path

import pytest
import yaml

FOLDERS = Path(__file__).parents[2] / "training_code"
DIGITS = ("autoencoder/digit_files.py", "mnist_keras/digits.py")


def definition(path: str, name: str) -> str | None:
    text = (FOLDERS / path).read_text()
    found = (node for node in ast.parse(text).body if getattr(node, "name", None) == name)
    return next((ast.get_source_segment(text, node) for node in found), None)


@pytest.mark.parametrize("name", ["DigitsError", "shaped", "table", "_from_csv", "_labels"])
def test_digits_are_read_by_the_same_text(name: str) -> None:
    one, other = (definition(path, name) for path in DIGITS)
    assert one and one == other


def test_no_two_folders_learn_from_the_same_objects() -> None:
    """They share a data bucket: what one uploads would be in the other's channel."""
    prefixes = [
        prefix
        for path in sorted(FOLDERS.glob("*/pipeline.yaml"))
        for prefix in yaml.safe_load(path.read_text())["data"].values()
        if isinstance(prefix, str)
    ]
    assert len(prefixes) > 10
    assert not [pair for pair in permutations(prefixes, 2) if pair[0].startswith(pair[1])]
