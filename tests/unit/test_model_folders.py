"""The folders of training_code beside each other: what they copy is the same text, and none reads another's data."""

from __future__ import annotations

import ast
from itertools import permutations
from pathlib import Path

import pytest
import yaml

FOLDERS = Path(__file__).parents[2] / "training_code"
SERVING = ("autoencoder/serve.py", "bert_qa/serve.py", "mnist_keras/serve.py", "traffic_signs/serve.py")
DIGITS = ("autoencoder/digit_files.py", "mnist_keras/digits.py")


def definition(path: str, name: str) -> str | None:
    text = (FOLDERS / path).read_text()
    found = (node for node in ast.parse(text).body if getattr(node, "name", None) == name)
    return next((ast.get_source_segment(text, node) for node in found), None)


def test_hyperparameters_are_checked_alike() -> None:
    copies = sorted(FOLDERS.glob("*/hyperparameters.py"))
    assert len(copies) == 4
    assert len({path.read_text() for path in copies}) == 1


@pytest.mark.parametrize(
    ("paths", "name", "copies"),
    [
        (SERVING, "RequestError", 4),
        (SERVING, "_text", 4),
        (SERVING, "_json", 3),
        (SERVING, "_npy", 3),
        *((DIGITS, name, 2) for name in ("DigitsError", "shaped", "table", "_from_csv", "_labels")),
    ],
)
def test_helpers_are_the_same_text(paths: tuple[str, ...], name: str, copies: int) -> None:
    found = [text for path in paths if (text := definition(path, name))]
    assert (len(found), len(set(found))) == (copies, 1)


def test_no_two_folders_learn_from_the_same_objects() -> None:
    """They share a data bucket: what one uploads would be in the other's channel."""
    prefixes = [
        prefix
        for path in sorted(FOLDERS.glob("*/pipeline.yaml"))
        for prefix in yaml.safe_load(path.read_text())["data"].values()
    ]
    assert len(prefixes) > 10
    assert not [pair for pair in permutations(prefixes, 2) if pair[0].startswith(pair[1])]
